"""Fourier layers on spikes: real spikes into a transform, of complex values pairs of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.spikes import neuron_nodes
from snnconvert.errors import ConversionError
from snnconvert.ops.kinds import operator_name
from snnconvert.rules import parse_rules
from tests.converter.odd_models import FourierMixing
from tests.converter.verification.events.networks import Around, on_spikes, proven


class GlobalFilter(nn.Module):
    """A block of GFNet: weights of its own for each frequency of an image (arXiv 2107.00645)."""

    def __init__(self, width=6, size=8):
        super().__init__()
        torch.manual_seed(0)
        self.size = size
        self.weight = nn.Parameter(torch.randn(size, size // 2 + 1, width, 2) * 0.3)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Linear(12, width))

    def forward(self, x):
        size = (self.size, self.size)
        y = torch.fft.rfft2(self.before(x), dim=(1, 2), norm="ortho")
        y = y * torch.view_as_complex(self.weight)
        y = torch.fft.irfft2(y, s=size, dim=(1, 2), norm="ortho")
        return x + self.mlp(self.after(y))


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(24, 8, 8, 6)


def operators(snn):
    return [operator_name(node.target) for node in snn.conversion.sited.traced.graph.nodes]


@pytest.mark.parametrize(
    ("model", "shape"), [(GlobalFilter, (24, 8, 8, 6)), (FourierMixing, (24, 5, 8))]
)
def test_fourier_layers_are_on_spikes_whole(model, shape):
    torch.manual_seed(0)
    x, model = torch.randn(shape), model().eval()
    report = snnconvert.convert(model, (x[:4],), rules="fully_spiking", calibration=[x]).report
    assert report.passed and report.max_rel_error <= 1e-9
    assert report.spiking.degree == "all", report.notes
    assert report.spiking.rel_error < 1e-2 and report.spiking.work.spiking_share == 1.0
    assert not report.spiking.analog


def test_fnet_is_on_spikes_whole():
    snn = snnconvert.convert("hf-tiny:fnet", rules="fully_spiking")
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    assert snn.report.spiking.degree == "all", snn.report.notes


@pytest.mark.parametrize("rules", ["spiking", "sparse", "graded", "st_bif", "pow2"])
def test_every_rule_file_puts_neurons_before_transforms(rules, x):
    model = Around(lambda m, x: torch.fft.irfft(torch.fft.rfft(m(x)) * (0.3 + 1j)))
    snn = on_spikes(model, x, rules)
    assert len(snn.conversion.neurons) == 4  # of the map, of both transforms
    assert proven(snn, x) == ()


def test_a_complex_value_has_two_neurons_whoever_takes_it(x):
    def function(m, x):
        spectrum = torch.fft.rfft(m(x))
        return torch.fft.irfft(spectrum) + torch.fft.irfft(spectrum, norm="ortho")

    snn = on_spikes(Around(function), x)
    names = [site.name for site in snn.conversion.sited.sites.values()]
    assert sorted(names)[-2:] == ["self_neuron", "self_real_neuron"] and len(names) == 4
    assert operators(snn).count("complex") == 1


def test_each_rule_has_neurons_of_its_own(x, tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = Back(), Back()

        def forward(self, x):
            z = torch.fft.rfft(x)
            return self.one(z) + self.two(z)

    class Back(nn.Module):
        def forward(self, z):
            return torch.fft.irfft(z)

    rules = tmp_path / "own.yaml"
    rules.write_text(
        "version: 1\nextends: spiking\n"
        "rules: [{name: fine, match: {path: two}, action: spike_operands, neuron: {levels: 30}}]\n"
    )
    snn = on_spikes(Two(), x, rules)
    assert operators(snn).count("complex") == 2 and len(snn.conversion.neurons) == 5


def test_inputs_that_are_complex_are_on_spikes():
    x = torch.randn(8, 6, dtype=torch.cfloat)
    model = Around(lambda m, x: torch.fft.ifft(x).real).eval()
    report = snnconvert.convert(model, (x,), rules="fully_spiking", calibration=[x]).report
    assert report.passed and report.spiking.degree == "all", report.notes


def test_a_factor_that_turns_an_input_has_neurons_or_denies_the_degree():
    x = torch.randn(8, 6, dtype=torch.cfloat)
    model = Around(lambda m, x: torch.fft.ifft(x * 1j).real).eval()
    report = snnconvert.convert(model, (x,), rules="fully_spiking", calibration=[x]).report
    assert report.passed and report.spiking.degree == "all"
    left = "{name: left, match: {op: mul}, action: td}"
    rules = parse_rules(f"version: 1\nextends: fully_spiking\nrules: [{left}]")
    report = snnconvert.convert(model, (x,), rules=rules, calibration=[x]).report
    assert report.passed and report.spiking.degree == "maps"
    assert any("turns what an input brings" in note for note in report.notes)


def test_what_a_rule_leaves_is_named(x, tmp_path):
    rules = tmp_path / "own.yaml"
    left = "{name: left, match: {op: fourier}, action: td}"
    rules.write_text(f"version: 1\nextends: fully_spiking\nrules: [{left}]")
    snn = on_spikes(Around(lambda m, x: torch.fft.fft(m(x)).real), x, rules)
    (found,) = proven(snn, x)
    assert found.ran.operator == "aten._fft_r2c.default" and "no spikes" in found.why


def test_no_neuron_stands_behind_a_complex_output(x):
    rules = parse_rules(
        "version: 1\nextends: spiking\n"
        "rules: [{name: behind, match: {op: fourier}, action: neuron}]\n"
    )
    model = Around(lambda m, x: torch.fft.rfft(m(x)).real)
    with pytest.raises(ConversionError, match=r"'behind'.*'fourier'.*no place for 'neuron'"):
        on_spikes(model, x, rules)
    assert on_spikes(Around(lambda m, x: torch.fft.irfft(m(x).cfloat())), x, rules)


def test_mutation_a_part_that_is_lost_is_found(x, monkeypatch):
    real = neuron_nodes._PARTS["real"]
    monkeypatch.setattr(neuron_nodes, "_PARTS", {"real": real, "imaginary": real})
    model = Around(lambda m, x: torch.fft.irfft(torch.fft.rfft(m(x)))).eval()
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(model, (x[:4],), rules="fully_spiking", calibration=[x])
    assert not snn.report.passed
