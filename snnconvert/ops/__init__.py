"""Operators on increments, usable by hand; they know no graph and no rule."""

from snnconvert.ops.activation import TDGELU, TDActivation, TDReLU, TDSiLU, TDSoftmax
from snnconvert.ops.attention import TDScaledDotProductAttention
from snnconvert.ops.embedding import TDEmbedding
from snnconvert.ops.linear import TDConv1d, TDConv2d, TDConv3d, TDLinear
from snnconvert.ops.multihead_attention import TDMultiheadAttention
from snnconvert.ops.normalization import TDBatchNorm, TDGroupNorm, TDLayerNorm, TDRMSNorm
from snnconvert.ops.product import TDMatmul, TDMul
from snnconvert.ops.recurrent import (
    TDGRU,
    TDLSTM,
    TDRNN,
    SpikingGRU,
    SpikingGRUCell,
    SpikingLSTM,
    SpikingLSTMCell,
    SpikingRecurrent,
    SpikingRecurrentCell,
    SpikingRNN,
    SpikingRNNCell,
    TDGRUCell,
    TDLSTMCell,
    TDRNNCell,
)
from snnconvert.ops.temporal_difference import TDOperator, TemporalDifference

__all__ = [
    "TDGELU",
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
    "TDActivation",
    "TDBatchNorm",
    "TDConv1d",
    "TDConv2d",
    "TDConv3d",
    "TDEmbedding",
    "TDGRUCell",
    "TDGroupNorm",
    "TDLSTMCell",
    "TDLayerNorm",
    "TDLinear",
    "TDMatmul",
    "TDMul",
    "TDMultiheadAttention",
    "TDOperator",
    "TDRMSNorm",
    "TDRNNCell",
    "TDReLU",
    "TDScaledDotProductAttention",
    "TDSiLU",
    "TDSoftmax",
    "TemporalDifference",
]
