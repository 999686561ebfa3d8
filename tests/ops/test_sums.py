"""How many additions and comparisons calls make."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from snnconvert.ops.comparisons import COMPARISONS
from snnconvert.ops.sums import _ADDITIONS, _COMPARISONS, CLIPS, additions, comparisons
from snnconvert.torch_private import schema_of

aten = torch.ops.aten
X = torch.randn(2, 3, 8, 8)
INDEX = torch.ones(1, 3, 8, 5, dtype=torch.long)
PLACES = torch.tensor([0, 2])


def _arguments(operator, *args, **kwargs):
    names = [a.name for a in schema_of(operator).arguments]
    given = {a.name: a.default_value for a in schema_of(operator).arguments}
    return given | dict(zip(names, args, strict=False)) | kwargs


def _counted(count, name, operator, *args, **kwargs):
    result = operator(*args, **kwargs)
    first = result[0] if isinstance(result, tuple) else result
    return count(name, _arguments(operator, *args, **kwargs), first)


@pytest.mark.parametrize(
    "name, operator, args, wanted",
    [
        ("add", aten.add.Tensor, (X, X), X.numel()),
        ("mean", aten.mean.dim, (X, [2, 3]), X.numel()),
        ("trace", aten.trace.default, (X[0, 0, :5],), 5),
        ("avg_pool2d", aten.avg_pool2d.default, (X, [2], [1]), 2 * 3 * 7 * 7 * 4),
        ("avg_pool2d", aten.avg_pool2d.default, (X, [2, 3], [2, 2]), 2 * 3 * 4 * 3 * 6),
        ("upsample_bilinear2d", aten.upsample_bilinear2d.default, (X, [4, 4], False), 96 * 4),
        ("transpose", aten.transpose.int, (X, 1, 2), 0),
        ("mul", aten.mul.Tensor, (X, 2.0), 0),
        ("add", aten.add.Tensor, (X.cfloat(), X), 2 * X.numel()),
        ("scatter", aten.scatter.src, (X, 0, INDEX, X), 0),
        ("scatter_add", aten.scatter_add.default, (X, 0, INDEX, X), INDEX.numel()),
        ("scatter_reduce", aten.scatter_reduce.two, (X, 0, INDEX, X, "mean"), INDEX.numel()),
        ("scatter_reduce", aten.scatter_reduce.two, (X, 0, INDEX, X, "amax"), 0),
        ("index_add", aten.index_add.default, (X, 1, PLACES, X[:, :2]), 2 * 2 * 64),
        ("index_put", aten.index_put.default, (X, [None, PLACES], X[:, :1], True), 2 * 2 * 64),
        ("index_put", aten.index_put.default, (X, [None, PLACES], X[:, :1], False), 0),
    ],
)
def test_additions(name, operator, args, wanted):
    assert _counted(additions, name, operator, *args) == wanted


@pytest.mark.parametrize(
    "name, operator, args, wanted",
    [
        ("amax", aten.amax.default, (X, [1]), X.numel()),
        ("max_pool2d", aten.max_pool2d.default, (X, [2], [2]), 2 * 3 * 16 * 4),
        ("sort", aten.sort.default, (X,), X.numel() * 3),
        ("topk", aten.topk.default, (X, 1), X.numel()),
        ("topk", aten.topk.default, (X, 3), 48 * (8 + 2 * 3)),
        ("topk", aten.topk.default, (X, 8), X.numel() * 3),  # a sort
        ("topk", aten.topk.default, (X, 0), 0),
        ("kthvalue", aten.kthvalue.default, (X, 2, 1), 128 * (3 + 2)),
        ("median", aten.median.dim, (X, -1), 48 * (8 + 3 * 3)),
        ("median", aten.median.default, (X[0, 0, 0],), 8 + 3 * 3),
        ("mode", aten.mode.default, (X,), X.numel() * 3),
        ("scatter_reduce", aten.scatter_reduce.two, (X, 0, INDEX, X, "amin"), INDEX.numel()),
        ("scatter_reduce", aten.scatter_reduce.two, (X, 0, INDEX, X, "sum"), 0),
        ("bucketize", aten.bucketize.Tensor, (X, torch.arange(7.0)), X.numel() * 3),
        ("searchsorted", aten.searchsorted.Tensor, (torch.arange(15.0), X), X.numel() * 4),
        ("lt", aten.lt.Scalar, (X, 0.0), X.numel()),
        ("where", aten.where.self, (X > 0, X, X), 0),
    ],
)
def test_comparisons(name, operator, args, wanted):
    assert _counted(comparisons, name, operator, *args) == wanted


WINDOWS = [(3,), (3, 2, 1), (2, 3), (3, 2, 1, True), ([3, 2], [1, 2], [1, 0])]


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_have_the_values_that_are_there(window):
    x, names = torch.ones(2, 3, 7, 6), ("stride", "padding", "ceil_mode")
    given = dict(zip(names, window[1:], strict=False))
    wanted = float(F.avg_pool2d(x, window[0], **given, divisor_override=1).sum())
    arguments = {"self": x, "kernel_size": window[0], **given}
    pooled, largest = F.avg_pool2d(x, window[0], **given), F.max_pool2d(x, window[0], **given)
    assert additions("avg_pool2d", arguments, pooled) == wanted
    assert comparisons("max_pool2d", arguments, largest) == wanted


def test_spread_and_adapted_windows():
    largest = aten.max_pool2d.default, X, [3], [2], [1], [2]
    # Along 8 values, -1 1 3, 1 3 5 and 3 5 7.
    assert _counted(comparisons, "max_pool2d", *largest) == 6 * 8 * 8
    for size, along in ((1, 8), (2, 8), (3, 3 + 4 + 3), (7, 7 * 2), (16, 16)):
        args = X, [size, size]
        average = _counted(
            additions, "_adaptive_avg_pool2d", aten._adaptive_avg_pool2d.default, *args
        )
        assert average == 6 * along**2
        largest = aten.adaptive_max_pool2d.default
        assert _counted(comparisons, "adaptive_max_pool2d", largest, *args) == average


def test_what_compares_is_known_to_compare_or_clips():
    assert _COMPARISONS.keys() - CLIPS <= COMPARISONS
    assert _ADDITIONS.keys() & _COMPARISONS.keys() == {"scatter_reduce", "index_reduce"}


def test_a_scatter_that_adds_up_is_counted():
    found = _counted(additions, "scatter", aten.scatter.reduce, X, 0, INDEX, X, reduce="add")
    assert found == INDEX.numel()
