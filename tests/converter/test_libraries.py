"""Operators of other libraries that are called as ATen's are none of ATen's."""

from __future__ import annotations

import pytest
import torch

import snnconvert
from snnconvert.converter.verification.events import prove_spikes
from tests.converter.verification.events.networks import Around
from tests.libraries import of_a_library


def of_one(self):
    return (self * 0.7).tanh() + self


def of_two(self, other):
    return self.exp() - other


def of_weights(input, weight):
    return input @ weight.exp()


def of_three(input, weight, bias):
    return input.sin() * weight + bias


NAMESPACE = "snnconvert_converted"
ONE = "roll relu gelu silu softmax max view mean".split()
FUNCTIONS = {
    **{name: (of_one, lambda op: lambda m, x: op(m(x))) for name in ONE},
    **{name: (of_two, lambda op: lambda m, x: op(m(x), x)) for name in ("add", "mul", "matmul")},
    **{
        name: (of_weights, lambda op: lambda m, x: op(m(x), m.weight))
        for name in ("linear", "embedding")
    },
    **{
        name: (of_three, lambda op: lambda m, x: op(m(x), m.weight[0], m.bias))
        for name in ("rms_norm", "layer_norm", "batch_norm", "addcmul")
    },
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_computed_as_it_is(name):
    function, around = FUNCTIONS[name]
    operator = of_a_library(f"{NAMESPACE}::{name}", function)
    torch.manual_seed(0)
    model, x = Around(around(operator)).double().eval(), torch.randn(4, 6).double()
    exact = snnconvert.convert(model, (x,))
    assert exact.report.passed
    torch.testing.assert_close(exact.simulate(x, time_steps=3)[-1], model(x))
    spiking = snnconvert.convert(model, (x,), rules="fully_spiking", calibration=[(x,)])
    torch.testing.assert_close(
        spiking.simulate(x, time_steps=32)[-1], model(x), rtol=1e-3, atol=1e-3
    )
    assert spiking.report.spiking.degree == "maps"
    assert f"({NAMESPACE}::{name})" in " ".join(spiking.report.notes)
    ran = [v.ran.operator for v in prove_spikes(spiking, x).violations]
    assert ran == [f"{NAMESPACE}.{name}.default"]


def test_one_with_the_name_of_a_form_that_writes():
    tanh = of_a_library(f"{NAMESPACE}::tanh_", of_one)
    model, x = Around(lambda m, x: tanh(m(x))).double().eval(), torch.randn(4, 6).double()
    snn = snnconvert.convert(model, (x,))
    torch.testing.assert_close(snn.simulate(x, time_steps=2)[-1], model(x))
