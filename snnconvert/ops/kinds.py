"""Op kinds: the one table from the names that rules use to ATen operators and TD operators.

An ATen operator that has no row is a kind of its own under its bare name (``aten.roll`` is
``roll``), served by the general temporal difference; a row exists where several spellings are one
kind, or where a named TD operator stands for it. An operator of another library is written with its
namespace (``vision::roll``), in this table and in all others: one that happens to be called as one
of ATen's is another operator.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch

from snnconvert.ops.activation import TDGELU, TDReLU, TDSiLU, TDSoftmax
from snnconvert.ops.attention import TDScaledDotProductAttention
from snnconvert.ops.embedding import TDEmbedding
from snnconvert.ops.linear import TDConv1d, TDConv2d, TDConv3d, TDLinear
from snnconvert.ops.normalization import TDBatchNorm, TDGroupNorm, TDLayerNorm, TDRMSNorm
from snnconvert.ops.product import TDMatmul
from snnconvert.ops.recurrent import TDGRU, TDLSTM, TDRNN, TDGRUCell, TDLSTMCell, TDRNNCell
from snnconvert.ops.targets import NO_LIMITS, Limits, Target, target_of
from snnconvert.ops.temporal_difference import TDOperator
from snnconvert.torch_private import HigherOrderOperator, OpOverload, OpOverloadPacket


@dataclass(frozen=True)
class Kind:
    """One op kind.

    Attributes:
        name: what rule files call it.
        operators: the ATen operators of this kind, each with its TD operator (None: the general
            temporal difference of the ATen operator itself).
        inputs: the schema arguments that are handed over at every call; all others are
            parameters and literals, which the operator holds.
        regions: qualified class names of modules; every operator inside one is of this kind too.
        operands: the schema arguments that spikes may drive: those of a linear map or product.
        elementwise: whether each result is one product, so that a constant factor only scales.
        routed_by: the schema argument that says which weights each row of the first operand meets.
        values: limits of its results, where they follow from what it computes.
        settings: for ATen operators whose name says what their arguments do not, the arguments
            that make the TD operator the same.
    """

    name: str
    operators: Mapping[str, type[TDOperator] | None] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("input",)
    regions: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    elementwise: bool = False
    routed_by: str | None = None
    values: Limits = NO_LIMITS
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def target(self, arguments: Mapping[str, Any]) -> Target | None:
        """Return what a neuron in the place of a call follows; None where none can stand there."""
        return target_of(self.name, arguments)


_OF_MATRICES = dict.fromkeys(
    "baddbmm einsum tensordot mv dot vdot inner addmv addbmm bilinear linalg_vecdot "
    "linalg_multi_dot chain_matmul _trilinear".split()
)
_OF_ELEMENTS = dict.fromkeys("mul multiply addcmul outer ger addr kron".split())
_FOURIER = dict.fromkeys(
    "fft_fft fft_ifft fft_rfft fft_irfft fft_hfft fft_ihfft fft_fft2 fft_ifft2 fft_rfft2 "
    "fft_irfft2 fft_hfft2 fft_ihfft2 fft_fftn fft_ifftn fft_rfftn fft_irfftn fft_hfftn fft_ihfftn "
    "_fft_r2c _fft_c2c _fft_c2r".split()
)
_SUMMED_TO = frozenset({"batch1", "mat", "vec1", "tensor1"})  # beside these, `self` is a summand

# Other names of 1-D functions and sums, which export keeps.
_SPELLED = {
    "abs": "absolute",
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atanh": "arctanh",
    "digamma": "special_digamma special_psi",
    "erf": "special_erf",
    "erfc": "special_erfc",
    "erfinv": "special_erfinv",
    "exp2": "special_exp2",
    "expm1": "special_expm1",
    "lgamma": "special_gammaln",
    "log1p": "special_log1p",
    "logit": "special_logit",
    "logsumexp": "special_logsumexp",
    "round": "special_round",
    "sinc": "special_sinc",
    "trunc": "fix",
}

_CONV = {"conv1d": TDConv1d, "conv2d": TDConv2d, "conv3d": TDConv3d}
_TABLE = (
    Kind(
        "linear",
        {"linear": TDLinear, "addmm": None},
        operands=("input", "weight", "mat1", "mat2"),
    ),
    Kind("conv", {**_CONV, "convolution": None}, operands=("input", "weight")),
    Kind(
        "conv_transpose",
        dict.fromkeys([f"conv_transpose{n}d" for n in (1, 2, 3)]),
        operands=("input", "weight"),
    ),
    # Of rows that are sorted by group, as those of tokens are by expert.
    Kind(
        "grouped_mm",
        dict.fromkeys(("_grouped_mm", "transformers::grouped_mm_fallback")),
        inputs=("self", "input", "offs"),
        operands=("self", "mat2", "input", "weight"),
        routed_by="offs",
    ),
    # Linear maps of real numbers, and of complex ones as pairs of these.
    Kind("fourier", _FOURIER, inputs=("self",), operands=("self",)),
    Kind("layer_norm", {"layer_norm": TDLayerNorm, "native_layer_norm": None}),
    Kind("rms_norm", {"rms_norm": TDRMSNorm}),
    Kind("batch_norm", {"batch_norm": TDBatchNorm, "_native_batch_norm_legit_no_training": None}),
    Kind("group_norm", {"group_norm": TDGroupNorm, "native_group_norm": None}),
    Kind("gelu", {"gelu": TDGELU}, inputs=("self",)),
    Kind("silu", {"silu": TDSiLU}, inputs=("self",)),
    Kind("relu", {"relu": TDReLU}, inputs=("self",)),
    Kind("clip", dict.fromkeys("hardtanh relu6 clamp clip clamp_min clamp_max".split())),
    Kind(
        "softmax",
        {"softmax": TDSoftmax, **dict.fromkeys("_softmax _safe_softmax special_softmax".split())},
        inputs=("self",),
        values=(0.0, 1.0),
    ),
    Kind(
        "sigmoid", dict.fromkeys(("sigmoid", "special_expit")), inputs=("self",), values=(0.0, 1.0)
    ),
    Kind(
        "log_softmax",
        dict.fromkeys("log_softmax _log_softmax special_log_softmax".split()),
        inputs=("self",),
    ),
    Kind(
        "matmul",
        {"matmul": TDMatmul, "bmm": TDMatmul, "mm": TDMatmul, **_OF_MATRICES},
        inputs=("self", "other", "mat2"),
        operands=tuple(
            "self other mat2 batch1 batch2 tensors mat vec tensor input1 weight input2 x y i1 "
            "i2 i3".split()
        ),
    ),
    Kind(
        "scaled_dot_product_attention",
        {"scaled_dot_product_attention": TDScaledDotProductAttention},
        inputs=("query", "key", "value", "attn_mask"),
        operands=("query", "key", "value"),
    ),
    Kind("embedding", {"embedding": TDEmbedding, "embedding_bag": None}, inputs=("indices",)),
    Kind("lstm", {"lstm": TDLSTM, "lstm_cell": TDLSTMCell}, inputs=("input", "hx")),
    Kind("gru", {"gru": TDGRU, "gru_cell": TDGRUCell}, inputs=("input", "hx")),
    Kind(
        "rnn",
        {
            "rnn_tanh": TDRNN,
            "rnn_relu": TDRNN,
            "rnn_tanh_cell": TDRNNCell,
            "rnn_relu_cell": TDRNNCell,
        },
        inputs=("input", "hx"),
        settings={name: {"nonlinearity": "relu"} for name in ("rnn_relu", "rnn_relu_cell")},
    ),
    Kind("add", dict.fromkeys("add sub subtract rsub".split())),
    Kind("div", dict.fromkeys("div divide true_divide".split())),
    Kind(
        "mul",
        _OF_ELEMENTS,
        operands=("self", "other", "tensor1", "tensor2", "vec1", "vec2"),
        elementwise=True,
    ),
    Kind("max_pool", dict.fromkeys([f"max_pool{n}d" for n in (1, 2, 3)])),
    Kind(
        "avg_pool",
        dict.fromkeys(
            "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
            "adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d".split()
        ),
    ),
    Kind(
        "reshape",
        dict.fromkeys(
            "view reshape _unsafe_view flatten unflatten ravel squeeze unsqueeze permute transpose "
            "t mT mH matrix_H adjoint numpy_T swapaxes swapdims movedim moveaxis expand expand_as "
            "broadcast_to atleast_1d atleast_2d atleast_3d slice select split split_with_sizes "
            "tensor_split hsplit vsplit dsplit unsafe_split unsafe_split_with_sizes chunk "
            "unsafe_chunk unbind clone contiguous alias detach positive resolve_conj resolve_neg "
            "view_copy squeeze_copy "
            "unsqueeze_copy permute_copy transpose_copy t_copy expand_copy slice_copy select_copy "
            "split_copy split_with_sizes_copy unbind_copy alias_copy detach_copy".split()
        ),
    ),
    *(Kind(name, dict.fromkeys((name, *others.split()))) for name, others in _SPELLED.items()),
    Kind("multihead_attention", regions=("torch.nn.modules.activation.MultiheadAttention",)),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _TABLE})
_BY_OPERATOR = {name: kind for kind in _TABLE for name in kind.operators}
_OPS = f"{__name__.rpartition('.')[0]}."
_BY_REGION = {region: kind.name for kind in _TABLE for region in kind.regions}


_PLAIN = frozenset({"aten", "prims"})  # namespaces that names leave out


def operator_name(operator: Any) -> str:
    """Return the bare name of an ATen overload or a Python function, and the name of an operator
    of any other library, or of one that takes graphs, with its namespace: ``vision::roll``."""
    if isinstance(operator, OpOverload | HigherOrderOperator):
        packet = operator.overloadpacket if isinstance(operator, OpOverload) else operator
        namespace, name = str(operator.namespace), str(packet.__name__)
        return name if namespace in _PLAIN else f"{namespace}::{name}"
    return str(getattr(operator, "__name__", operator))


def kind_of(operator: Any) -> Kind:
    """Return the kind of an operator."""
    name = operator_name(operator)
    return _BY_OPERATOR.get(name) or Kind(name)


def is_own(operator: Any) -> bool:
    """Tell whether a module is one of the package's operators, and no class of somebody else's."""
    cls = type(operator)
    module = sys.modules.get(cls.__module__) if cls.__module__.startswith(_OPS) else None
    return getattr(module, cls.__qualname__, None) is cls


def operands_of(kind: Kind, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Name those arguments of a call that spikes may drive."""
    added = {"self"} if _SUMMED_TO & arguments.keys() else set()
    return tuple(name for name in kind.operands if name in arguments and name not in added)


def added_by(kind: Kind, arguments: Mapping[str, Any]) -> list[Any]:
    """Return what a map or product adds to its result: a bias, and the first argument of what is
    named after it (``addmm``)."""
    operands = operands_of(kind, arguments)
    names = [name for name in ("self", "bias") if name in arguments and name not in operands]
    return [arguments[name] for name in names if arguments[name] is not None]


def multiplies(kind: Kind, dtype: torch.dtype | None) -> bool:
    """Tell whether a call of a kind is a linear map or a product of numbers: a product of truth
    values only says whether all are true.

    Args:
        kind: of the call.
        dtype: of its result; None: unknown.
    """
    return bool(kind.operands) and dtype is not torch.bool


def region_kinds(within: tuple[str, ...]) -> tuple[str, ...]:
    """Return the region kinds of a node, given the classes of its enclosing modules."""
    return tuple(_BY_REGION[name] for name in within if name in _BY_REGION)


def is_kind(name: str) -> bool:
    """Tell whether a rule may name this kind: a row of the table, or an ATen operator of none."""
    return kind_meant(name) == name


def kind_meant(name: str) -> str | None:
    """Return the kind that an operator's name stands for: ``conv`` of ``aten.conv2d.default``.

    Nodes of a graph are of kinds, so that a rule for the operator itself would match nothing; nor
    would one for a writing form (``sigmoid_``), which is traced as the other. None: no operator.
    """
    if name in KINDS:
        return name
    bare = name.removeprefix("torch.").removeprefix("ops.").removeprefix("aten.").partition(".")[0]
    for operator in (bare.rstrip("_") if not bare.startswith("__") else bare, bare):
        if operator in KINDS:
            return operator
        if operator in _BY_OPERATOR:
            return _BY_OPERATOR[operator].name
        if operator.isidentifier() and isinstance(
            getattr(torch.ops.aten, operator, None), OpOverloadPacket
        ):
            return operator
    return None


def values_of(kind: Kind, arguments: Mapping[str, Any]) -> Limits:
    """Return the limits of a call's results that follow from what it computes."""
    target = kind.target(arguments)
    return kind.values if target is None else target.limits
