"""TD recurrent layers: a whole ``torch.nn`` LSTM, GRU or RNN as one TD operator.

The SNN's time ``T`` and the layer's sequence axis ``L`` are two things: at every time step the
layer runs over the whole sequence of cumulative values, from its initial state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from snnconvert.errors import StateError
from snnconvert.ops.recurrent.calls import layer_from_call
from snnconvert.ops.recurrent.checks import batch_dim, check_layer, zero_state
from snnconvert.ops.recurrent.packing import Packing
from snnconvert.ops.recurrent.states import held_state, joined, map_state, tensors_of
from snnconvert.ops.temporal_difference import TDOperator
from snnconvert.torch_private import relist_weights

if TYPE_CHECKING:
    from typing_extensions import Self


class _TDRecurrent(TDOperator, nn.RNNBase):
    """What the TD recurrent layers have in common.

    A ``PackedSequence`` is unpacked at the entrance of each form; inside, its data is the stream
    and its packing is held.
    """

    gates: ClassVar[int]
    _packing: Packing | None = None  # that of the first step

    def cumulative(self, x: Any, hx: Any = None, *, packing: Packing | None = None) -> Any:
        """Return ``torch.nn``'s output and final states.

        Args:
            x: ``[L, B, F]``, with ``batch_first`` ``[B, L, F]``, unbatched ``[L, F]``, or a
                ``PackedSequence``.
            hx: initial states, laid out as in ``torch.nn``; None: zeros.
            packing: that of ``x``, where ``x`` is the data of a packed sequence.
        """
        if isinstance(x, PackedSequence):
            packing = Packing.of(x)
            output, state = self.cumulative(x.data, hx, packing=packing)
            return packing.pack(output), state
        unbatched = packing is None and x.dim() == 2
        if unbatched:
            x, hx = x.unsqueeze(batch_dim(self, packing)), map_state(lambda h: h.unsqueeze(1), hx)
        output, state = self._recur(x, hx, packing)
        if unbatched:
            output = output.squeeze(batch_dim(self, packing))
            state = map_state(lambda h: h.squeeze(1), state)
        return output, state

    def _recur(self, x: Tensor, hx: Any, packing: Packing | None) -> tuple[Tensor, Any]:
        """Run over batched or packed sequences."""
        batch = x.shape[batch_dim(self, packing)] if packing is None else packing.batch
        state = tensors_of(hx) or zero_state(self, x, batch)
        weights = [weight for layer in self.all_weights for weight in layer]
        size = (self.bias, self.num_layers, 0.0, False, self.bidirectional)
        if packing is None:
            results = self._function(x, joined(state), weights, *size, self.batch_first)
            return results[0], joined(list(results[1:]))
        state = [_chosen(h, packing.sorted_indices) for h in state]
        results = self._function(x, packing.batch_sizes, joined(state), weights, *size)
        final = [_chosen(h, packing.unsorted_indices) for h in results[1:]]
        return results[0], joined(final)

    @property
    def _function(self) -> Callable[..., Any]:
        functions: dict[str, Any] = {
            "LSTM": torch.lstm,
            "GRU": torch.gru,
            "RNN_TANH": torch.rnn_tanh,
            "RNN_RELU": torch.rnn_relu,
        }
        function: Callable[..., Any] = functions[self.mode]
        return function

    def forward(self, x_seq: Any, *streams: Any, hx: Any = None) -> Any:
        """Return the increments of a whole sequence of time steps, from rest.

        Args:
            x_seq: increments of the input, time first (see the class).
            *streams: the initial states as a stream, ``[T, layers * directions, B, H]``, a pair
                of them for an LSTM.
            hx: the initial states, held: the same at every time step, without time.
        """
        return self._formed(super().forward, x_seq, streams, hx)

    def step(self, x_t: Any, *streams: Any, hx: Any = None) -> Any:
        """Take one increment of the input, and of the initial states where they are a stream.

        Raises:
            StateError: a packed sequence is not packed as that of earlier steps.
        """
        packing = Packing.of(x_t) if isinstance(x_t, PackedSequence) else None
        if self._state.output is None:
            self._packing = packing
        elif packing is not None and not packing.same(self._packing):
            raise StateError(
                f"{type(self).__name__}: the sequences of this step are not packed as those of "
                "earlier steps; pack the same lengths in the same order, or call reset()"
            )
        return self._formed(super().step, x_t, streams, hx)

    def _formed(self, form: Callable[..., Any], x: Any, streams: tuple[Any, ...], hx: Any) -> Any:
        held = held_state(type(self).__name__, streams, hx)
        if not isinstance(x, PackedSequence):
            return form(x, *streams, **held)
        packing = Packing.of(x)
        output, state = form(x.data, *streams, **held, packing=packing)
        return packing.pack(output), state

    def unroll(
        self, x: Tensor, *streams: Any, hx: Any = None, packing: Packing | None = None
    ) -> Any:
        time_steps = x.shape[0]
        unbatched = packing is None and x.dim() == 3

        # Steps go in front of the samples; in a packing, which has its first sequences at every
        # position, behind them.
        behind = int(packing is not None)

        def fold(x: Tensor, dim: int) -> Tensor:
            x = x.unsqueeze(dim + 1) if unbatched else x
            return x.movedim(0, dim + behind).flatten(dim, dim + 1)

        def unfold(x: Tensor, dim: int) -> Tensor:
            sizes = (-1, time_steps) if behind else (time_steps, -1)
            x = x.unflatten(dim, sizes).movedim(dim + behind, 0)
            return x.squeeze(dim + 1) if unbatched else x

        held = map_state(lambda h: h.expand(time_steps, *h.shape), hx)
        state = map_state(lambda h: fold(h, 1), streams[0] if streams else held)
        packing = None if packing is None else packing.repeated(time_steps)
        dim = batch_dim(self, packing)
        output, final = self.cumulative(fold(x, dim), state, packing=packing)
        return unfold(output, dim), map_state(lambda h: unfold(h, 1), final)

    def check(
        self, x: Tensor, *streams: Any, hx: Any = None, packing: Packing | None = None
    ) -> None:
        where = f"{type(self).__name__}, one time step"
        check_layer(where, self, x, streams[0] if streams else hx, packing)

    @classmethod
    def from_ann(cls, module: nn.Module) -> Self:
        """Return the TD operator of a ``torch.nn`` layer, sharing its very Parameters."""
        operator = super().from_ann(module)
        relist_weights(operator)  # torch.nn's own list of them, which is one module's
        return operator

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = nn.RNNBase.__getstate__(self)
        return {**state, "_state": self._state.detached()}

    @classmethod
    def from_call(cls, **arguments: Any) -> Self:
        """Return the operator of ``aten.lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``."""
        return layer_from_call(cls, cls.gates, **arguments)


class TDLSTM(_TDRecurrent, nn.LSTM):
    """TD LSTM over whole sequences: ``y_t = LSTM(X_t, H_t) - LSTM(X_{t-1}, H_{t-1})``.

    Arguments as ``torch.nn.LSTM``; dropout is that of evaluation, none. Call as there, with time
    first in every stream: input ``[T, L, B, F]`` (with ``batch_first`` ``[T, B, L, F]``, unbatched
    ``[T, L, F]``, packed: a ``PackedSequence`` whose ``data`` is ``[T, N, F]``, as
    ``packed._replace(data=torch.stack([p.data for p in packed_steps]))``), to the increments of
    ``output, (h_n, c_n)``: ``[T, L, B, D * H]`` and ``[T, layers * D, B, H]``, where ``D`` is the
    number of directions and ``H`` of ``h`` is ``proj_size`` where there is one. One call for all
    time steps.

    Initial states are a stream where they are given by position, ``(h_seq, c_seq)``, and held, the
    same at every step, where they are given as ``hx=(h_0, c_0)``; without them they are zeros.

    Raises:
        InputError: an input or a state does not fit, or time lengths differ.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997;
    as one TD operator: the temporal difference of any function of streams.
    """

    counterparts = (nn.LSTM,)
    gates = 4


class TDGRU(_TDRecurrent, nn.GRU):
    """TD GRU over whole sequences: ``y_t = GRU(X_t, H_t) - GRU(X_{t-1}, H_{t-1})``.

    Arguments as ``torch.nn.GRU``; calls and errors as `TDLSTM`, with one initial state ``h``.

    Source: Cho et al., arXiv 1406.1078, in the form of ``torch.nn.GRU``.
    """

    counterparts = (nn.GRU,)
    gates = 3


class TDRNN(_TDRecurrent, nn.RNN):
    """TD RNN over whole sequences: ``y_t = RNN(X_t, H_t) - RNN(X_{t-1}, H_{t-1})``.

    Arguments as ``torch.nn.RNN``, ``nonlinearity`` ``"tanh"`` or ``"relu"``; calls and errors as
    `TDLSTM`, with one initial state ``h``.

    Source: Elman, Finding Structure in Time, Cognitive Science 14(2), 1990.
    """

    counterparts = (nn.RNN,)
    gates = 1


def _chosen(state: Tensor, indices: Tensor | None) -> Tensor:
    return state if indices is None else state.index_select(1, indices)
