"""Recurrent states: one tensor, for an LSTM a pair ``(h, c)``, or None, which stands for zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from snnconvert.errors import InputError


def tensors_of(state: Any) -> list[Tensor]:
    """Return the tensors of a state; none where it is None."""
    if state is None:
        return []
    return list(state) if isinstance(state, tuple | list) else [state]


def joined(tensors: list[Tensor]) -> Any:
    """Return one tensor as it is, several as a tuple, as ``torch.nn`` has its states."""
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


def map_state(op: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Apply ``op`` to each tensor of a state; None stays None."""
    return None if state is None else joined([op(h) for h in tensors_of(state)])


def held_state(where: str, streams: tuple[Any, ...], hx: Any) -> dict[str, Any]:
    """Return the held initial state as keyword arguments.

    Raises:
        InputError: a state is given twice, or by more than one argument.
    """
    if len(streams) > 1 or (streams and hx is not None):
        raise InputError(
            f"{where}: a state is one argument, a tensor or for an LSTM a pair (h, c): by "
            f"position a stream, as hx= held; received {len(streams)} by position"
            f"{' and hx' if hx is not None else ''}"
        )
    return {} if hx is None else {"hx": hx}
