from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import snnconvert
from snnconvert.converter.verification.check_tensors import check_tensors
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.neuronless import exact_twin
from snnconvert.converter.verification.reference import Reference, source_outputs
from snnconvert.errors import CalibrationError
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
    tensors = check_tensors(snn, torch.float64)
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
    tensors = check_tensors(snn, torch.float64)
    source_outputs(model, snn.conversion.source, [x.double()], tensors)
    assert torch.equal(tensors.of(model.scale), torch.ones(4, dtype=torch.float64))
    assert torch.equal(model.scale, torch.ones(4, dtype=dtype))


class Mixed(nn.Module):
    """Parts of a network that are kept in dtypes of their own, and told so by its code."""

    def __init__(self, kept: torch.dtype, first: bool) -> None:
        super().__init__()
        if first:
            self.early = nn.Parameter(torch.randn(4, 4).to(kept))
        self.map = nn.Linear(4, 4)
        self.late = nn.Parameter(torch.randn(4, 4).to(kept))
        self.register_buffer("shift", torch.randn(4, dtype=torch.float64))
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        if self.first:
            x = (x.to(self.early.dtype) @ self.early).float()
        h = self.map(x).relu().to(self.late.dtype) @ self.late
        return (h.double() @ torch.diag(self.shift)).float().softmax(-1)


@pytest.mark.parametrize("rules", ["default", "spiking", "fully_spiking"])
@pytest.mark.parametrize("kept", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("first", [False, True])
def test_what_is_kept_in_a_dtype_of_its_own_stays_in_it(rules, kept, first):
    model, x = Mixed(kept, first).eval(), torch.randn(6, 4)
    snn = snnconvert.convert(model, (x,), rules, calibration=[x, torch.randn(6, 4)])
    assert snn.report.passed
    assert torch.allclose(snn.simulate(x, time_steps=8)[-1], model(x), atol=0.03)
    for dtype in (torch.float32, torch.float64):
        report = snnconvert.verify(model, snn, dtype=dtype, tolerance=0.02, data=[x])
        assert report.passed


@pytest.mark.parametrize("rules", ["default", "spiking", "fully_spiking"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_conversion_that_was_cast_is_measured_on_data_of_either_dtype(rules, dtype):
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)).eval()
    x = torch.randn(6, 4)
    snn = snnconvert.convert(model, (x,), rules, calibration=[x], verify=False)
    snn = copy.deepcopy(snn).to(dtype)
    for data in ([x], [x.to(dtype)]):
        report = snnconvert.verify(None, snn, data=data)
        found = report.spiking or report.on_data
        assert found.rel_error < (1e-3 if rules == "default" else 0.1)


def test_data_of_a_third_dtype_are_refused():
    model, x = nn.Linear(4, 3).eval(), torch.randn(6, 4)
    snn = snnconvert.convert(model, (x,), verify=False).to(torch.bfloat16)
    with pytest.raises(CalibrationError, match=r"float16 on cpu, the module torch\.bfloat16"):
        snnconvert.verify(None, snn, data=[x.half()])
