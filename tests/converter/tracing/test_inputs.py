"""Binding: inputs that the source would refuse are refused, by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import CalibrationError, ConversionError, InputError, StateError, TraceError
from snnconvert.rules import parse_rules


def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (torch.float16, torch.float32),
        (torch.float32, torch.float64),
        (torch.bfloat16, torch.float32),
    ],
)
def test_an_example_of_another_dtype_than_the_model_is_told(model, x):
    for batch in (1, 2):
        with pytest.raises(TraceError, match=r"does not run on the example inputs: .*type"):
            snnconvert.convert(mlp().to(model), (torch.randn(batch, 4, dtype=x),))


def test_calibration_of_another_dtype_is_told():
    x = torch.randn(2, 4)
    with pytest.raises(CalibrationError, match=r"batch 0.*'input' is torch\.float64.*\.to\(torch"):
        snnconvert.convert(mlp(), (x,), "spiking", calibration=[torch.randn(8, 4).double()])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.complex64])
def test_a_run_in_another_dtype_is_told(dtype):
    snn = snnconvert.convert(mlp(), (torch.randn(2, 4),), verify=False)
    for call, x in ((snn.simulate, torch.randn(2, 4)), (snn, torch.randn(3, 2, 4))):
        with pytest.raises(
            InputError, match=f"'input' is {dtype} on cpu, the module torch.float32"
        ):
            call(x.to(dtype))


def test_inputs_follow_a_cast_of_the_module():
    snn = snnconvert.convert(mlp(), (torch.randn(2, 4),), verify=False).half()
    assert snn.simulate(torch.randn(2, 4).half()).dtype is torch.float16
    with pytest.raises(InputError, match=r"'input' is torch\.float32 .* module torch\.float16"):
        snn.simulate(torch.randn(2, 4))


class Masked(nn.Module):
    def forward(self, x, mask):
        return x * mask[:, None]


def test_truth_values_and_integers_are_not_each_other():
    mask = torch.tensor([True, False])
    snn = snnconvert.convert(Masked().eval(), (torch.randn(2, 4), mask), verify=False)
    with pytest.raises(InputError, match=r"'mask' was torch\.bool .* received torch\.int64"):
        snn.simulate(torch.randn(2, 4), mask.long())
    whole = snnconvert.convert(Masked().eval(), (torch.randn(2, 4), mask.long()), verify=False)
    whole.simulate(torch.randn(2, 4), mask.int())
    with pytest.raises(InputError, match=r"'mask' was torch\.int64 .* received torch\.float32"):
        whole.simulate(torch.randn(2, 4), mask.float())


def test_a_held_float_is_the_same_at_every_step():
    x, mask = torch.randn(2, 4), torch.rand(2)
    snn = snnconvert.convert(Masked().eval(), {"x": x, "mask": mask}, held=["mask"])
    assert snn.report.passed
    first = snn.simulate(x=x, mask=mask, time_steps=2, encoding="uniform")[0]
    torch.testing.assert_close(first, Masked()(x / 2, mask))
    snn.step(x=x, mask=mask)
    with pytest.raises(StateError, match="held input 'mask' changed"):
        snn.step(x=x, mask=mask + 1)
    with pytest.raises(InputError, match=r"'mask' is torch\.float64"):
        snn.simulate(x=x, mask=mask.double())


class Bytes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image):
        return self.conv(image.to(torch.float32) / 255).relu().mean((2, 3))


class Divided(Bytes):
    def forward(self, image):
        return self.conv(image / 255).relu().mean((2, 3))


@pytest.mark.parametrize("kind", [Bytes, Divided])
def test_images_of_bytes_are_told_the_rule_that_works(kind):
    x = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    with pytest.raises(ConversionError, match="encode") as caught:
        snnconvert.convert(kind().eval(), (x,))
    rule = str(caught.value).partition("the rule ")[2].partition(" (at")[0]
    text = f"version: 1\nextends: default\nrules:\n  - {rule}\n"
    model = kind().eval()
    snn = snnconvert.convert(model, (x,), parse_rules(text))
    assert snn.report.passed
    torch.testing.assert_close(snn.simulate(x)[-1], model(x))


def test_a_nan_in_calibration_is_told_without_the_graph():
    data = torch.randn(8, 4)
    data[3, 1] = float("nan")
    with pytest.raises(CalibrationError, match="holds NaN in calibration batch 0") as caught:
        snnconvert.convert(mlp(), (torch.randn(2, 4),), "spiking", calibration=[data])
    assert "While executing" not in str(caught.value)


class Two(nn.Module):
    def forward(self, x, mask):
        return 2 * x * mask


def test_inputs_traced_by_position_are_taken_by_name_too(tmp_path):
    x, mask = torch.rand(2, 3), torch.rand(2, 3)
    snn = snnconvert.convert(Two().eval(), (x, mask))
    snn.save(tmp_path / "two.snn")
    for one in (snn, snnconvert.load(tmp_path / "two.snn")):
        wanted = one.simulate(x, mask)
        torch.testing.assert_close(one.simulate(mask=mask, x=x), wanted)
        torch.testing.assert_close(one.simulate(x, mask=mask), wanted)
        for args, kwargs in (((x,), {"x": x}), ((), {"x": x}), ((x, mask), {"mask": mask})):
            with pytest.raises(InputError, match="the model was traced with x"):
                one.simulate(*args, **kwargs)


def test_inputs_traced_by_name_are_said_to_be():
    x, mask = torch.rand(2, 3), torch.rand(2, 3)
    snn = snnconvert.convert(Two().eval(), {"mask": mask, "x": x})
    with pytest.raises(InputError, match=r"Pass by keyword .*: mask=\.\.\., x=\.\.\."):
        snn.simulate(x, mask)


def test_other_nesting_is_shown_as_a_call():
    class Nested(nn.Module):
        def forward(self, xs):
            return xs[0] + 2 * xs[1]

    x = torch.rand(2, 3)
    snn = snnconvert.convert(Nested().eval(), ((x, x),))
    with pytest.raises(InputError, match=r"expected \(\(tensor, tensor\)\), received \(\[tensor"):
        snn.simulate([x, x])
