"""One position of the spiking recurrences: the equations, once for cells and layers.

Each function takes what the input contributes to the gates (``W_i x + b_i``, all gates stacked as
in ``torch.nn``), the states before the position, and the recurrent weights; it returns the states
after it, the hidden state first. ``step1`` and ``step2`` are Heaviside steps.

Source: Lotfi Rezaabad and Vishwanath, Long Short-Term Memory Spiking Networks and Their
Applications, ICONS 2020 (arXiv 2007.04779), equations of section 3; the GRU and the RNN by the
same substitution of steps for the nonlinearities of ``torch.nn``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from snnconvert.ops.recurrent.weights import Weights

Step = Callable[[Tensor], Tensor]
"""A Heaviside step with a surrogate gradient."""


class Recurrence(Protocol):
    """The equations of one kind of cell."""

    def __call__(
        self, given: Tensor, state: list[Tensor], weights: Weights[Tensor], step1: Step, step2: Step
    ) -> list[Tensor]:
        """Return the states after a position."""


def lstm(
    given: Tensor, state: list[Tensor], weights: Weights[Tensor], step1: Step, step2: Step
) -> list[Tensor]:
    """``i, f, o = step1(W_i x + W_h h)``, ``g = step2(...)``; ``c = f c + i g``, ``h = o c``."""
    h, c = state
    i, f, g, o = (given + F.linear(h, weights.w_hh, weights.b_hh)).chunk(4, -1)
    c = step1(f) * c + step1(i) * step2(g)
    h = step1(o) * c
    return [h if weights.w_hr is None else F.linear(h, weights.w_hr), c]


def gru(
    given: Tensor, state: list[Tensor], weights: Weights[Tensor], step1: Step, step2: Step
) -> list[Tensor]:
    """``r, z = step1(W_i x + W_h h)``, ``n = step2(W_i x + r (W_h h))``; ``h = n - z n + z h``."""
    (h,) = state
    given_r, given_z, given_n = given.chunk(3, -1)
    kept_r, kept_z, kept_n = F.linear(h, weights.w_hh, weights.b_hh).chunk(3, -1)
    r, z = step1(given_r + kept_r), step1(given_z + kept_z)
    n = step2(given_n + r * kept_n)
    return [(1 - z) * n + z * h]


def rnn(
    given: Tensor, state: list[Tensor], weights: Weights[Tensor], step1: Step, step2: Step
) -> list[Tensor]:
    """``h = step1(W_i x + W_h h)``; there is no second step."""
    (h,) = state
    return [step1(given + F.linear(h, weights.w_hh, weights.b_hh))]
