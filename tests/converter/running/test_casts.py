from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import ConversionError, InputError, SavedFileError


class Norm(nn.Module):
    """A norm that computes in float32, whatever its model's dtype."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(8, 8)

    def forward(self, x):
        h = self.map(x)
        f = h.to(torch.float32)
        return (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + 1e-6)).to(h.dtype)


def large(dtype):
    torch.manual_seed(0)
    model = Norm().eval()
    with torch.no_grad():
        model.map.weight.mul_(3000)  # squares overflow in float16
    return model.to(dtype)


def test_a_pin_stays_through_a_cast_to_float64():
    model, x = large(torch.float16), torch.randn(2, 8).half()
    snn = snnconvert.convert(copy.deepcopy(model), (x,), verify=False)
    for _ in range(2):
        snn.double().half()
    with torch.no_grad():
        assert torch.equal(snn.simulate(x, time_steps=1)[-1], model(x))


class Pinned(nn.Module):
    def forward(self, x):
        return torch.softmax(x, -1, dtype=torch.float32).to(x.dtype)


def test_a_pin_of_an_operator_stays_too():
    x = torch.randn(2, 8).half()
    snn = snnconvert.convert(Pinned().eval(), (x,), verify=False)
    graph = str(snn.graph)
    operators = [(m, m.dtype) for m in snn.modules() if hasattr(m, "dtype")]
    assert operators
    snn.double()
    assert {m.dtype for m, _ in operators} == {torch.float64}
    snn.half()
    assert [(m, m.dtype) for m, _ in operators] == operators
    assert str(snn.graph) == graph


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("model", [Norm(), Pinned()])
def test_what_a_trace_does_not_tell_is_refused_and_nothing_is_cast(model, dtype):
    x = torch.randn(2, 8)
    snn = snnconvert.convert(copy.deepcopy(model).eval(), (x,), verify=False)
    with pytest.raises(ConversionError, match=rf"cannot be cast to {dtype}.*convert\(model\.to"):
        snn.to(dtype)
    assert snn.placed.dtype is torch.float32
    assert all(p.dtype is torch.float32 for p in snn.parameters())
    assert snn.double().float().simulate(x).dtype is torch.float32


def test_a_model_without_pins_is_cast_to_a_half_type():
    x = torch.randn(2, 4)
    snn = snnconvert.convert(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), (x,), verify=False)
    assert snn.half().simulate(x.half()).dtype is torch.float16


class Masked(nn.Module):
    """Follows its model's dtype where it names one."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(8, 8)

    def forward(self, x, mask):
        return self.map(x).relu() * mask[..., None].to(x.dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_dtype_is_derived_from_what_was_converted(dtype):
    model, mask = Masked().eval(), torch.tensor([[1, 0, 1], [1, 1, 1]])
    x = torch.randn(2, 3, 8)
    snn = snnconvert.convert(copy.deepcopy(model), (x, mask), verify=False)
    direct, around = copy.deepcopy(snn).to(dtype), copy.deepcopy(snn).double().to(dtype)
    assert str(direct.graph) == str(around.graph) != str(snn.graph)
    assert str(copy.deepcopy(around).float().graph) == str(snn.graph)
    with torch.no_grad():
        expected = copy.deepcopy(model).to(dtype)(x.to(dtype), mask)
        for cast in (direct, around):
            assert torch.equal(cast.simulate(x.to(dtype), mask, time_steps=1)[-1], expected)


def test_a_refused_cast_is_refused_after_another_too():
    snn = snnconvert.convert(Norm().eval(), (torch.randn(2, 8),), verify=False)
    with pytest.raises(ConversionError, match="cannot be cast"):
        snn.double().half()
    assert snn.placed.dtype is torch.float64


class Filters(nn.Module):
    """Filters frequencies by complex weights, and mixes them by a complex matrix."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)
        self.filter = nn.Parameter(torch.randn(3, dtype=torch.cfloat))
        self.register_buffer("mix", torch.randn(3, 3, dtype=torch.cfloat))

    def forward(self, x):
        return torch.fft.irfft((torch.fft.rfft(self.map(x)) * self.filter) @ self.mix, n=4)


@pytest.mark.parametrize("rules", ["default", "spiking", "fully_spiking"])
def test_complex_weights_follow_a_cast_to_float64_and_back(rules):
    model, x = Filters().eval(), torch.randn(6, 4)
    snn = snnconvert.convert(model, (x,), rules, calibration=[x])
    assert snn.report.passed
    before = snn.simulate(x, time_steps=8)
    torch.testing.assert_close(before[-1], model(x), rtol=1e-2, atol=1e-2)
    wide = copy.deepcopy(snn).double()
    after = wide.simulate(x.double(), time_steps=8)
    torch.testing.assert_close(after.float(), before, rtol=1e-3, atol=1e-3)
    assert wide.get_buffer("mix").dtype is torch.complex128
    assert wide.float().get_buffer("mix").dtype is torch.complex64
    assert torch.equal(wide.simulate(x, time_steps=8), before)


def test_a_complex_input_of_a_conversion_in_float64():
    model, x = nn.Linear(4, 3, dtype=torch.cfloat).eval(), torch.randn(2, 4, dtype=torch.cfloat)
    wide = copy.deepcopy(snnconvert.convert(model, (x,))).double()
    with pytest.raises(InputError, match=r"complex64 on cpu, the module torch\.complex128"):
        wide.simulate(x)
    answer = wide.simulate(x.to(torch.complex128))[-1]
    assert answer.dtype is torch.complex128
    torch.testing.assert_close(answer.to(torch.cfloat), model(x))


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_complex_weights_keep_what_is_imaginary_however_they_are_cast(rules):
    model, x = Filters().eval(), torch.randn(6, 4)
    snn = snnconvert.convert(model, (x,), rules, calibration=[x], verify=False)
    by_name, by_dtype = copy.deepcopy(snn).double(), copy.deepcopy(snn).to(torch.float64)
    state = by_dtype.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in by_name.state_dict().items())
    assert torch.equal(by_dtype.get_buffer("mix").to(torch.cfloat), model.mix)
    before, after = snn.simulate(x), by_dtype.simulate(x.double())
    torch.testing.assert_close(after.float(), before, rtol=1e-3, atol=1e-3)
    assert torch.equal(by_dtype.to(torch.float32).simulate(x), before)


def test_state_that_is_complex_is_cast_whole():
    model, x = nn.Linear(4, 3, dtype=torch.cfloat).eval(), torch.randn(2, 4, dtype=torch.cfloat)
    snn = snnconvert.convert(model, (x,), verify=False)
    first = snn.step(x)
    snn.to(torch.float64)
    rest = snn.step(torch.zeros(2, 4, dtype=torch.complex128))
    assert rest.abs().max() < 1e-6 < first.abs().min()


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int32])
def test_a_cast_to_what_is_no_floating_point_dtype_is_refused(dtype):
    snn = snnconvert.convert(nn.Linear(4, 3).eval(), (torch.randn(2, 4),), verify=False)
    with pytest.raises(ConversionError, match=rf"cast to {dtype}: .*take a floating-point dtype"):
        snn.type(dtype)
    assert snn.weight.dtype is torch.float32


def test_integers_are_not_cast():
    snn = snnconvert.convert(nn.Linear(4, 3).eval(), (torch.randn(2, 4),), verify=False)
    with pytest.raises(ConversionError, match="the integers of a conversion cannot be cast"):
        snn.type(torch.float64)


def test_complex_weights_have_no_parts_of_bfloat16():
    snn = snnconvert.convert(Filters().eval(), (torch.randn(6, 4),), verify=False)
    with pytest.raises(ConversionError, match=r"no complex dtype has parts of torch\.bfloat16"):
        snn.bfloat16()
    assert snn.get_buffer("mix").dtype is torch.cfloat


class Apart(nn.Module):
    """Keeps one layer in float32, and casts to it as its code says."""

    def __init__(self, dtype, first):
        super().__init__()
        if first:
            self.early = nn.Parameter(torch.ones(6))
        self.map, self.apart = nn.Linear(6, 6), nn.Linear(6, 6)
        self.map.to(dtype)
        self.first = first

    def forward(self, x):
        h = self.map(x).to(self.apart.weight.dtype)
        h = h * self.early if self.first else h
        return self.apart(h)


@pytest.mark.parametrize("rules", ["default", "spiking"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("casts", ["double", "float", "float double", "double float"])
def test_parts_of_a_dtype_of_their_own_are_cast_as_all_others(rules, first, dtype, casts):
    torch.manual_seed(0)
    model, x = Apart(dtype, first).eval(), torch.randn(8, 6).to(dtype)
    snn = snnconvert.convert(copy.deepcopy(model), (x,), rules, calibration=[x], verify=False)
    for cast in casts.split():
        getattr(model, cast)()
        getattr(snn, cast)()
    wanted = model.map.weight.dtype
    assert {p.dtype for p in snn.parameters()} == {wanted}
    with pytest.raises(InputError, match=f"the module {wanted}"):
        snn.simulate(x.half() if dtype is not torch.float16 else x.bfloat16())
    answer = snn.simulate(x.to(wanted), time_steps=8)[-1]
    assert answer.dtype is wanted
    torch.testing.assert_close(answer, model(x.to(wanted)), rtol=1e-2, atol=1e-2)
    assert snnconvert.verify(None, snn).passed
    assert snnconvert.verify(None, snn, dtype=torch.float32).passed
    assert (model.map.weight.dtype is dtype) or _is_refused_as_a_file(snn)


def _is_refused_as_a_file(snn):
    with pytest.raises(SavedFileError, match="its saved program would not follow"):
        snn.dumps()
    return True


@pytest.mark.parametrize("first", [False, True])
def test_a_part_that_is_cast_to_a_half_type_may_be_a_pin(first):
    x = torch.randn(8, 6).bfloat16()
    snn = snnconvert.convert(Apart(torch.bfloat16, first).eval(), (x,), verify=False)
    with pytest.raises(ConversionError, match=r"cannot be cast to torch\.bfloat16.*or a narrower"):
        snn.bfloat16()
    assert snn.float().simulate(x.float()).dtype is torch.float32
