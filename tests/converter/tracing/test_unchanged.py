"""A source is after a conversion what it was before."""

from __future__ import annotations

import copy
import functools
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

import snnconvert
from snnconvert.converter.tracing.unchanged import unchanged

GLOBAL: dict = {}
IN_A_LIST: list = []


def positions(x):
    return torch.arange(x.shape[1], dtype=x.dtype)[:, None] * 0.1


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x):
        return self.map(x) + self.places(x)


class Missing(Base):
    def places(self, x):
        if not hasattr(self, "cached"):
            self.cached = positions(x)
        return self.cached


class ClassDefault(Base):
    cached = None

    def places(self, x):
        if self.cached is None:
            self.cached = positions(x)
        return self.cached


class OnTheClass(Base):
    cached = None

    def places(self, x):
        if type(self).cached is None:
            type(self).cached = positions(x)
        return self.cached


class NewOnTheClass(Base):
    def places(self, x):
        if not hasattr(type(self), "late"):
            type(self).late = positions(x)
        return self.late


class DictOnTheClass(Base):
    cached: ClassVar[dict] = {}

    def places(self, x):
        return self.cached.setdefault(x.shape[1], positions(x))


class EmptyBuffer(Base):
    def __init__(self):
        super().__init__()
        self.register_buffer("cached", None, persistent=False)

    def places(self, x):
        if self.cached is None:
            self.cached = positions(x)
        return self.cached


class LateBuffer(Base):
    def places(self, x):
        if "late" not in self._buffers:
            self.register_buffer("late", positions(x), persistent=False)
        return self.late


class InADict(Base):
    def __init__(self):
        super().__init__()
        self.cached = {"nested": {}}

    def places(self, x):
        return self.cached["nested"].setdefault(x.shape[1], positions(x))


class InAList(Base):
    def __init__(self):
        super().__init__()
        self.seen = []

    def places(self, x):
        self.seen.append(positions(x))
        return self.seen[0]


class InAnObject(Base):
    def __init__(self):
        super().__init__()
        self.helper = SimpleNamespace(cached=None)

    def places(self, x):
        if self.helper.cached is None:
            self.helper.cached = positions(x)
        return self.helper.cached


class OfTheFile(Base):
    def places(self, x):
        return GLOBAL.setdefault("cached", positions(x))


class OfTheFilesList(Base):
    def places(self, x):
        if not IN_A_LIST:
            IN_A_LIST.append(positions(x))
        return IN_A_LIST[0]


@functools.lru_cache
def remembered(length):
    return torch.arange(float(length))[:, None]


class Remembered(Base):
    def places(self, x):
        return remembered(x.shape[1])


class Counting(Base):
    def __init__(self):
        super().__init__()
        self.calls, self.shape = 0, None
        self.register_buffer("count", torch.zeros(1))

    def places(self, x):
        self.calls, self.shape = self.calls + 1, x.shape
        self.count.add_(1)
        return positions(x)


KINDS = [
    Missing, ClassDefault, OnTheClass, NewOnTheClass, DictOnTheClass, EmptyBuffer, LateBuffer,
    InADict, InAList, InAnObject, OfTheFile, OfTheFilesList, Remembered, Counting,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_forward_sets_stays(kind):
    torch.manual_seed(0)
    model, x = kind().eval(), torch.randn(2, 5, 4)
    before = {name: copy.deepcopy(value) for name, value in vars(model).items()}
    on_class = set(vars(kind))
    for rules in ("default", "spiking"):
        snn = snnconvert.convert(
            model, (x,), rules, calibration=[x] if rules == "spiking" else None
        )
        assert snn.report.source_rel_error is not None
        assert set(vars(kind)) == on_class
        assert vars(model).keys() == before.keys()
        assert model._buffers.keys() == before["_buffers"].keys()
    assert not GLOBAL
    assert not IN_A_LIST
    wanted = model.map(x) + positions(x) * (10 if kind is Remembered else 1)
    answer = model(x)
    assert type(answer) is torch.Tensor
    torch.testing.assert_close(answer, wanted)
    copy.deepcopy(model)
    GLOBAL.clear()
    IN_A_LIST.clear()
    OnTheClass.cached = None
    if hasattr(NewOnTheClass, "late"):
        del NewOnTheClass.late
    DictOnTheClass.cached.clear()
    remembered.cache_clear()


def test_counters_and_shapes_are_put_back():
    model, x = Counting().eval(), torch.randn(2, 5, 4)
    snnconvert.convert(model, (x,))
    assert (model.calls, model.shape, float(model.count)) == (0, None, 0.0)


def test_a_cache_that_was_filled_before_stays():
    model, x = Missing().eval(), torch.randn(2, 5, 4)
    model(x)
    cached = model.cached
    snnconvert.convert(model, (x,))
    assert model.cached is cached
    assert type(cached) is torch.Tensor


def test_hooks_mode_and_requires_grad_stay():
    model, x = Missing().eval(), torch.randn(2, 5, 4)
    model.map.weight.requires_grad_(False)
    fired = []
    handle = model.map.register_forward_hook(lambda *_: fired.append(1))
    snnconvert.convert(model, (x,))
    assert not model.map.weight.requires_grad
    assert not model.training
    assert list(model.map._forward_hooks) == [handle.id]


def test_an_exception_inside_puts_back_too():
    model = Missing().eval()
    with pytest.raises(KeyError), unchanged(model):
        model.cached, model.map.other = 1, 2
        raise KeyError
    assert not hasattr(model, "cached")
    assert not hasattr(model.map, "other")


def test_a_model_that_cannot_be_copied_is_compared_with_itself():
    class Alone(Base):
        def places(self, x):
            return positions(x)

        def __deepcopy__(self, memo):
            raise TypeError("cannot be copied")

    report = snnconvert.convert(Alone().eval(), (torch.randn(2, 5, 4),)).report
    assert report.passed
    assert report.source_rel_error is not None


def test_a_failed_conversion_leaves_no_fake_tensor():
    class Fails(Missing):
        def forward(self, x):
            y = super().forward(x)
            return y[: int(y.sum().item())]

    model = Fails().eval()
    with pytest.raises(snnconvert.SnnconvertError):
        snnconvert.convert(model, (torch.randn(2, 5, 4),))
    assert not any(isinstance(value, FakeTensor) for value in vars(model).values())


@pytest.mark.parametrize("cls", [nn.Embedding, nn.EmbeddingBag])
def test_rows_that_a_lookup_rescales_are_put_back(cls):
    model = nn.Sequential(cls(5, 4, max_norm=0.5)).eval()
    before = model[0].weight.detach().clone()
    with unchanged(model):
        model(torch.tensor([[0, 3]]))
        assert not torch.equal(model[0].weight, before)
    assert torch.equal(model[0].weight, before)


class BatchStatistics(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        self.norm.train()
        return self.norm(x)


def test_statistics_that_a_batch_norm_updates_are_put_back():
    model, x = BatchStatistics().eval(), torch.randn(3, 4)
    before = copy.deepcopy(model.state_dict())
    with unchanged(model):
        model(x)
        assert not torch.equal(model.norm.running_mean, before["norm.running_mean"])
    assert snnconvert.convert(model, (x,)).report.passed
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_sparse_buffer_that_is_not_written_stays():
    model = nn.Module()
    model.register_buffer("edges", torch.eye(3).to_sparse())
    with unchanged(model):
        pass
    assert torch.equal(model.edges.to_dense(), torch.eye(3))
