"""TD recurrent cells: one position of an LSTM, GRU or RNN as a TD operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from snnconvert.errors import InputError
from snnconvert.ops.recurrent.states import held_state, joined, map_state, tensors_of
from snnconvert.ops.sharing import put
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
        if x.dim() not in (1, 2) or x.shape[-1] != self.input_size:
            raise InputError(
                f"{type(self).__name__}: expected steps of shape [B, {self.input_size}] or "
                f"[{self.input_size}] (input_size={self.input_size}), received {list(x.shape)}; "
                "a cell takes one position of a sequence"
            )
        received = [list(h.shape) for h in tensors_of(streams[0] if streams else hx)]
        expected = [[*x.shape[:-1], self.hidden_size]] * self.states
        if received and received != expected:
            raise InputError(
                f"{type(self).__name__}: expected states of shape "
                f"{' and '.join(map(str, expected))} at a time step, by position as a stream or "
                f"as hx= held, received {' and '.join(map(str, received))}"
            )

    @classmethod
    def from_call(
        cls,
        *,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
        **settings: Any,
    ) -> Self:
        """Return the operator of ``aten.lstm_cell``, ``gru_cell`` or ``rnn_tanh_cell``, ..."""
        hidden = w_ih.shape[0] // cls.gates
        bias = b_ih is not None
        operator = cls(w_ih.shape[1], hidden, bias=bias, device="meta", **settings)
        tensors = {"weight_ih": w_ih, "weight_hh": w_hh, "bias_ih": b_ih, "bias_hh": b_hh}
        for name, tensor in tensors.items():
            put(operator, name, tensor)
        return operator


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
