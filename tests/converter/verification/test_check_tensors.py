from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import snnconvert
from snnconvert.converter.verification.check_tensors import CheckTensors
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.neuronless import exact_twin
from snnconvert.converter.verification.reference import Reference, source_outputs
from tests.converter.conftest import TinyCNN


def peak_of(run) -> int:
    """Return the most bytes of tensors that a run held beyond those that were there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    events = profiled.profiler.kineto_results.events()
    changes = [e for e in events if e.name() == "[memory]"]
    held = peak = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        peak = max(peak, held)
    return peak


def test_a_check_holds_one_float64_set_of_tensors():
    model = nn.Sequential(*(nn.Linear(512, 512) for _ in range(8))).eval()
    snn = snnconvert.convert(model, (torch.randn(2, 512),), verify=False)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    # Twice the float32 model, and activations.
    assert 2 * size < peak_of(lambda: snnconvert.verify(model, snn)) < 2.1 * size


def test_measuring_holds_none():
    model = nn.Sequential(*(nn.Linear(512, 512) for _ in range(8))).eval()
    snn = snnconvert.convert(model, (torch.randn(2, 512),), verify=False)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    data = [torch.randn(2, 512)]
    assert peak_of(lambda: measure_spiking(snn, data, time_steps=2)) < 0.2 * size


def test_both_sides_run_on_the_same_tensors():
    model = TinyCNN().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 8, 8),), verify=False)
    tensors = CheckTensors(torch.float64)
    twin, reference = exact_twin(snn, tensors), Reference(snn.conversion, tensors)
    for name, own in model.state_dict(keep_vars=True).items():
        if not own.is_floating_point():
            continue
        one, other = tensors.of(own), reference.tree.state_dict()[name]
        assert one.dtype is torch.float64
        assert one.data_ptr() == other.data_ptr() == twin.state_dict()[name].data_ptr()
        assert one.data_ptr() != own.data_ptr()


def test_what_was_absorbed_is_exact_and_the_conversion_keeps_its_own():
    model = TinyCNN().double().eval()
    rules = replace(snnconvert.load_rules("default"), absorb_batch_norm=True)
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    snn = snnconvert.convert(model, (x,), rules, verify=False)
    before = {name: value.clone() for name, value in snn.state_dict().items()}
    assert snn.conversion.absorbed
    assert snnconvert.verify(model, snn).passed
    with torch.no_grad():
        snn.get_parameter("conv1.weight").add_(1e-3)
    assert not snnconvert.verify(model, snn).passed
    with torch.no_grad():
        snn.get_parameter("conv1.weight").copy_(before["conv1.weight"])
    assert all(torch.equal(before[name], value) for name, value in snn.state_dict().items())


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.scale
        if not torch.compiler.is_exporting():
            self.scale.add_(1)
        return y


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_source_that_writes_to_its_buffers_writes_to_copies(dtype):
    model, x = Counts().to(dtype).eval(), torch.randn(2, 4, dtype=dtype)
    snn = snnconvert.convert(model, (x,), verify=False)
    tensors = CheckTensors(torch.float64)
    source_outputs(model, snn.conversion.source, [x.double()], tensors)
    assert torch.equal(tensors.of(model.scale), torch.ones(4, dtype=torch.float64))
    assert torch.equal(model.scale, torch.ones(4, dtype=dtype))
