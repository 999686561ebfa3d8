"""What runs is seen however a module goes about it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnconvert.converter.verification.events.judge import judge
from snnconvert.converter.verification.events.labels import Content, Label
from snnconvert.converter.verification.events.watch import Watch
from tests.libraries import of_a_library


def watched(function):
    watch, x = Watch("node", "path", judge), torch.randn(3, 4)
    watch.see(x, Label(Content.WEIGHED))
    with torch.no_grad(), watch:
        result = function(x)
    return watch, result


def written_into(x):
    y = torch.zeros(3, 4)
    y[1:] = x[1:]
    return y.mul_(y)


def out_of_a_view(x):
    return x.view(-1)[:4].exp().sum()


def within_a_list(x):
    a, b = torch._foreach_mul([x, x], [x, x])
    return a + b


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (written_into, "aten.mul_.Tensor"),
        (out_of_a_view, "aten.exp.default"),
        (within_a_list, "aten._foreach_mul.List"),
        (nn.Linear(4, 4), "aten.addmm.default"),
        (nn.GRU(4, 4), "aten.tanh_.default"),
    ],
    ids=["written into", "view", "list", "module", "recurrence"],
)
def test_it_is_found(function, operator):
    watch, _ = watched(function)
    assert operator in {v.ran.operator for v in watch.violations}
    assert {(v.ran.node, v.ran.path) for v in watch.violations} == {("node", "path")}


def test_constants_are_not_looked_at():
    watch, result = watched(lambda x: torch.ones(4).exp() * 2)
    assert not watch.violations and watch.label_of(result) is None


def test_what_follows_is_not_to_blame():
    watch, result = watched(lambda x: x.exp() * 0.3 + x)
    assert [v.ran.operator for v in watch.violations] == ["aten.exp.default"]
    assert watch.label_of(result) == Label(Content.WEIGHED)


def test_what_is_empty_is_no_stream():
    watch, result = watched(lambda x: (x[:0], torch.zeros(0))[1])
    assert watch.label_of(result) is None


def test_what_has_the_shape_of_a_stream_is_told_from_what_comes_from_elsewhere():
    watch, (shape, elsewhere) = watched(lambda x: (torch.ones_like(x), torch.ones(3)))
    assert watch.label_of(shape) is None and watch.is_shape(shape)
    assert watch.label_of(elsewhere) is None and not watch.is_shape(elsewhere)


def test_an_operator_of_another_library_is_refused():
    roll = of_a_library("snnconvert_watched::roll", lambda self: self.exp())
    watch, _ = watched(roll)
    assert [v.ran.operator for v in watch.violations] == ["snnconvert_watched.roll.default"]
