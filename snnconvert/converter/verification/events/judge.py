"""What may run between two spikes, by ATen operator and by what its operands hold.

Allowed are: to add and subtract what was received, to compare, to select, to look up by index, to
multiply by a constant that is a power of two or a weight on a spike, and to multiply two values of
which one is a spike. A constant is what is the same at every step.

By linearity, a constant factor behind a map or product of spikes is a weight on these spikes:
``c W s = (c W) s``, and in ``c (s B + A s')`` the sums ``A`` and ``B`` are of spikes with weights
as well. It passes sums, and comparisons and selections, which a factor commutes with. A received
value has no weights; a factor on it is taken up by the thresholds of a neuron right behind it, or
not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.graph.spike_coded import KEEP_SPIKES
from snnconvert.converter.verification.events.labels import Content, Factor, Label, Ran, joined
from snnconvert.ops.comparisons import COMPARISONS
from snnconvert.torch_private import pytree


class NotOnSpikes(Exception):
    """An execution that is not allowed between two spikes.

    Args:
        why: it is not.
        factors: those that are to blame, where it is not the execution itself.
    """

    def __init__(self, why: str, factors: Iterable[Factor] = ()) -> None:
        super().__init__(why)
        self.factors = tuple(factors)


@dataclass(frozen=True)
class Execution:
    """An ATen call as it runs.

    Attributes:
        ran: what and where.
        name: bare name of the operator, without the ``_`` of one that writes.
        arguments: by schema name.
        label_of: of a tensor; None for constants.
        result: what it gave.
        tags: of the operator.
        of_increments: whether all that changes are increments: products of these are no part of
            the increments of a product.
    """

    ran: Ran
    name: str
    arguments: Mapping[str, Any]
    label_of: Callable[[Tensor], Label | None]
    result: Any
    tags: Collection[Any] = ()
    of_increments: bool = False

    def tracked(self, *names: str) -> list[Tensor]:
        """Return the tensors that depend on a stream, of these arguments or of all."""
        values = [self.arguments.get(n) for n in names] if names else [*self.arguments.values()]
        leaves = [x for x in pytree.tree_leaves(values) if isinstance(x, Tensor)]
        return [x for x in leaves if self.label_of(x) is not None]

    def labels(self, *names: str) -> list[Label]:
        """Return the labels of these tensors."""
        return [x for x in map(self.label_of, self.tracked(*names)) if x is not None]


Rule = Callable[[Execution], Label | None]

_NOT_TAKEN_UP = (
    "multiplies what an input brings by a constant that is no power of two, and neither weights of "
    "spikes before it nor the thresholds of a neuron right behind it can take it up"
)


def judge(execution: Execution) -> Label | None:
    """Return the label of what an execution gives; None where that is constant.

    Raises:
        NotOnSpikes: it is not allowed.
    """
    return _RULES.get(execution.name, _refused)(execution)


def judge_increments(execution: Execution) -> Label | None:
    """Judge an execution of a node that is linear in its streams, and acts on their increments."""
    return judge(replace(execution, of_increments=True))


def refuse_waiting(label: Label | None, *, uniform: bool = True) -> None:
    """Raise `NotOnSpikes` where factors wait that no neuron can take up any more.

    Args:
        label: of what goes on.
        uniform: whether factors that are one number may not go on either.
    """
    waiting = [] if label is None else [f for f in label.factors if uniform or not f.uniform]
    if waiting:
        raise NotOnSpikes(_NOT_TAKEN_UP, waiting)


def is_power_of_two(constant: Any) -> bool:
    """Tell whether all values of a constant are powers of two of any sign, or 0."""
    values = torch.as_tensor(constant)
    if values.is_complex():
        return False
    mantissa, _ = torch.frexp(values.double().abs())
    return bool(((mantissa == 0.5) | (mantissa == 0)).all())


def _refused(execution: Execution) -> Label:
    operands = execution.tracked()
    if operands and not any(x.is_floating_point() or x.is_complex() for x in operands):
        return _together(execution)  # of indices, which say what is chosen
    raise NotOnSpikes(
        "is no sum, comparison, selection, look-up or product with a spike, but computes on "
        "values that change"
    )


def _constant(execution: Execution) -> None:
    return None  # it has the shape of what it is given, and nothing else of it


def _together(execution: Execution) -> Label:
    """Return the label of all operands; those that were received must have the same factors."""
    labels = execution.labels()
    received = {x.factors for x in labels if x.content is Content.RECEIVED}
    label = joined(labels)
    assert label is not None
    if len(received) > 1:
        refuse_waiting(label)
    return label


def _moved(execution: Execution) -> Label:
    label, x = _together(execution), execution.tracked()[0]
    made = next(y for y in pytree.tree_leaves(execution.result) if isinstance(y, Tensor))
    is_integer = not made.is_floating_point() and not made.is_complex()
    if x.is_floating_point() and is_integer and made.dtype is not torch.bool:
        raise NotOnSpikes("rounds a value to an integer")
    return label


def _compared(execution: Execution) -> Label:
    label = _together(execution)
    refuse_waiting(label, uniform=False)
    return label


def _looked_up(execution: Execution) -> Label:
    if execution.tracked("weight"):
        return _refused(execution)
    return Label(Content.WEIGHED)  # of a table of constants


def _added(execution: Execution) -> Label:
    label, alpha = _together(execution), execution.arguments.get("alpha", 1)
    scaled = execution.labels("self" if execution.name == "rsub" else "other")
    if any(x.content is Content.RECEIVED for x in scaled) and not is_power_of_two(alpha):
        raise NotOnSpikes(_NOT_TAKEN_UP)
    return label.summed()


def _summed(execution: Execution) -> Label:
    return _compared(execution).summed()


def _averaged(execution: Execution) -> Label:
    """A sum, and the share of each in it."""
    label = _summed(execution)
    (x,), y = execution.tracked(), execution.result
    uniform = execution.name == "mean"
    exact = uniform and is_power_of_two(x.numel() // max(1, y.numel()))
    return label if exact else _times(label, execution.ran, uniform)


def _interpolated(execution: Execution) -> Label:
    label = _summed(execution)
    if label.content is Content.RECEIVED:
        raise NotOnSpikes("weighs and adds up what an input brings, where no spike carries it")
    return label


def _multiplied(execution: Execution) -> Label:
    names = ("self", "other")
    factors = execution.tracked(*names)
    if len(factors) == 2:
        return _product(execution, *names)
    other = "other" if execution.tracked("self") else "self"
    return _scaled(execution, execution.arguments[other])


def _divided(execution: Execution) -> Label:
    if execution.tracked("other"):
        raise NotOnSpikes("divides by a value that changes")
    if execution.arguments.get("rounding_mode") is not None:
        raise NotOnSpikes("rounds a quotient")
    return _scaled(execution, execution.arguments["other"])


def _normalized(execution: Execution) -> Label:
    if execution.arguments.get("training") or len(execution.tracked()) > 1:
        return _refused(execution)
    return _times(_together(execution), execution.ran, False)


def _product_added(execution: Execution) -> Label:
    """``self + value tensor1 tensor2``, elementwise."""
    names = ("tensor1", "tensor2")
    factors = execution.labels(*names)
    labels = [x.summed() for x in execution.labels("self")]
    if len(factors) == 2:
        labels.append(_product(execution, *names))
    labels += [_times(x, execution.ran, False) for x in factors if len(factors) == 1]
    return _sum_of(labels)


def _scaled(execution: Execution, constant: Any) -> Label:
    label = _together(execution)
    if label.content is Content.RECEIVED and is_power_of_two(constant):
        return label
    uniform = not isinstance(constant, Tensor) or constant.numel() == 1
    return _times(label, execution.ran, uniform)


def _times(label: Label, ran: Ran, uniform: bool) -> Label:
    """Return the label of a value times a constant that is no power of two."""
    if label.content is not Content.RECEIVED:
        return label.summed()
    return Label(label.content, label.factors | {Factor(ran, uniform)})


def _product(execution: Execution, *names: str) -> Label:
    """A linear map of a spike, or a product of which one factor is a spike."""
    labels = execution.labels(*names)
    spikes = [x for x in labels if x.content is Content.SPIKE]
    if len(labels) == 1 and not spikes:
        raise NotOnSpikes("multiplies by weights what are no spikes")
    if len(labels) > 1 and not spikes:
        raise NotOnSpikes("multiplies two values of which none is a spike")
    if len(labels) > 1 and execution.of_increments:
        raise NotOnSpikes("multiplies increments with each other")
    if len(labels) > 2:
        raise NotOnSpikes("multiplies more than two values that change")
    label = joined(labels)
    assert label is not None
    return label.summed()


def _accumulated(*names: str) -> Rule:
    """Return the rule of a product of some arguments that is added to the others."""

    def rule(execution: Execution) -> Label:
        summands = execution.arguments.keys() - set(names)
        labels = [x.summed() for x in execution.labels(*summands)] if summands else []
        if execution.tracked(*names):
            labels.append(_product(execution, *names))
        return _sum_of(labels)

    return rule


def _sum_of(labels: list[Label]) -> Label:
    label = joined(labels)
    assert label is not None
    if len(labels) > 1:
        refuse_waiting(label)
    return label


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(COMPARISONS, _compared),
        **dict.fromkeys(KEEP_SPIKES, _moved),
        **_named(
            "alias as_strided detach lift_fresh to _to_copy _reshape_alias cat stack complex "
            "view_as_real view_as_complex unfold im2col copy index gather take diagonal "
            "take_along_dim "
            "upsample_nearest1d upsample_nearest2d upsample_nearest3d reflection_pad1d "
            "reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d "
            "replication_pad3d native_channel_shuffle",
            _moved,
        ),
        **_named(
            "zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty",
            _constant,
        ),
        **_named("add sub rsub", _added),
        **_named("neg sum cumsum diff trace col2im scatter_add index_add", _summed),
        **_named(
            "mean avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d "
            "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d",
            _averaged,
        ),
        **_named(
            "upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d "
            "_upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler_2d grid_sampler_3d lerp",
            _interpolated,
        ),
        **_named("_upsample_nearest_exact1d _upsample_nearest_exact2d", _moved),
        **_named("batch_norm native_batch_norm", _normalized),
        **_named("_native_batch_norm_legit_no_training", _normalized),
        "embedding": _looked_up,
        "mul": _multiplied,
        "div": _divided,
        "addcmul": _product_added,
        **_named(
            "mm bmm mv dot vdot matmul", _accumulated("self", "mat2", "vec", "tensor", "other")
        ),
        **_named("addmm", _accumulated("mat1", "mat2")),
        **_named("baddbmm addbmm", _accumulated("batch1", "batch2")),
        **_named("addmv", _accumulated("mat", "vec")),
        **_named("addr", _accumulated("vec1", "vec2")),
        **_named("_trilinear", _accumulated("i1", "i2", "i3")),
        **_named("convolution", _accumulated("input", "weight")),
        **_named("linear", _accumulated("input", "weight")),
    }
)
"""The rule of each operator; what has none is refused."""
