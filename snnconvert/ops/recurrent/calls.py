"""Recurrent modules from ATen calls, which give their weights one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn

from snnconvert.errors import ConversionError
from snnconvert.ops.sharing import put
from snnconvert.torch_private import relist_weights, weight_names

L = TypeVar("L", bound=nn.RNNBase)
C = TypeVar("C", bound=nn.RNNCellBase)


def layer_from_call(
    build: Callable[..., L],
    gates: int,
    *,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    **settings: Any,
) -> L:
    """Return the layer of ``aten.lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``.

    Args:
        build: the layer's class.
        gates: number of maps of ``hidden_size`` rows that are stacked in each weight.
        params: the weights in the order of ``torch.nn``, shared.
        has_biases, num_layers, dropout, train, bidirectional, batch_first: as ATen has them.
        **settings: further arguments of the class.

    Raises:
        ConversionError: the source draws dropout at random.
    """
    if train and dropout > 0:
        raise ConversionError(
            f"the recurrent layer draws dropout ({dropout}) at random; call model.eval()"
        )
    w_ih, w_hh = params[:2]
    hidden = w_ih.shape[0] // gates
    layer = build(
        w_ih.shape[1],
        hidden,
        num_layers=num_layers,
        bias=has_biases,
        batch_first=batch_first,
        dropout=dropout if num_layers > 1 else 0.0,
        bidirectional=bidirectional,
        device="meta",
        **({"proj_size": w_hh.shape[1]} if w_hh.shape[1] != hidden else {}),
        **settings,
    )
    names = weight_names(layer)
    for name, tensor in zip(names, params, strict=True):
        put(layer, name, tensor)
    relist_weights(layer)
    return layer


def cell_from_call(
    build: Callable[..., C],
    gates: int,
    *,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    **settings: Any,
) -> C:
    """Return the cell of ``aten.lstm_cell``, ``gru_cell``, ``rnn_tanh_cell`` or ``rnn_relu_cell``
    (arguments as `layer_from_call`)."""
    hidden, bias = w_ih.shape[0] // gates, b_ih is not None
    cell = build(w_ih.shape[1], hidden, bias=bias, device="meta", **settings)
    tensors = {"weight_ih": w_ih, "weight_hh": w_hh, "bias_ih": b_ih, "bias_hh": b_hh}
    for name, tensor in tensors.items():
        put(cell, name, tensor)
    return cell
