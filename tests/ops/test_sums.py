"""How many additions and comparisons calls make."""

from __future__ import annotations

import pytest
import torch

from snnconvert.ops.comparisons import COMPARISONS
from snnconvert.ops.sums import _ADDITIONS, _COMPARISONS, CLIPS, additions, comparisons
from snnconvert.torch_private import schema_of

aten = torch.ops.aten
X = torch.randn(2, 3, 8, 8)


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
        ("avg_pool2d", aten.avg_pool2d.default, (X, [2], [1]), 2 * 3 * 7 * 7 * 4),
        ("avg_pool2d", aten.avg_pool2d.default, (X, [2, 3], [2, 2]), 2 * 3 * 4 * 3 * 6),
        ("upsample_bilinear2d", aten.upsample_bilinear2d.default, (X, [4, 4], False), 96 * 4),
        ("transpose", aten.transpose.int, (X, 1, 2), 0),
        ("mul", aten.mul.Tensor, (X, 2.0), 0),
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
        ("bucketize", aten.bucketize.Tensor, (X, torch.arange(7.0)), X.numel() * 3),
        ("searchsorted", aten.searchsorted.Tensor, (torch.arange(15.0), X), X.numel() * 4),
        ("lt", aten.lt.Scalar, (X, 0.0), X.numel()),
        ("where", aten.where.self, (X > 0, X, X), 0),
    ],
)
def test_comparisons(name, operator, args, wanted):
    assert _counted(comparisons, name, operator, *args) == wanted


def test_what_compares_is_known_to_compare_or_clips():
    assert _COMPARISONS.keys() - CLIPS <= COMPARISONS
    assert not _ADDITIONS.keys() & _COMPARISONS.keys()
