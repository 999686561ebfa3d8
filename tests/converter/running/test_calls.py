"""Hooks on the modules of a conversion, and layers that are replaced."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import ConversionError, SavedFileError, SnnconvertError
from tests.converter.running.conftest import Net


@pytest.fixture
def exact():
    return snnconvert.convert(Net().eval(), (torch.randn(2, 4),), verify=False)


def test_hooks_fire_and_change_nothing(spiking):
    x, seen = torch.randn(2, 4), {}
    plain = spiking.simulate(x, time_steps=3)
    neurons = list(spiking.conversion.neurons.values())
    for name in ["block.0", "head", *neurons]:
        hook = spiking.get_submodule(name).register_forward_hook
        hook(lambda module, given, answer, name=name: seen.update({name: (given, answer)}))
    answer = spiking.simulate(x, time_steps=3)
    assert torch.equal(answer, plain)
    assert seen.keys() == {"block.0", "head", *neurons}
    (given,), head = seen["head"]
    assert torch.equal(head, answer.flatten(0, 1))
    assert given.shape == (6, 8)
    assert "forward" not in vars(spiking.get_submodule("head"))
    seen.clear()
    spiking.step(x)
    assert seen.keys() == {"block.0", "head", *neurons}


def test_hooks_may_change_what_passes(exact):
    x = torch.randn(2, 4)
    head = exact.get_submodule("head")
    handle = head.register_forward_hook(lambda m, given, answer: answer * 2)
    doubled = exact.simulate(x)[-1]
    handle.remove()
    torch.testing.assert_close(doubled, exact.simulate(x)[-1] * 2)
    handle = head.register_forward_pre_hook(lambda m, given: (given[0] * 0,))
    torch.testing.assert_close(exact.simulate(x)[-1], head.bias.expand(2, 3))
    handle.remove()


def test_what_a_hook_keeps_is_not_written_to(exact):
    kept = []
    handle = exact.get_submodule("block.0").register_forward_hook(lambda m, g, y: kept.append(y))
    exact.simulate(torch.randn(16, 4), time_steps=1)
    handle.remove()
    assert bool((kept[0] < 0).any())  # the ReLU after it works in place


@pytest.mark.parametrize(
    "register",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_backward_hook",
    ],
)
def test_hooks_on_what_is_not_called_are_said(exact, register):
    with pytest.warns(UserWarning, match="hook on this Sequential never fires") as caught:
        getattr(exact.get_submodule("block"), register)(lambda *_: None)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(exact.get_submodule("head"), register)(lambda *_: None).remove()
        copy.deepcopy(exact)


def test_a_layer_that_is_replaced_runs(exact):
    x, new = torch.randn(2, 4), nn.Linear(4, 8)
    head = exact.get_submodule("head")
    exact.get_submodule("block").register_module("0", new)
    wanted = head.cumulative(new(x).relu())
    torch.testing.assert_close(exact.simulate(x, time_steps=3)[-1], wanted)
    exact.head = nn.Sequential(nn.Linear(8, 5), nn.Tanh())
    torch.testing.assert_close(exact.simulate(x)[-1], exact.head(new(x).relu()))
    torch.testing.assert_close(exact.step(x), exact.head(new(x).relu()))
    with pytest.raises(SavedFileError, match=r"the layers block\.0, head were replaced"):
        exact.dumps()


@pytest.mark.parametrize("steps", [1, 4])
def test_what_a_replaced_layer_returns_is_not_written_to(steps):
    """The ReLU behind it works in place, and the layer may return what it was given."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    snn = snnconvert.convert(model.eval(), (torch.randn(2, 4),), verify=False)
    setattr(snn, "0", nn.Identity())
    x = torch.randn(2, 4)
    before = x.clone()
    assert torch.equal(snn.simulate(x, time_steps=steps)[-1], before.relu())
    assert torch.equal(x, before)


def test_what_cannot_be_replaced_is_told(exact, spiking):
    with pytest.raises(ConversionError, match=r"'block' \(Sequential\) cannot be replaced"):
        exact.block = nn.Linear(4, 8)
    path = next(iter(spiking.conversion.neurons.values()))
    parent, _, name = path.rpartition(".")
    setattr(spiking.get_submodule(parent), name, nn.Identity())
    with pytest.raises(SnnconvertError, match=f"'{path}' was replaced by a Identity"):
        spiking.simulate(torch.randn(2, 4))


def test_hooks_of_gradients_fire_and_change_nothing(spiking):
    x, seen = torch.randn(2, 4, requires_grad=True), []
    outputs, grads = [], []
    for _ in range(2):
        spiking.zero_grad()
        outputs.append(spiking.simulate(x, time_steps=3))
        outputs[-1].square().sum().backward()
        grads.append([parameter.grad for parameter in spiking.parameters()])
        operators = [n for n, m in spiking.named_modules() if hasattr(m, "step") and n]
        for name in operators:
            hook = spiking.get_submodule(name).register_full_backward_hook
            hook(lambda module, taken, given, name=name: seen.append((name, given[0].shape)))
    assert torch.equal(*outputs)
    assert all(map(torch.equal, *grads))
    shapes = dict(seen)
    assert shapes.keys() == set(operators)
    assert shapes["head"] == (6, 3) and shapes["block.1"] == (6, 8)


def test_what_a_hook_is_given_is_not_written_to(exact):
    kept = []
    exact.get_submodule("block.1").register_forward_hook(lambda m, given, y: kept.append(given[0]))
    exact.simulate(torch.randn(16, 4), time_steps=1)
    assert bool((kept[0] < 0).any())  # the ReLU would work in place


def test_hooks_of_all_modules_fire(spiking):
    seen = set()
    hook = nn.modules.module.register_module_forward_hook
    handle = hook(lambda module, given, answer: seen.add(module))
    try:
        spiking.simulate(torch.randn(2, 4))
    finally:
        handle.remove()
    neurons = map(spiking.get_submodule, spiking.conversion.neurons.values())
    assert seen >= {spiking.head, *neurons}
