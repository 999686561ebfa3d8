"""What fits a recurrent layer or cell: shapes of inputs and states, as ``torch.nn`` has them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from snnconvert.errors import InputError
from snnconvert.ops.recurrent.packing import Packing
from snnconvert.ops.recurrent.states import tensors_of


def batch_dim(layer: nn.RNNBase, packing: Packing | None) -> int:
    """Return the dimension of an input that holds the samples (packed: their rows)."""
    return 0 if layer.batch_first or packing is not None else 1


def state_widths(layer: nn.RNNBase) -> list[int]:
    """Return the features of each state: hidden (projected, where it is), of an LSTM and cell."""
    widths = [layer.proj_size or layer.hidden_size, layer.hidden_size]
    return widths[: 2 if layer.mode == "LSTM" else 1]


def state_rows(layer: nn.RNNBase) -> int:
    """Return how many states stand one after the other: each layer's directions side by side."""
    return layer.num_layers * (2 if layer.bidirectional else 1)


def zero_state(layer: nn.RNNBase, x: Tensor, batch: int) -> list[Tensor]:
    """Return the states of a layer at rest."""
    return [x.new_zeros(state_rows(layer), batch, width) for width in state_widths(layer)]


def check_layer(
    where: str, layer: nn.RNNBase, x: Tensor, state: Any, packing: Packing | None
) -> None:
    """Raise InputError unless an input and its initial states fit a layer.

    Args:
        where: what the error says first.
        layer: the layer.
        x: ``[L, B, F]``, ``[B, L, F]`` or ``[L, F]``; of a packed sequence its data ``[N, F]``.
        state: initial states, or None.
        packing: that of ``x``.
    """
    axes = ["B", "L"] if layer.batch_first else ["L", "B"]
    if packing is not None:
        rows = int(packing.batch_sizes.sum())
        fits = x.dim() == 2 and x.shape[0] == rows
        batch, expected = [packing.batch], f"packed [{rows}, {layer.input_size}]"
    else:
        fits = x.dim() in (2, 3)
        batch = [x.shape[batch_dim(layer, None)]] if x.dim() == 3 else []
        expected = f"[{', '.join(axes)}, {layer.input_size}] or [L, {layer.input_size}]"
    positions = 0 if packing is not None or x.dim() == 2 else 1 - batch_dim(layer, None)
    if not fits or x.shape[-1] != layer.input_size or not x.shape[positions]:
        raise InputError(
            f"{where}: expected an input of shape {expected} (input_size={layer.input_size}, "
            f"batch_first={layer.batch_first}), received {list(x.shape)}; the features stand last, "
            "and a sequence has at least one position"
        )
    shapes = [[state_rows(layer), *batch, width] for width in state_widths(layer)]
    received = [list(h.shape) for h in tensors_of(state)]
    if state is not None and received != shapes:
        raise InputError(
            f"{where}: expected initial states of shape {' and '.join(map(str, shapes))}, received "
            f"{' and '.join(map(str, received))}; they are laid out as in torch.nn, the directions "
            "of each layer side by side"
        )


def check_cell(where: str, cell: nn.RNNCellBase, x: Tensor, state: Any, states: int) -> None:
    """Raise InputError unless an input ``[B, F]`` or ``[F]`` and its states fit a cell."""
    if x.dim() not in (1, 2) or x.shape[-1] != cell.input_size:
        raise InputError(
            f"{where}: expected an input of shape [B, {cell.input_size}] or [{cell.input_size}] "
            f"(input_size={cell.input_size}), received {list(x.shape)}; a cell takes one position "
            "of a sequence"
        )
    received = [list(h.shape) for h in tensors_of(state)]
    expected = [[*x.shape[:-1], cell.hidden_size]] * states
    if state is not None and received != expected:
        raise InputError(
            f"{where}: expected states of shape {' and '.join(map(str, expected))}, received "
            f"{' and '.join(map(str, received))}"
        )
