"""Short-time Fourier transforms on spikes: windows, their transforms, and back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.ops.kinds import operator_name

WINDOW = torch.hann_window(12)


class Signal(nn.Module):
    """A function of a signal that a linear map makes, of 64 samples."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.map, self.function = nn.Linear(8, 64), function

    def forward(self, x):
        return self.function(self.map(x))


def stft(h, **options):
    options = {"hop_length": 4, "win_length": 12, "window": WINDOW.to(h.dtype), **options}
    return torch.stft(h, 16, return_complex=True, **options)


def istft(spectrum, **options):
    window = WINDOW.to(spectrum.real.dtype)
    return torch.istft(spectrum, 16, 4, win_length=12, window=window, **options)


TRANSFORMS = {
    "magnitudes": lambda h: stft(h).abs(),
    "both sides, normalized, not centred": lambda h: torch.view_as_real(
        stft(h, normalized=True, onesided=False, center=False)
    ),
    "without a window": lambda h: torch.stft(h, 16, return_complex=True).imag,
    "a rectangle that is shorter": lambda h: (
        torch.stft(h, 16, win_length=8, return_complex=True).real
    ),
    "of complex numbers": lambda h: torch.view_as_real(stft(torch.complex(h, h.tanh()))),
    "of complex numbers, which it is not asked for": lambda h: torch.view_as_real(
        torch.stft(torch.complex(h, h.tanh()), 16, 4, 12, WINDOW.to(h.dtype))
    ),
    "from the first window on": lambda h: torch.stft(
        *(h, 16, 4, 11, WINDOW.to(h.dtype)[1:]),
        center=False,
        align_to_window=True,
        return_complex=True,
    ).abs(),
    "in pairs": lambda h: torch.ops.aten.stft.default(h, 16, 4, return_complex=False),
    "there and back": lambda h: istft(stft(h)),
    "normalized, cut": lambda h: istft(stft(h, normalized=True), normalized=True, length=50),
    "both sides, lengthened": lambda h: istft(stft(h, onesided=False), onesided=False, length=68),
    "of complex numbers, back": lambda h: torch.view_as_real(
        istft(stft(torch.complex(h, h.tanh())), onesided=False, return_complex=True)
    ),
    "back, not centred": lambda h: torch.istft(
        torch.stft(h, 16, 5, center=False, return_complex=True), 16, 5, center=False
    ),
    "of one signal": lambda h: stft(h.mean(0)).real,
}


@pytest.mark.filterwarnings("ignore:A window was not provided")
@pytest.mark.parametrize("name", TRANSFORMS)
def test_short_transforms_are_on_spikes(name):
    torch.manual_seed(1)
    x = torch.randn(24, 8)
    snn = snnconvert.convert(
        Signal(TRANSFORMS[name]).eval(), (x[:4],), rules="fully_spiking", calibration=[x]
    )
    report = snn.report
    assert report.passed and report.max_rel_error <= 1e-9
    assert report.spiking.degree == "all", report.notes
    assert report.spiking.rel_error < 1e-2 and report.spiking.work.spiking_share == 1.0
    names = {operator_name(n.target) for n in snn.conversion.sited.traced.graph.nodes}
    assert not names & {"stft", "istft"}
    assert bool(snn.conversion.step_by_step) == (name == "of one signal")
