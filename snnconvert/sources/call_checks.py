"""What an operator has to be given so that its kernel keeps to its memory.

Some kernels believe that their arguments fit one another, because the Python functions above them
have looked; a file calls the kernels directly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.ops.sequence import is_number
from snnconvert.sources.bags import BAGS
from snnconvert.sources.budget import MOST_DIMENSIONS
from snnconvert.sources.operators import packet_of
from snnconvert.torch_private import OpOverload, schema_of

_MOST_PIECES = 1 << 16  # tensors that one call may return
_LARGEST_POWER = 1 << 32  # of a matrix
_TRAPPED = (torch.int32, torch.int64)  # shorter ones are divided as these
# Lists of numbers of which there may be more than dimensions: sizes of parts, or where they begin.
_PARTS_OF_ONE = ("split_sizes", "split_size", "indices", "sections", "indices_or_sections")
_STOPS = (0, -1)
_DIVISIONS = ("div", "divide")
_ROUNDED = ("floor_divide", "fmod", "remainder")
_REMEDY = (
    ": divide whole numbers with rounding_mode='floor', or by a number other than 0 and -1, or as "
    "floats"
)
_MOST_BINS = 1 << 24  # that a count has at least
_LARGEST_ORDER = 256  # of a multivariate gamma function, which takes as many times its argument


def call_problem(operator: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Why an operator may not be called with these arguments; empty where it may.

    Arguments:
        operator: any; one that checks its own arguments has no problems.
        args, kwargs: what it is called with; of tensors the shapes and dtypes count alone.
    """
    packet = packet_of(operator).removesuffix("_")
    check = _CHECKS.get(packet) or _LENIENT.get(packet, _pieces_fit)
    given = _given(operator, args, kwargs)
    trap = _trap(packet, given) if packet in (*_DIVISIONS, *_ROUNDED) else ""
    if check(given) and not trap and not _too_many_dimensions(operator, given):
        return ""
    return f"{operator} is called with arguments that do not fit{trap}"


def _too_many_dimensions(operator: OpOverload, given: Mapping[str, Any]) -> bool:
    """Whether a list of numbers for dimensions is longer than dimensions there may be."""
    lists = [
        value
        for argument in schema_of(operator).arguments
        if isinstance(value := given.get(argument.name), list | tuple)
        and argument.name not in _PARTS_OF_ONE
        and all(isinstance(one, int) for one in value)
    ]
    return any(len(numbers) > 2 * MOST_DIMENSIONS for numbers in lists)


def is_checked(node: fx.Node) -> bool:
    """Whether a call relies on its arguments, so that they have to be known."""
    operator = node.target
    if not isinstance(operator, OpOverload):
        return False
    packet = packet_of(operator).removesuffix("_")
    given = _given(operator, node.args, node.kwargs)
    towards_zero = packet in _DIVISIONS and given.get("rounding_mode") == "trunc"
    by = given.get("other")
    return packet in _CHECKS or (towards_zero and (not isinstance(by, int | float) or by in _STOPS))


def _given(operator: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by their names."""
    names = [argument.name for argument in schema_of(operator).arguments]
    # What a prim divides is rounded towards zero where it is whole.
    fixed = {"rounding_mode": "trunc"} if operator.namespace == "prims" else {}
    return fixed | dict(zip(names, args, strict=False)) | dict(kwargs)


def _numbers_fit(given: Mapping[str, Any]) -> bool:
    """Of a batch norm: a number for each channel in all that has one."""
    x = given["input"]
    each = ("weight", "bias", "running_mean", "running_var")
    found = [given[name] for name in each if given.get(name) is not None]
    return x.dim() >= 2 and all(y.shape == x.shape[1:2] for y in found)


def _norm_fits(given: Mapping[str, Any]) -> bool:
    v, g, dim = given["v"], given["g"], given.get("dim", 0)
    return -v.dim() <= dim < v.dim() and g.numel() == v.shape[dim]


def _attention_fits(given: Mapping[str, Any]) -> bool:
    query, key, value = given["query"], given["key"], given["value"]
    if not query.dim() == key.dim() == value.dim() == 4:
        return False
    wanted = (*query.shape[:3], key.shape[2])
    mask = given.get("attn_mask", given.get("attn_bias"))
    fits = mask is None or (
        mask.dim() in (2, 4)
        and all(n in (1, m) for n, m in zip(reversed(mask.shape), reversed(wanted), strict=False))
    )
    same = query.shape[0] == key.shape[0] and key.shape[:3] == value.shape[:3]
    some = min(*query.shape, *key.shape) > 0  # work is shared out by these
    return fits and same and some and query.shape[3] == key.shape[3]


def _grouped_attention_fits(given: Mapping[str, Any]) -> bool:
    """Of kernels in which several heads of queries may share one of keys and values."""
    return _attention_fits(given) and _is_multiple(given["query"].shape[1], given["key"].shape[1])


def _headwise_attention_fits(given: Mapping[str, Any]) -> bool:
    return _attention_fits(given) and given["query"].shape[1] == given["key"].shape[1]


def _is_multiple(number: int, of: int) -> bool:
    return number == of or (of > 0 and number % of == 0)


def _scales_fit(given: Mapping[str, Any]) -> bool:
    """Of a smoothed interpolation, whose kernel is as wide as a scale is small."""
    if "scale_factors" in given:
        return True  # it calls the one that is given both
    pairs = zip(given["self"].shape[2:], given["output_size"], strict=False)
    scales = [given.get(name) for name in ("scales_h", "scales_w")]
    return all(
        scale is None or (math.isfinite(scale) and abs(size * scale - out) <= 1)
        for (size, out), scale in zip(pairs, scales, strict=False)
    )


def _trap(packet: str, given: Mapping[str, Any]) -> str:
    """Why a processor may stop at a division of whole numbers; empty where it does not.

    It stops at 0, and at -1 where it divides the least number. A tensor is divided towards zero
    without a look at its numbers.
    """
    divided, by, mode = given.get("self"), given.get("other"), given.get("rounding_mode")
    if packet in _DIVISIONS and mode is None:
        return ""  # in floating point
    if isinstance(divided, Tensor) and is_number(divided):
        return ""
    if not isinstance(by, Tensor):
        return _REMEDY if not isinstance(by, float) and by in _STOPS else ""
    unseen = packet in _DIVISIONS and mode == "trunc" and not is_number(by)
    is_trapped = isinstance(divided, Tensor) and divided.dtype in _TRAPPED
    return _REMEDY if unseen and is_trapped else ""


def _order_fits(given: Mapping[str, Any]) -> bool:
    """Of a multivariate gamma function."""
    return bool(given["p"] <= _LARGEST_ORDER)


def _may_stop(given: Mapping[str, Any]) -> bool:
    """Whether a division is one at which a processor may stop, should it be of whole numbers."""
    by = given.get("other")
    harmless = isinstance(by, int | float) and by not in (0, -1)
    return given.get("rounding_mode") == "trunc" and not harmless


def _transform_fits(given: Mapping[str, Any]) -> bool:
    """Of a Fourier transform, whose dimensions are counted from the first, each once."""
    x, dims = given["self"], given["dim"]
    known = len(set(dims)) == len(dims) > 0 and all(0 <= dim < x.dim() for dim in dims)
    if not known or "last_dim_size" not in given:
        return known
    length = given["last_dim_size"]
    return bool(length > 0 and x.shape[dims[-1]] == length // 2 + 1)


def _has_bags(given: Mapping[str, Any]) -> bool:
    """Of bags of embeddings, the first of which is read whether there is one or not."""
    offsets = given["offsets"]
    return bool(offsets.numel() > bool(given.get("include_last_offset")))


def _weights_fit(given: Mapping[str, Any]) -> bool:
    """Of an LSTM: as many states and weights as its layers have, of the sizes of one another."""
    x, (hidden, cell), weights = given["input"], given["hx"], given["params"]
    if not x.dim() == hidden.dim() == cell.dim() == 3:
        return False
    ways = 2 if given["bidirectional"] else 1
    wide, gates = hidden.shape[2], 4 * cell.shape[2]
    after: list[tuple[int, ...]] = [(gates,)] * (2 if given["has_biases"] else 0)
    after += [(wide, cell.shape[2])] if wide != cell.shape[2] else []
    runs = len(weights) // (2 + len(after))
    sizes = [x.shape[2]] * ways + [ways * wide] * (runs - ways)
    wanted = [shape for size in sizes for shape in ((gates, size), (gates, wide), *after)]
    states = (runs, x.shape[0 if given["batch_first"] else 1])
    return (
        runs == given["num_layers"] * ways
        and hidden.shape[:2] == cell.shape[:2] == states
        and [tuple(weight.shape) for weight in weights] == wanted
        and len({tensor.dtype for tensor in (x, hidden, cell, *weights)}) == 1
    )


def _has_pairs(given: Mapping[str, Any]) -> bool:
    return bool(given["self"].dim() == 2 and given.get("p", 2) >= 0)


def _few_at_once(given: Mapping[str, Any]) -> bool:
    """Of combinations, which make a grid of as many dimensions as one has elements."""
    return bool(given.get("r", 2) <= MOST_DIMENSIONS)


def _few_bins(given: Mapping[str, Any]) -> bool:
    """Of counts, which have as many bins as they are asked for, whatever there is to count."""
    return bool(given.get("minlength", 0) <= _MOST_BINS)


def _has_a_scale(given: Mapping[str, Any]) -> bool:
    """Of a rounding to levels, whose scale is read whether there is one or not."""
    each = [given["scale"], given["zero_point"], given.get("fake_quant_enabled")]
    return all(x.numel() == 1 for x in each if isinstance(x, Tensor))


def _can_be_negated(given: Mapping[str, Any]) -> bool:
    """Of a power of a matrix, which is never done with the least integer, as it has no opposite."""
    return bool(-_LARGEST_POWER <= given["n"] <= _LARGEST_POWER)


def _pieces_fit(given: Mapping[str, Any]) -> bool:
    """Of operators that return many tensors: not too many."""
    return _pieces(given) <= _MOST_PIECES


def _pieces(given: Mapping[str, Any]) -> int:
    whole = given.get("self", given.get("input"))
    if not isinstance(whole, Tensor) or not whole.dim():
        return 0
    for name in ("sections", "chunks"):
        if isinstance(number := given.get(name), int):
            return number
    dim = given.get("dim", 0)
    length = whole.shape[dim] if isinstance(dim, int) and -whole.dim() <= dim < whole.dim() else 0
    each = given.get("split_size")
    return math.ceil(length / each) if isinstance(each, int) and each > 0 else 0


def _unbound_fits(given: Mapping[str, Any]) -> bool:
    return _pieces({**given, "split_size": 1}) <= _MOST_PIECES


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    **dict.fromkeys(
        (
            "native_batch_norm",
            "_native_batch_norm_legit",
            "_native_batch_norm_legit_no_training",
        ),
        _numbers_fit,
    ),
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), _norm_fits),
    **dict.fromkeys(
        ("_scaled_dot_product_cudnn_attention", "_scaled_dot_product_efficient_attention"),
        _headwise_attention_fits,
    ),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_flash_attention_for_cpu",
        ),
        _grouped_attention_fits,
    ),
    **dict.fromkeys(("_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa"), _scales_fit),
    **dict.fromkeys(("mvlgamma", "special_multigammaln"), _order_fits),
    **dict.fromkeys(("_fft_c2c", "_fft_c2r", "_fft_r2c"), _transform_fits),
    **dict.fromkeys(BAGS, _has_bags),
    "_pdist_forward": _has_pairs,
    "bincount": _few_bins,
    "combinations": _few_at_once,
    **dict.fromkeys(
        (
            "fake_quantize_per_tensor_affine",
            "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
        ),
        _has_a_scale,
    ),
    "lstm": _weights_fit,
    **dict.fromkeys(("matrix_power", "linalg_matrix_power"), _can_be_negated),
}
# What these are given matters less: unknown arguments are let be.
_LENIENT: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    **dict.fromkeys(("unbind", "unbind_copy"), _unbound_fits),
}
