"""What may run between two spikes, by ATen operator and by what its operands hold.

Allowed are: to add and subtract what was received, to compare, to select, to look up by index, to
multiply by a constant that is a power of two or a weight on a spike, and to multiply two values of
which one is a spike. A constant is what is the same at every step; how many values a mask chose is
none (`snnconvert.converter.verification.events.sizes`).

By linearity, a constant factor behind a map or product of spikes is a weight on these spikes:
``c W s = (c W) s``, and in ``c (s B + A s')`` the sums ``A`` and ``B`` are of spikes with weights
as well. It passes sums, and comparisons and selections, which a factor commutes with. A received
value has no weights; a factor on it is taken up by the thresholds of a neuron right behind it, or
not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import torch

from snnconvert.converter.graph.spike_coded import KEEP_SPIKES
from snnconvert.converter.verification.events.execution import (
    NOT_TAKEN_UP,
    Execution,
    NotOnSpikes,
    Rule,
    refuse_waiting,
    refused,
    scaled,
    sum_of,
    times,
    together,
)
from snnconvert.converter.verification.events.labels import Content, Label
from snnconvert.converter.verification.events.products import (
    accumulated,
    divided,
    grouped,
    multiplied,
    normalized,
    product_added,
)
from snnconvert.ops.comparisons import COMPARISONS, compares, is_of_indices
from snnconvert.ops.sequence import is_number
from snnconvert.ops.weighing import (
    AVERAGES,
    HANDED_ON,
    INTERPOLATIONS,
    SUMS,
    is_power_of_two,
)
from snnconvert.torch_private import pytree


def judge(execution: Execution) -> Label | None:
    """Return the label of what an execution gives; None where that is constant.

    Raises:
        NotOnSpikes: it is not allowed.
    """
    return _RULES.get(execution.name, _of_indices)(execution)


def judge_increments(execution: Execution) -> Label | None:
    """Judge an execution of a node that is linear in its streams, and acts on their increments."""
    return judge(replace(execution, of_increments=True))


def _of_indices(execution: Execution) -> Label:
    """Allow what has no rule only where it makes indices of indices."""

    def is_constant(x: object) -> bool:
        return not (isinstance(x, torch.Tensor) and execution.label_of(x) is not None)

    values = [*execution.tracked(), *pytree.tree_leaves(execution.result)]
    tensors = [x for x in values if isinstance(x, torch.Tensor)]
    if any(is_number(x) for x in tensors):
        return refused(execution)
    if not is_of_indices(execution.name, execution.arguments, is_constant):
        return refused(execution)
    return together(execution)


def _constant(execution: Execution) -> None:
    return None  # it has the shape of what it is given, and nothing else of it


def _moved(execution: Execution) -> Label:
    x, made = execution.tracked()[0], execution.first_result()
    if execution.name in _VIEWS and made.dtype is not x.dtype:
        raise NotOnSpikes("takes the bits of a value for another")
    _refuse_rounding(execution)
    return together(execution)


def _refuse_rounding(execution: Execution) -> None:
    made = execution.first_result()
    if is_number(made) or made.dtype is torch.bool:
        return
    for x in execution.tracked():
        # Counts in floating point, as those of `histc`, are integers already.
        if x.is_floating_point() and bool((x != x.trunc()).any()):
            raise NotOnSpikes("rounds a value to an integer")


def _compared(execution: Execution) -> Label:
    if _is_mean_at_places(execution):
        return times(_summed(execution), execution.ran, uniform=False)
    if not compares(execution.name, execution.arguments, execution.first_result().dtype):
        return refused(execution)
    if execution.name in _WRITES:
        _refuse_rounding(execution)
    label = together(execution)
    refuse_waiting(label, uniform=False)
    adds = execution.arguments.get("accumulate") or execution.arguments.get("reduce") in _ADDS
    return label.summed() if adds or execution.name in _COUNTS else label


def _is_mean_at_places(execution: Execution) -> bool:
    """Tell whether values are averaged that go to the same places at every step; a mean of integers
    is rounded."""
    averages = execution.arguments.get("reduce") == "mean" and not execution.tracked("index")
    return averages and is_number(execution.first_result())


def _looked_up(execution: Execution) -> Label:
    if execution.tracked("weight"):
        return refused(execution)
    return Label(Content.WEIGHED)  # of a table of constants


def _added(execution: Execution) -> Label:
    label, alpha = together(execution), execution.arguments.get("alpha", 1)
    added = execution.labels("self" if execution.name == "rsub" else "other")
    if any(x.content is Content.RECEIVED for x in added) and not is_power_of_two(alpha):
        raise NotOnSpikes(NOT_TAKEN_UP)
    return label.summed()


def _added_at(execution: Execution) -> Label | None:
    """``self``, and at some indices ``alpha source`` beside it."""
    alpha, ran = execution.arguments.get("alpha", 1), execution.ran
    labels = [x.summed() for x in execution.labels("self", "index")]
    labels += [scaled(x.summed(), ran, alpha) for x in execution.labels("source")]
    refuse_waiting(sum_of(labels), uniform=False)
    return sum_of(labels)


def _summed(execution: Execution) -> Label:
    _refuse_rounding(execution)
    label = together(execution)
    refuse_waiting(label, uniform=False)
    return label.summed()


def _averaged(execution: Execution) -> Label:
    """A sum, and the share of each in it."""
    label = _summed(execution)
    (x,), y = execution.tracked(), execution.result
    uniform = execution.name == "mean"
    exact = uniform and is_power_of_two(x.numel() // max(1, y.numel()))
    return label if exact else times(label, execution.ran, uniform)


def _interpolated(execution: Execution) -> Label:
    if execution.tracked("weight", "grid"):
        raise NotOnSpikes("weighs by values that change, and adds up")
    label = _summed(execution)
    if label.content is Content.RECEIVED:
        raise NotOnSpikes("weighs and adds up what an input brings, where no spike carries it")
    return label


def _in_other_units(execution: Execution) -> Label:
    return times(together(execution), execution.ran, uniform=True)


_ADDS = ("add", "sum")
_COUNTS = ("histc", "count_nonzero")
_WRITES = ("fill", "slice_scatter", "select_scatter", "diagonal_scatter")  # and cast
_VIEWS = ("view", "view_copy")  # which may have another dtype, of the same bits


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(COMPARISONS, _compared),
        **dict.fromkeys(KEEP_SPIKES, _moved),
        **dict.fromkeys(HANDED_ON, _moved),
        **_named(
            "zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty",
            _constant,
        ),
        **_named("add sub rsub", _added),
        **dict.fromkeys(SUMS, _summed),
        "index_add": _added_at,
        **dict.fromkeys(AVERAGES, _averaged),
        **dict.fromkeys(INTERPOLATIONS, _interpolated),
        **_named("grid_sampler_2d grid_sampler_3d lerp affine_grid_generator", _interpolated),
        **_named("deg2rad rad2deg", _in_other_units),
        **_named("batch_norm native_batch_norm", normalized),
        **_named("_native_batch_norm_legit_no_training", normalized),
        # What has the sign of its imaginary part changed meets weights of another sign.
        **_named("_conj _conj_physical conj_physical resolve_conj", _moved),
        "embedding": _looked_up,
        "mul": multiplied,
        "div": divided,
        "addcmul": product_added,
        **_named(
            "mm bmm mv dot vdot matmul", accumulated("self", "mat2", "vec", "tensor", "other")
        ),
        **_named("addmm", accumulated("mat1", "mat2")),
        **_named("baddbmm addbmm", accumulated("batch1", "batch2")),
        **_named("addmv", accumulated("mat", "vec")),
        **_named("addr", accumulated("vec1", "vec2")),
        **_named("_trilinear", accumulated("i1", "i2", "i3")),
        **_named("convolution", accumulated("input", "weight")),
        **_named("linear", accumulated("input", "weight")),
        **_named("_fft_r2c _fft_c2c _fft_c2r", accumulated("self")),
        **_named("_grouped_mm transformers::grouped_mm_fallback", grouped),
    }
)
"""The rule of each operator; what has none is refused."""
