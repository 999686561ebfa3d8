"""The state of `step`: its own tensors, and whole after an exception."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import snnconvert
from snnconvert.errors import StateError
from snnconvert.rules import parse_rules

SPIKES = """
version: 1
extends: default
time_steps: 4
neuron: {{type: {neuron}}}
rules: [{{name: spikes, match: {{op: linear}}, action: spike_operands}}]
"""


def spiking(neuron="multi_threshold"):
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
    data = torch.rand(64, 4)
    rules = parse_rules(SPIKES.format(neuron=neuron))
    return snnconvert.convert(model, (data[:2],), rules, calibration=[data], verify=False)


def exact(fn, *layers):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(layers)

        def forward(self, x):
            return fn(*self.layers, x)

    return snnconvert.convert(Net().eval(), (torch.randn(2, 4),), verify=False)


MODELS = {
    "linear": lambda: exact(lambda m, x: m(x), nn.Linear(4, 3)),
    "identity": lambda: exact(lambda x: x),
    "view": lambda: exact(lambda x: (x.t(), x[:, 0])),
    "twice": lambda: exact(lambda x: (x, x)),
    "relu in place": lambda: exact(lambda m, x: m(x).relu_(), nn.Linear(4, 3)),
    "truth values": lambda: exact(lambda x: (x > 0, x.argmax(-1))),
    "spiking": spiking,
}


def leaves(answer):
    return list(answer) if isinstance(answer, tuple) else [answer]


@pytest.mark.parametrize("name", MODELS)
def test_the_caller_may_write_to_what_it_gave_and_got(name):
    snn = MODELS[name]()
    steps = torch.randn(4, 2, 4)
    wanted = [[y.clone() for y in leaves(snn.step(x))] for x in steps]
    snn.reset()
    buffer = torch.empty(2, 4)
    for x, right in zip(steps, wanted, strict=True):
        answer = leaves(snn.step(buffer.copy_(x)))
        for y, z in zip(answer, right, strict=True):
            assert torch.equal(y, z)
            y.zero_()
        buffer.fill_(7.0)


def test_a_parameter_that_is_returned_is_not_the_callers_to_write():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(4, 3)

        def forward(self, x):
            return self.map(x), self.map.bias

    model = Net().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 4),), verify=False)
    before = model.map.bias.detach().clone()
    with torch.no_grad():
        snn.step(torch.randn(2, 4))[1].zero_()
    assert torch.equal(model.map.bias, before)


class Masked(nn.Module):
    def forward(self, x, mask):
        return x * mask[:, None]


@pytest.mark.parametrize("mask", [torch.tensor([1, 2]), torch.tensor([True, False])])
def test_a_held_input_changed_in_place_is_noticed(mask):
    snn = snnconvert.convert(Masked().eval(), (torch.randn(2, 4), mask), verify=False)
    given = mask.clone()
    snn.step(torch.randn(2, 4), given)
    snn.step(torch.randn(2, 4), mask.clone())
    given[0] = 0
    with pytest.raises(StateError, match="held input 'mask' changed"):
        snn.step(torch.randn(2, 4), given)


def test_the_caller_may_write_to_a_held_input_that_is_returned():
    class Both(nn.Module):
        def forward(self, x, mask):
            return x * mask, mask

    x, mask = torch.randn(2, 4), torch.tensor([[1, 2, 0, 1]] * 2)
    snn = snnconvert.convert(Both().eval(), (x, mask), verify=False)
    given = mask.clone()
    assert torch.equal(snn.step(x, given)[1], mask)
    given.fill_(9)
    assert not snn.step(x, mask)[1].any()


def test_a_held_input_changed_in_memory_of_others_is_noticed():
    """Nobody counts the writes of NumPy, and those behind ``.data``."""
    memory, x = np.array([1, 2]), torch.randn(2, 4)
    snn = snnconvert.convert(Masked().eval(), (x, torch.from_numpy(memory)), verify=False)
    given = torch.from_numpy(memory)
    snn.step(x, given)
    memory[0] = 0
    with pytest.raises(StateError, match="held input 'mask' changed"):
        snn.step(x, given)
    given.data[0] = 1
    snn.step(x, given)
    given.data[0] = 0
    with pytest.raises(StateError, match="held input 'mask' changed"):
        snn.step(x, given)


def test_a_held_input_of_a_device_that_is_the_same_tensor_is_not_looked_at(monkeypatch):
    """A look at values waits for a device."""
    mask, looks = torch.tensor([1, 2]), []
    snn = snnconvert.convert(Masked().eval(), (torch.randn(2, 4), mask), verify=False).to("meta")
    given, x = mask.to("meta"), torch.randn(2, 4, device="meta")
    monkeypatch.setattr(torch, "equal", lambda a, b: looks.append(b) or True)
    snn.step(x, given)
    snn.step(x, given)
    assert not looks
    given[1] = 3
    snn.step(x, given)
    snn.step(x, given)
    assert len(looks) == 1
    snn.step(x, given.clone())
    assert len(looks) == 2


def test_held_inputs_of_inference_mode_are_compared():
    with torch.inference_mode():
        mask = torch.tensor([1, 2])
        snn = snnconvert.convert(Masked().eval(), (torch.randn(2, 4), mask), verify=False)
        snn.step(torch.randn(2, 4), mask)
        mask[0] = 0
        with pytest.raises(StateError, match="held input 'mask' changed"):
            snn.step(torch.randn(2, 4), mask)


class Interrupted(Exception):
    pass


class Failing(TorchDispatchMode):
    """Raises at the n-th matrix product, before it is made."""

    def __init__(self, number):
        super().__init__()
        self.left = number

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten.addmm.default, torch.ops.aten.mm.default):
            self.left -= 1
            if not self.left:
                raise Interrupted
        return func(*args, **(kwargs or {}))


NEURONS = ["multi_threshold", "integrate_and_fire", "st_bif", "sigma_delta", "lif"]


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("number", [1, 2])
def test_a_step_that_failed_can_be_taken_again(neuron, number):
    snn = spiking(neuron)
    steps = torch.rand(4, 2, 4)
    with torch.no_grad():
        whole = [snn.step(x) for x in steps]
        snn.reset()
        for t, x in enumerate(steps):
            if t in (0, 2):
                with Failing(number), pytest.raises(Interrupted):
                    snn.step(x)
            assert torch.equal(snn.step(x), whole[t])


def test_a_step_that_does_not_fit_leaves_the_state():
    snn = MODELS["linear"]()
    steps = torch.randn(2, 2, 4)
    whole = [snn.step(x) for x in steps]
    snn.reset()
    snn.step(steps[0])
    with pytest.raises(StateError):
        snn.step(torch.randn(3, 4))
    assert torch.equal(snn.step(steps[1]), whole[1])
