"""Recurrent layers and cells, with the options and the state layout of ``torch.nn``.

TD: exact, one operator of the SNN's time. Spiking: gates of Heaviside steps, to be trained.
"""

from snnconvert.ops.recurrent.cells import TDGRUCell, TDLSTMCell, TDRNNCell
from snnconvert.ops.recurrent.layers import TDGRU, TDLSTM, TDRNN
from snnconvert.ops.recurrent.spiking_cells import (
    SpikingGRUCell,
    SpikingLSTMCell,
    SpikingRecurrentCell,
    SpikingRNNCell,
)
from snnconvert.ops.recurrent.spiking_layers import (
    SpikingGRU,
    SpikingLSTM,
    SpikingRecurrent,
    SpikingRNN,
)

__all__ = [
    "TDGRU",
    "TDLSTM",
    "TDRNN",
    "SpikingGRU",
    "SpikingGRUCell",
    "SpikingLSTM",
    "SpikingLSTMCell",
    "SpikingRNN",
    "SpikingRNNCell",
    "SpikingRecurrent",
    "SpikingRecurrentCell",
    "TDGRUCell",
    "TDLSTMCell",
    "TDRNNCell",
]
