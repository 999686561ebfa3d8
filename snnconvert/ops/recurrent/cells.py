"""TD recurrent cells: one position of an LSTM, GRU or RNN as a TD operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from snnconvert.ops.recurrent.calls import cell_from_call
from snnconvert.ops.recurrent.checks import check_cell
from snnconvert.ops.recurrent.states import held_state, joined, map_state, tensors_of
from snnconvert.ops.temporal_difference import TDOperator

if TYPE_CHECKING:
    from typing_extensions import Self


class _TDRecurrentCell(TDOperator, nn.RNNCellBase):
    """What the TD recurrent cells have in common: time is folded into the batch."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1

    def cumulative(self, x: Tensor, hx: Any = None) -> Any:
        """Return the next states of an input ``[B, F]`` or ``[F]``.

        Args:
            x: the input at this position.
            hx: the states before it, ``[B, H]`` or ``[H]``; None: zeros.
        """
        width = (*x.shape[:-1], self.hidden_size)
        state = tensors_of(hx) or [x.new_zeros(width)] * self.states
        rows = [h.reshape(-1, h.shape[-1]) for h in (x, *state)]  # the functions take no vectors
        found = self._cell(
            rows[0],
            joined(rows[1:]),
            self.weight_ih,
            self.weight_hh,
            self.bias_ih,
            self.bias_hh,
        )
        return map_state(lambda h: h.reshape(width), found)

    @property
    def _cell(self) -> Callable[..., Any]:
        raise NotImplementedError

    def forward(self, x_seq: Tensor, *streams: Any, hx: Any = None) -> Any:
        """Return the increments of a whole sequence of time steps, from rest.

        Args:
            x_seq: increments of the input, ``[T, B, F]`` or ``[T, F]``.
            *streams: the states before this position as a stream, ``[T, B, H]`` or ``[T, H]``,
                a pair of them for an LSTM.
            hx: the states, held: the same at every time step, without time.
        """
        return super().forward(x_seq, *streams, **held_state(type(self).__name__, streams, hx))

    def step(self, x_t: Tensor, *streams: Any, hx: Any = None) -> Any:
        """Take one increment of the input, and of the states where they are a stream."""
        return super().step(x_t, *streams, **held_state(type(self).__name__, streams, hx))

    def unroll(self, x: Tensor, *streams: Any, hx: Any = None) -> Any:
        def fold(h: Tensor) -> Tensor:
            return h.reshape(-1, h.shape[-1])

        held = map_state(lambda h: h.expand(len(x), *h.shape), hx)
        state = map_state(fold, streams[0] if streams else held)
        found = self.cumulative(fold(x), state)
        return map_state(lambda h: h.reshape(*x.shape[:-1], h.shape[-1]), found)

    def check(self, x: Tensor, *streams: Any, hx: Any = None) -> None:
        where = f"{type(self).__name__}, one time step"
        check_cell(where, self, x, streams[0] if streams else hx, self.states)

    @classmethod
    def from_call(cls, **arguments: Any) -> Self:
        """Return the operator of ``aten.lstm_cell``, ``gru_cell``, ``rnn_tanh_cell``, ..."""
        return cell_from_call(cls, cls.gates, **arguments)


class TDLSTMCell(_TDRecurrentCell, nn.LSTMCell):
    """TD LSTM cell: ``y_t = LSTMCell(X_t, H_t) - LSTMCell(X_{t-1}, H_{t-1})``.

    Arguments as ``torch.nn.LSTMCell``. Call as there, with time first in every stream: input
    ``[T, B, F]`` (or ``[T, F]``) to the increments of ``h`` and ``c``, ``[T, B, H]`` each. States
    are a stream where they are given by position, ``(h_seq, c_seq)``, held where they are given as
    ``hx=(h, c)``, and zeros without.

    Raises:
        InputError: the input or a state does not fit, or time lengths differ.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997.
    """

    counterparts = (nn.LSTMCell,)
    gates, states = 4, 2

    @property
    def _cell(self) -> Callable[..., Any]:
        return torch.lstm_cell


class TDGRUCell(_TDRecurrentCell, nn.GRUCell):
    """TD GRU cell: ``y_t = GRUCell(X_t, H_t) - GRUCell(X_{t-1}, H_{t-1})``.

    Arguments as ``torch.nn.GRUCell``; calls and errors as `TDLSTMCell`, with one state ``h``.

    Source: Cho et al., arXiv 1406.1078, in the form of ``torch.nn.GRUCell``.
    """

    counterparts = (nn.GRUCell,)
    gates = 3

    @property
    def _cell(self) -> Callable[..., Any]:
        return torch.gru_cell


class TDRNNCell(_TDRecurrentCell, nn.RNNCell):
    """TD RNN cell: ``y_t = RNNCell(X_t, H_t) - RNNCell(X_{t-1}, H_{t-1})``.

    Arguments as ``torch.nn.RNNCell``, ``nonlinearity`` ``"tanh"`` or ``"relu"``; calls and errors
    as `TDLSTMCell`, with one state ``h``.

    Source: Elman, Finding Structure in Time, Cognitive Science 14(2), 1990.
    """

    counterparts = (nn.RNNCell,)
    gates = 1

    @property
    def _cell(self) -> Callable[..., Any]:
        return torch.rnn_tanh_cell if self.nonlinearity == "tanh" else torch.rnn_relu_cell
