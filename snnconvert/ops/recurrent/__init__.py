"""Recurrent layers and cells, with the options and the state layout of ``torch.nn``."""

from snnconvert.ops.recurrent.cells import TDGRUCell, TDLSTMCell, TDRNNCell
from snnconvert.ops.recurrent.layers import TDGRU, TDLSTM, TDRNN

__all__ = ["TDGRU", "TDLSTM", "TDRNN", "TDGRUCell", "TDLSTMCell", "TDRNNCell"]
