"""Numbers at their limits: not finite, too large, too small, none, many; odd layouts."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import CalibrationError, ConversionError, InputError, VerificationError

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
BAD = [float("nan"), float("inf"), float("-inf")]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def poisoned(value: float) -> nn.Sequential:
    model = network()
    with torch.no_grad():
        model[2].weight[0, 0] = value
    return model


@pytest.mark.parametrize("rules", ["default", "spiking"])
@pytest.mark.parametrize("value", BAD)
def test_a_weight_that_is_not_finite_is_named(rules, value):
    with pytest.raises(VerificationError, match=r"linear at '2', whose '2\.weight' holds"):
        snnconvert.convert(poisoned(value), (X.abs() + 5,), rules, calibration=[(X,)] * 2)


def test_infinities_that_stay_are_compared_and_said():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.tensor([0.0, float("-inf"), 0.0, 0.0]))

        def forward(self, x):
            return x + self.mask

    report = snnconvert.convert(Masked().eval(), (X,)).report
    assert report.passed
    assert any("add at 'the model itself', whose 'mask' holds -inf" in n for n in report.notes)
    assert not any("infinit" in n for n in snnconvert.convert(network(), (X,)).report.notes)


@pytest.mark.parametrize("value", BAD)
def test_an_input_that_is_not_finite_is_named(value):
    x = X.clone()
    x[1, 2] = value
    # Where its infinities stay what they are, outputs can be compared.
    try:
        said = "; ".join(snnconvert.convert(network(), (x,)).report.notes)
    except VerificationError as error:
        said = str(error)
    assert "is that of input 'input'" in said


@pytest.mark.parametrize("value", BAD)
def test_calibration_data_that_is_not_finite_is_named(value):
    x = X.clone()
    x[1, 2] = value
    with pytest.raises(CalibrationError, match=r"'0\.input_neuron' holds .* batch 1"):
        snnconvert.convert(network(), (X,), "spiking", calibration=[(X,), (x,)])


def test_a_half_type_that_overflows_is_named():
    model = network()
    with torch.no_grad():
        model[0].weight.mul_(1e4)
    half = model.half()
    snn = snnconvert.convert(half, (100 * X.half(),))
    assert snn.report.passed  # in float64
    with pytest.raises(VerificationError, match="the first infinity is that of linear at '0'"):
        snnconvert.verify(half, snn, dtype=torch.float16)


def test_denormal_inputs_and_weights():
    model = network().double()
    with torch.no_grad():
        model[0].weight.mul_(1e-300)
        model[0].bias.zero_()
    x = X.double() * 1e-10
    snn = snnconvert.convert(model, (x,), verify=False)
    assert torch.equal(snn.simulate(x)[-1], model(x))
    # What is left of them is less than the last bit of the biases behind them.
    with pytest.raises(VerificationError, match="do not depend on its coded inputs"):
        snnconvert.verify(model, snn)


def test_batches_of_none_one_and_more():
    snn = snnconvert.convert(network(), (X[:1],))
    assert snn.report.passed
    assert snn(torch.zeros(2, 0, 4)).shape == (2, 0, 3)
    model, x = network(), torch.randn(5, 4)
    for count in (1, 5):
        torch.testing.assert_close(snn.simulate(x[:count], time_steps=3)[-1], model(x[:count]))
    with pytest.raises(VerificationError, match="degenerate"):
        snnconvert.convert(network(), (torch.zeros(0, 4),))


def test_one_step_and_a_thousand():
    model, snn = network(), snnconvert.convert(network(), (X,))
    torch.testing.assert_close(snn(X.unsqueeze(0))[0], model(X))
    x_seq = torch.randn(1000, 3, 4, dtype=torch.float64)
    found = snn.double()(x_seq).cumsum(0)
    expected = model.double()(x_seq.cumsum(0))
    assert (found - expected).abs().max() <= 1e-9 * expected.abs().max()
    with pytest.raises(InputError, match=r"time dimension .* is empty"):
        snn(x_seq[:0])


def test_models_without_parameters_or_without_coded_inputs():
    class Softmax(nn.Module):
        def forward(self, x):
            return x.softmax(-1)

    class Doubled(nn.Module):
        def forward(self, ids):
            return 2 * ids

    assert snnconvert.convert(Softmax().eval(), (X,)).report.passed
    ids = torch.randint(9, (3, 5))
    assert snnconvert.convert(nn.Sequential(nn.Embedding(9, 4)).eval(), (ids,)).report.passed
    with pytest.raises(ConversionError, match="no input is coded"):
        snnconvert.convert(Doubled().eval(), (ids,))


def test_any_strides_are_the_same():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    x = torch.randn(2, 3, 8, 8)
    snn = snnconvert.convert(model, (x.to(memory_format=torch.channels_last),))
    assert snn.report.passed
    x_seq = torch.randn(4, 2, 3, 8, 8)
    transposed = x_seq.transpose(3, 4).contiguous().transpose(3, 4)
    last = torch.stack([step.to(memory_format=torch.channels_last) for step in x_seq])
    expanded = x_seq[:1].expand(4, 2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(snn(transposed), snn(x_seq))
        torch.testing.assert_close(snn(last), snn(x_seq))
        torch.testing.assert_close(snn(expanded), snn(expanded.contiguous()))


def seconds(model: nn.Module) -> float:
    began = time.perf_counter()
    assert snnconvert.convert(model.eval(), (X,)).report.passed
    return time.perf_counter() - began


class Deep(nn.Module):
    """Residual layers, so that values reach the end."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(layers))

    def forward(self, x):
        for layer in self.layers:
            x = x + 0.1 * torch.tanh(layer(x))
        return x


class Wide(nn.Module):
    def __init__(self, branches: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 2) for _ in range(branches))

    def forward(self, x):
        return torch.cat([layer(x) for layer in self.layers], -1)


@pytest.mark.parametrize("kind", [Deep, Wide])
def test_a_thousand_layers_cost_no_more_than_their_share(kind):
    seconds(kind(10))
    few, many = seconds(kind(125)), seconds(kind(1000))
    assert many < 4 * 8 * few


def test_a_device_that_is_not_there_is_torchs_own_error():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises((RuntimeError, AssertionError), match=r"(?i)cuda|nvidia"):
        snnconvert.convert(network(), (X,), verify=False).to("cuda")
