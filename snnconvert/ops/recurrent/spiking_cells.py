"""Spiking recurrent cells, for training: gates are Heaviside steps with surrogate gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from snnconvert.ops.recurrent.calls import cell_from_call
from snnconvert.ops.recurrent.checks import check_cell
from snnconvert.ops.recurrent.spiking_steps import Recurrence, gru, lstm, rnn
from snnconvert.ops.recurrent.states import joined, tensors_of
from snnconvert.ops.recurrent.surrogates import SpikingGates
from snnconvert.ops.recurrent.weights import Weights
from snnconvert.ops.sharing import check_counterpart, share
from snnconvert.ops.surrogate import Surrogate

if TYPE_CHECKING:
    from typing_extensions import Self


class SpikingRecurrentCell(SpikingGates, nn.RNNCellBase):
    """Base of the spiking cells: one position of a recurrence whose gates are spikes.

    Call as the cell of ``torch.nn``: input ``[B, F]`` or ``[F]``, states ``[B, H]`` or ``[H]``
    (None: zeros), to the next states. The cell itself has no state.

    Args:
        input_size, hidden_size, bias, device, dtype: as in ``torch.nn``.
        surrogate_function1: of the gates: a name of `snnconvert.ops.surrogate.SURROGATES` or a
            `Surrogate`.
        surrogate_function2: of the candidate (``g``, ``n``); None: that of the gates.

    Raises:
        InputError: an input or a state does not fit, or there is no such surrogate.
    """

    counterparts: ClassVar[tuple[type[nn.Module], ...]]
    gates: ClassVar[int]
    states: ClassVar[int] = 1
    recurrence: ClassVar[Recurrence]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        surrogate_function1: str | Surrogate = "atan",
        surrogate_function2: str | Surrogate | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, bias, num_chunks=self.gates, device=device, dtype=dtype
        )
        self._set_surrogates(surrogate_function1, surrogate_function2)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Return the next hidden state, of an LSTM the pair ``(h, c)``."""
        check_cell(type(self).__name__, self, input, hx, self.states)
        state = (
            tensors_of(hx) or [input.new_zeros(*input.shape[:-1], self.hidden_size)] * self.states
        )
        weights = Weights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        found = type(self).recurrence(
            F.linear(input, weights.w_ih, weights.b_ih),
            state,
            weights,
            self._step1,
            self._step2,
        )
        return joined(found)

    @classmethod
    def from_ann(
        cls,
        module: nn.Module,
        *,
        surrogate_function1: str | Surrogate = "atan",
        surrogate_function2: str | Surrogate | None = None,
    ) -> Self:
        """Return the spiking cell of a ``torch.nn`` cell, sharing its very Parameters."""
        check_counterpart(cls, module, cls.counterparts)
        cell = share(cls, module)
        cell._set_surrogates(surrogate_function1, surrogate_function2)
        return cell

    @classmethod
    def from_call(cls, *, nonlinearity: str = "tanh", **arguments: Any) -> Self:
        """Return the cell of an ATen call; the step stands for an RNN's ``nonlinearity``."""
        return cell_from_call(cls, cls.gates, **arguments)


class SpikingLSTMCell(SpikingRecurrentCell):
    """Spiking LSTM cell: ``i, f, o = step(W_i x + W_h h)``, ``g`` likewise by the second step;
    ``c' = f c + i g``, ``h' = o c'``.

    Call: ``(x, (h, c))`` to ``(h', c')``; arguments as `SpikingRecurrentCell`.

    Source: arXiv 2007.04779, section 3.
    """

    counterparts = (nn.LSTMCell,)
    gates, states = 4, 2
    recurrence = staticmethod(lstm)


class SpikingGRUCell(SpikingRecurrentCell):
    """Spiking GRU cell: ``r, z = step(W_i x + W_h h)``, ``n = step(W_i x + r (W_h h))`` by the
    second step; ``h' = (1 - z) n + z h``.

    Call: ``(x, h)`` to ``h'``; arguments as `SpikingRecurrentCell`.
    """

    counterparts = (nn.GRUCell,)
    gates = 3
    recurrence = staticmethod(gru)


class SpikingRNNCell(SpikingRecurrentCell):
    """Spiking RNN cell: ``h' = step(W_i x + W_h h)``.

    Call: ``(x, h)`` to ``h'``; arguments as `SpikingRecurrentCell`; there is no second step.
    """

    counterparts = (nn.RNNCell,)
    gates = 1
    recurrence = staticmethod(rnn)
