"""The weights of a recurrent layer in one direction, under the names that equations give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

W = TypeVar("W")


@dataclass(frozen=True)
class Weights(Generic[W]):
    """The weights of one layer and direction, stacked by gates as in ``torch.nn``.

    Attributes:
        w_ih, w_hh: of the input and of the hidden state.
        b_ih, b_hh: biases; None: there are none.
        w_hr: projection of the hidden state; None: there is none.
    """

    w_ih: W
    w_hh: W
    b_ih: W | None = None
    b_hh: W | None = None
    w_hr: W | None = None

    @classmethod
    def of(cls, row: Sequence[W], bias: bool) -> Weights[W]:
        """Return the weights that ``torch.nn`` and ATen list in this order."""
        names = ("w_ih", "w_hh", *(("b_ih", "b_hh") if bias else ()), "w_hr")[: len(row)]
        return cls(**dict(zip(names, row, strict=True)))
