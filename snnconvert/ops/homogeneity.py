"""Which operators only add up their streams, and which of them may act on increments untouched.

An operator *adds up* when its streams have constant factors, ``f(x) = A x + c`` with ``A``, ``c``
the same at every step: residual additions, views, means, pooling by averages, interpolation, a
constant mask, normalisation by constants. That takes additions, and scales that weights and
thresholds can take up, so it needs no neuron, and no report lists it as computing in floats.
(Linear maps with weights add up too, but are what spikes are for: a report looks at them first.)

The narrower class is linear and homogeneous, ``c = 0``, and may act on increments as it stands:
``f`` is in this class when ``f(a x + b x') = a f(x) + b f(x')`` for its streams taken together.
Everything that is not listed here is not in it: a bias, a positional embedding, ``1 - x``,
BatchNorm's shift or a product of two streams, passed through, is counted once per time step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snnconvert.ops.kinds import KINDS
from snnconvert.torch_private import pytree

IsStream = Callable[[Any], bool]

MOVES = frozenset(KINDS["reshape"].operators) | frozenset(
    "roll flip fliplr flipud rot90 index_select narrow narrow_copy repeat tile pixel_shuffle "
    "pixel_unshuffle channel_shuffle native_channel_shuffle broadcast_tensors meshgrid "
    "combinations getitem".split()
)
"""Operators that move values of their first argument about, and do nothing else."""

_AVERAGES = frozenset(
    "mean sum sum_to_size neg negative avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
    "adaptive_avg_pool2d adaptive_avg_pool3d upsample_nearest2d upsample_bilinear2d "
    "upsample_bicubic2d".split()
)
_ADDS = frozenset({"add", "sub", "subtract"})  # every tensor operand must be a stream
JOINS = frozenset(
    "cat concat concatenate stack hstack vstack dstack column_stack row_stack "
    "cartesian_prod".split()
)
"""Operators that join the tensors of a list, and do nothing else."""

_CONTRACTS = frozenset(
    {"matmul", "bmm", "mm", "mul", "multiply", "einsum"}
)  # exactly one operand is a stream
_MAPS = frozenset({"linear", "conv1d", "conv2d", "conv3d"})
_FOURIER = frozenset(KINDS["fourier"].operators)


def _first_only(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    first, *rest = arguments.values()
    moved = pytree.tree_leaves(first)  # of a list, all
    of_streams = bool(moved) and all(map(is_stream, moved))
    return of_streams and not any(map(is_stream, pytree.tree_leaves(rest)))


def _all_operands(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return is_stream(arguments.get("self")) and is_stream(arguments.get("other"))


def _all_joined(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    first, *_ = arguments.values()
    return all(map(is_stream, first))


def _all_members(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return all(map(is_stream, pytree.tree_leaves(list(arguments.values()))))


def _exactly_one(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return sum(map(is_stream, pytree.tree_leaves(list(arguments.values())))) == 1


def _without_bias(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return arguments.get("bias") is None and _first_only(arguments, is_stream)


def _numerator_only(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return arguments.get("rounding_mode") is None and _first_only(arguments, is_stream)


def _zero_padding(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return arguments.get("value", 0) == 0 and _first_only(arguments, is_stream)


_CONDITIONS: dict[str, Callable[[Mapping[str, Any], IsStream], bool]] = {
    **dict.fromkeys(MOVES | _AVERAGES | _FOURIER, _first_only),
    **dict.fromkeys(_ADDS, _all_operands),
    **dict.fromkeys(JOINS, _all_joined),
    **dict.fromkeys(_CONTRACTS, _exactly_one),
    **dict.fromkeys(_MAPS, _without_bias),
    **dict.fromkeys(("div", "divide", "true_divide"), _numerator_only),
    "tuple": _all_members,
    "constant_pad_nd": _zero_padding,
}


def is_homogeneous(operator: str, arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    """Tell whether an operator may act on the increments of its streams as it stands.

    Args:
        operator: bare name of the ATen operator.
        arguments: its arguments by schema name.
        is_stream: tells for an argument whether it is a stream.
    """
    condition = _CONDITIONS.get(operator)
    return condition is not None and bool(arguments) and condition(arguments, is_stream)


def _always(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return True


def _constant(*names: str) -> Callable[[Mapping[str, Any], IsStream], bool]:
    """Return the condition that none of some arguments is a stream."""

    def condition(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
        return not any(map(is_stream, pytree.tree_leaves([arguments.get(n) for n in names])))

    return condition


def _one_factor(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return not (is_stream(arguments["tensor1"]) and is_stream(arguments["tensor2"]))


def _of_evaluation(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return not arguments.get("training") and _first_only(arguments, is_stream)


def _stays_a_number(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    dtype = arguments.get("dtype")
    return dtype is None or dtype.is_floating_point or dtype.is_complex


def _mean_at_places(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return arguments.get("reduce") == "mean" and not is_stream(arguments["index"])


_FIXED = frozenset(
    "cumsum diff gradient trace affine_grid_generator nansum trapezoid trapz "
    "cumulative_trapezoid tril triu diagonal "
    "linalg_diagonal diagonal_copy diag_embed diagflat unfold_copy im2col col2im unfold "
    "pad constant_pad_nd repeat_interleave index gather take_along_dim "
    "reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
    "replication_pad2d replication_pad3d grid_sampler grid_sampler_2d grid_sampler_3d "
    "upsample_linear1d upsample_trilinear3d upsample_nearest1d upsample_nearest3d "
    "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d "
    "_upsample_bilinear2d_aa _upsample_bicubic2d_aa _adaptive_avg_pool2d "
    "_adaptive_avg_pool3d real imag view_as_real view_as_complex _conj conj deg2rad rad2deg "
    "fft_fftshift fft_ifftshift".split()
)
"""Fixed coefficients for the first argument."""

_ADDING: dict[str, Callable[[Mapping[str, Any], IsStream], bool]] = {
    **dict.fromkeys(_FIXED, _first_only),
    **dict.fromkeys(_ADDS | JOINS | {"rsub", "block_diag", "pad_sequence"}, _always),
    **dict.fromkeys(("batch_norm", "_native_batch_norm_legit_no_training"), _of_evaluation),
    **dict.fromkeys(
        ("expand_as", "view_as", "reshape_as", "type_as"), _always
    ),  # of the other, the form
    **dict.fromkeys(("to", "_to_copy"), _stays_a_number),
    "addcmul": _one_factor,
    "addcdiv": _constant("tensor2"),
    "lerp": _constant("weight"),
    "masked_fill": _constant("mask"),
    "where": _constant("condition"),
    "complex": _always,
    **dict.fromkeys(("scatter_reduce", "index_reduce"), _mean_at_places),
}


def adds_up(operator: str, arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    """Tell whether an operator only adds up its streams, with factors that are the same at every
    step, and a constant (arguments as `is_homogeneous`)."""
    condition = _ADDING.get(operator)
    return is_homogeneous(operator, arguments, is_stream) or (
        condition is not None and bool(arguments) and condition(arguments, is_stream)
    )
