"""Spiking recurrent layers, for training: whole sequences, with all the options of ``torch.nn``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from snnconvert.errors import InputError
from snnconvert.ops.recurrent.calls import layer_from_call
from snnconvert.ops.recurrent.checks import batch_dim, check_layer, zero_state
from snnconvert.ops.recurrent.dropout import drop
from snnconvert.ops.recurrent.packing import Packing
from snnconvert.ops.recurrent.spiking_steps import Recurrence, gru, lstm, rnn
from snnconvert.ops.recurrent.states import joined, map_state, tensors_of
from snnconvert.ops.recurrent.surrogates import SpikingGates
from snnconvert.ops.recurrent.weights import Weights
from snnconvert.ops.sharing import check_counterpart, share
from snnconvert.ops.surrogate import Surrogate
from snnconvert.torch_private import relist_weights

if TYPE_CHECKING:
    from typing_extensions import Self


class SpikingRecurrent(SpikingGates, nn.RNNBase):
    """Base of the spiking recurrent layers: gates are Heaviside steps with surrogate gradients.

    Call as the layer of ``torch.nn``: input ``[L, B, F]`` (with ``batch_first`` ``[B, L, F]``),
    unbatched ``[L, F]``, or a ``PackedSequence``, and initial states ``[layers * D, B, H]`` (None:
    zeros), to ``output, final states`` laid out as there: the directions ``D`` of each layer side
    by side, all layers' final states.

    The positions ``L`` are the time of the recurrence. The layer keeps no state between calls.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device, dtype: as ``torch.nn.LSTM`` (``proj_size`` of an LSTM only). Dropout is drawn in
            training, on the output of every layer but the last.
        invariant_dropout_mask: draw one dropout mask for all positions of a sequence.
        surrogate_function1: of the gates: a name of `snnconvert.ops.surrogate.SURROGATES` or a
            `Surrogate`.
        surrogate_function2: of the candidate (``g``, ``n``); None: that of the gates.

    Raises:
        InputError: an input or a state does not fit, or there is no such surrogate.
    """

    counterparts: ClassVar[tuple[type[nn.Module], ...]]
    kind: ClassVar[str]
    gates: ClassVar[int]
    recurrence: ClassVar[Recurrence]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        invariant_dropout_mask: bool = False,
        surrogate_function1: str | Surrogate = "atan",
        surrogate_function2: str | Surrogate | None = None,
    ) -> None:
        if proj_size and self.kind != "LSTM":
            raise InputError(
                f"{type(self).__name__}: proj_size is of an LSTM only, received {proj_size}; "
                "put a linear map after the layer"
            )
        super().__init__(
            self.kind,
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )
        self.invariant_dropout_mask = invariant_dropout_mask
        self._set_surrogates(surrogate_function1, surrogate_function2)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the output at every position, and the final states of every layer."""
        packing = Packing.of(input) if isinstance(input, PackedSequence) else None
        data: Tensor = input.data if packing is not None else input
        check_layer(type(self).__name__, self, data, hx, packing)
        if packing is not None:
            return self._packed(data, hx, packing)
        dim = batch_dim(self, None)
        if data.dim() == 2:
            states = map_state(lambda h: h.unsqueeze(1), hx)
            output, final = self._batched(data.unsqueeze(dim), states)
            return output.squeeze(dim), map_state(lambda h: h.squeeze(1), final)
        return self._batched(data, hx)

    def _batched(self, x: Tensor, hx: Any) -> tuple[Tensor, Any]:
        positions = 1 - batch_dim(self, None)
        batch = x.shape[1 - positions]
        chunks, final = self._run(list(x.unbind(positions)), hx, batch)
        return torch.stack(chunks, positions), final

    def _packed(self, data: Tensor, hx: Any, packing: Packing) -> tuple[PackedSequence, Any]:
        chunks = list(data.split(packing.batch_sizes.tolist()))
        inner, outer = packing.sorted_indices, packing.unsorted_indices
        if inner is not None:
            hx = map_state(lambda h: h.index_select(1, inner), hx)
        chunks, final = self._run(chunks, hx, packing.batch)
        if outer is not None:
            final = map_state(lambda h: h.index_select(1, outer), final)
        return packing.pack(torch.cat(chunks)), final

    def _run(self, chunks: list[Tensor], hx: Any, batch: int) -> tuple[list[Tensor], Any]:
        """Run all layers over the input at each position, ``[b, F]``."""
        states = tensors_of(hx) or zero_state(self, chunks[0], batch)
        directions = 2 if self.bidirectional else 1
        finals: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                chunks = drop(chunks, self.dropout, self.invariant_dropout_mask)
            sides = []
            for direction in range(directions):
                row = layer * directions + direction
                outputs, final = self._scan(chunks, [h[row] for h in states], row, direction == 1)
                sides.append(outputs)
                finals.append(final)
            chunks = [torch.cat(parts, -1) for parts in zip(*sides, strict=True)]
        return chunks, joined([torch.stack(rows) for rows in zip(*finals, strict=True)])

    def _scan(
        self, chunks: list[Tensor], state: list[Tensor], row: int, backwards: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Run one layer in one direction; return its output at each position, and final states.

        Of packed sequences, those that have no such position keep their states: before they start
        where the direction is backwards, after they have ended where it is not.
        """
        weights: Weights[Tensor] = Weights.of(self.all_weights[row], self.bias)
        sizes = [len(chunk) for chunk in chunks]
        given = F.linear(torch.cat(chunks), weights.w_ih, weights.b_ih).split(sizes)
        outputs: list[Tensor] = [*given]
        positions = range(len(chunks))
        for position in reversed(positions) if backwards else positions:
            b = sizes[position]
            now = type(self).recurrence(
                given[position], [h[:b] for h in state], weights, self._step1, self._step2
            )
            outputs[position] = now[0]
            state = [
                torch.cat([new, h[b:]]) if b < len(h) else new
                for new, h in zip(now, state, strict=True)
            ]
        return outputs, state

    @classmethod
    def from_ann(
        cls,
        module: nn.Module,
        *,
        invariant_dropout_mask: bool = False,
        surrogate_function1: str | Surrogate = "atan",
        surrogate_function2: str | Surrogate | None = None,
    ) -> Self:
        """Return the spiking layer of a ``torch.nn`` layer, sharing its very Parameters.

        Its options are taken over; an RNN's ``nonlinearity`` gives way to the step. What it
        computes is not what the layer computed: it is a starting point for training.
        """
        check_counterpart(cls, module, cls.counterparts)
        layer = share(cls, module)
        layer.invariant_dropout_mask = invariant_dropout_mask
        layer._set_surrogates(surrogate_function1, surrogate_function2)
        relist_weights(layer)  # torch.nn's own list of them, which is one module's
        return layer

    @classmethod
    def from_call(cls, *, nonlinearity: str = "tanh", **arguments: Any) -> Self:
        """Return the layer of an ATen call; the step stands for an RNN's ``nonlinearity``."""
        return layer_from_call(cls, cls.gates, **arguments)


class SpikingLSTM(SpikingRecurrent):
    """Spiking LSTM: ``i, f, o = step(W_i x + W_h h)``, ``g`` likewise by the second step;
    ``c = f c + i g``, ``h = o c`` (with ``proj_size`` ``h = W_r (o c)``).

    Call: ``(x, (h_0, c_0))`` to ``output, (h_n, c_n)``; arguments as `SpikingRecurrent`.

    Source: arXiv 2007.04779, section 3.
    """

    counterparts = (nn.LSTM,)
    kind, gates = "LSTM", 4
    recurrence = staticmethod(lstm)


class SpikingGRU(SpikingRecurrent):
    """Spiking GRU: ``r, z = step(W_i x + W_h h)``, ``n = step(W_i x + r (W_h h))`` by the second
    step; ``h = (1 - z) n + z h``.

    Call: ``(x, h_0)`` to ``output, h_n``; arguments as `SpikingRecurrent`.
    """

    counterparts = (nn.GRU,)
    kind, gates = "GRU", 3
    recurrence = staticmethod(gru)


class SpikingRNN(SpikingRecurrent):
    """Spiking RNN: ``h = step(W_i x + W_h h)``.

    Call: ``(x, h_0)`` to ``output, h_n``; arguments as `SpikingRecurrent`; there is no second step.
    """

    counterparts = (nn.RNN,)
    kind, gates = "RNN_TANH", 1
    recurrence = staticmethod(rnn)
