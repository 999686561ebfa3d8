"""What a Fourier transform costs the source, and what it costs on spikes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.verification.measure.fourier import additions
from tests.converter.building.test_folding import module

X = torch.randn(2, 6, 8)
W = torch.ones(5, 7, dtype=torch.cfloat)
Z = torch.complex(X, X)

# transform of [2, 6, 8], and how many real numbers of the output a spike reaches
TRANSFORMS = {
    "fft": (lambda x: torch.fft.fft(x), X, 8 * 2),
    "fft of another dim": (lambda x: torch.fft.fft(x, dim=1), X, 6 * 2),
    "rfft": (lambda x: torch.fft.rfft(x), X, 5 * 2),
    "rfft of two": (lambda x: torch.fft.rfft2(x, dim=(1, 2), norm="ortho"), X, 6 * 5 * 2),
    "of all": (lambda x: torch.fft.fftn(x), X, 2 * 6 * 8 * 2),
    "of the last two": (lambda x: torch.fft.fftn(x, s=(6, -1)), X, 6 * 8 * 2),
    "padded": (lambda x: torch.fft.fft(x, n=10), X, 10 * 2),
    "of complex values": (lambda z: torch.fft.ifft2(z), Z, 6 * 8 * 2),
    "to real values": (lambda z: torch.fft.irfft(z), Z, 14),
    "hfft": (lambda z: torch.fft.hfft(z, 14), Z, 14),
    "ihfft": (lambda x: torch.fft.ihfft(x), X, 5 * 2),
}


def traced(function, x):
    """Return the node of a transform in a graph."""
    program = torch.export.export(module(function), (x,), strict=False).run_decompositions({})
    (node,) = [n for n in program.graph.nodes if "fft" in n.name]
    return node


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_spike_reaches_all_of_its_transform(name):
    function, x, values = TRANSFORMS[name]
    spikes = torch.zeros(x.shape)
    spikes[1, 2, 3], spikes[0, 0, 0] = 2, 1
    given = arguments_of(traced(function, x))
    transforms = 1 if name == "of all" else 2  # that a spike reaches
    assert additions(given, spikes, function(x)) == (3 * values, transforms * values)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_no_value_changes_that_is_not_counted(name):
    function, x, values = TRANSFORMS[name]
    one = torch.zeros_like(x)
    one[1, 2, 3] = 1
    changed = function(one)
    changed = torch.view_as_real(changed.resolve_conj()) if changed.is_complex() else changed
    assert 0 < int((changed.abs() > 1e-6).sum()) <= values


@pytest.mark.parametrize(
    ("function", "x", "read"),
    [
        (lambda x: torch.fft.fft(x, n=3), X, 3),
        (lambda x: torch.fft.rfft2(x, s=(6, 3)), X, 3),
        (lambda z: torch.fft.irfft(z, n=6), Z, 4),
    ],
)
def test_what_is_cut_off_is_not_read(function, x, read):
    given, y = arguments_of(traced(function, x)), function(x)
    found = [additions(given, torch.zeros(x.shape).index_fill(2, at, 1.0), y) for at in AT]
    assert [n > 0 for n, _ in found] == [i < read for i in range(8)]


AT = torch.arange(8).split(1)


class Filtered(nn.Module):
    """A filter of frequencies of the input."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(5, 2))

    def forward(self, x):
        return torch.fft.irfft(torch.fft.rfft(x) * torch.view_as_complex(self.weight), n=8)


def converted(rules, x):
    return snnconvert.convert(Filtered().eval(), (x,), rules=rules, calibration=[x])


def test_work_of_a_filter():
    x = torch.randn(4, 8)
    work = converted("spiking", x).report.spiking.work
    # Two transforms of 8 real values, each 2.5 n log2 n operations; half of them are MACs.
    assert work.source_macs == 2 * 2.5 * 8 * 3 / 2
    assert work.spiking_share == 1.0 and work.operations["MACs in floats"] == 0


COUNTED = {
    "of real values": (lambda x: torch.fft.rfft(x[..., 0]), 2 * 3 * 2),
    "of complex values": (lambda x: torch.fft.ifft(torch.view_as_complex(x)), 3 * 5 * 2),
    "to real values": (lambda x: torch.fft.irfft(torch.view_as_complex(x)), 3 * 8),
    "products of complex values": (
        lambda x: torch.view_as_complex(x) * torch.view_as_complex(x.flip(0)),
        3 * 2,
    ),
    "complex weights": (lambda x: torch.view_as_complex(x) @ W, 3 * 7 * 2),
}


@pytest.mark.parametrize("bursts", [1, 3])
@pytest.mark.parametrize("name", COUNTED)
def test_spikes_are_counted(name, bursts, tmp_path):
    """Two real parts and an imaginary one are 1, a level of their neurons: three spikes."""
    rules = tmp_path / "own.yaml"
    rules.write_text(
        "version: 1\nextends: spiking\ntime_steps: 1\nneuron: {type: multi_threshold, levels: 4, "
        f"per_octave: 1, bursts: {bursts}}}\nrules: []\n"
    )
    function, additions = COUNTED[name]
    x = torch.zeros(4, 5, 2)
    x[:, 0], x[:, 2, 0] = 1, 1
    report = snnconvert.convert(module(function), (x,), rules=rules, calibration=[x]).report
    work = report.spiking.work
    assert report.spiking.degree == "all" and work.spiking_share in (0.0, 1.0)
    kind = "products of spikes" if "products" in name else "accumulations"
    assert work.operations[kind] == additions


def test_what_is_left_in_floats_costs_what_the_source_costs(tmp_path):
    rules = tmp_path / "own.yaml"
    rules.write_text(
        "version: 1\nextends: spiking\ntime_steps: 2\n"
        "rules: [{name: left, match: {op: fourier}, action: td}]\n"
    )
    model = nn.Sequential(nn.Linear(8, 8), Filtered()).eval()
    x = torch.randn(4, 8)
    work = snnconvert.convert(model, (x,), rules=rules, calibration=[x]).report.spiking.work
    assert work.operations["MACs in floats"] == 2 * 2 * 2.5 * 8 * 3 / 2
    assert math.isclose(work.spiking_share, 64 / (64 + 60))
