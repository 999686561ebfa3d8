from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import snnconvert
from snnconvert.converter.convert import NotEquivalentWarning

LOST = "their increments do not add up to them: values of up to"


class Filled(nn.Module):
    """Huge numbers, where the values say so, in the output or within."""

    def __init__(self, fill: float, *, within: bool = False) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
        self.fill, self.within = fill, within

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        filled = torch.where(h > 0, self.fill, h)
        return self.last(torch.relu(-filled)) if self.within else filled


@pytest.mark.parametrize("fill", [1e30, -1e9])
def test_increments_that_lose_digits_are_no_equivalence_and_it_is_said_why(fill):
    model, x = Filled(fill).eval(), torch.randn(4, 6)
    with pytest.warns(NotEquivalentWarning):
        snn = snnconvert.convert(model, (x,))
    (note,) = [note for note in snn.report.notes if LOST in note]
    assert f"up to {abs(fill):.1e} come and go" in note
    assert snn.report.first_failure is None
    x_seq = torch.randn(8, 4, 6)
    with torch.no_grad():
        expected = torch.stack([model(x) for x in x_seq.cumsum(0)])
        ordinary = expected.abs() < 100
        off = (snn(x_seq).cumsum(0) - expected)[ordinary].abs().max()
        assert off > 0.1  # as the report says
        assert torch.allclose(snn.cumulative(x_seq.cumsum(0)), expected, atol=1e-6)


def test_huge_values_within_a_network_lose_nothing():
    report = snnconvert.convert(Filled(1e30, within=True).eval(), (torch.randn(4, 6),)).report
    assert report.passed and not report.notes


class Added(nn.Module):
    """A row of attention: what is added to its scores says what is hidden, and how far it is."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(6, 6)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return (self.map(x) + mask).softmax(-1)


def test_a_mask_with_distances_that_was_left_coded_is_named():
    hidden = -0.3 * torch.arange(6.0).expand(4, 6)
    hidden = hidden.masked_fill(torch.arange(6) > 3, -1e9)
    model, given = Added().eval(), (torch.randn(4, 6), hidden)
    with pytest.warns(NotEquivalentWarning):
        snn = snnconvert.convert(model, given)
    (note,) = [note for note in snn.report.notes if LOST in note]
    assert "1.0e+09 of the input 'mask' come and go" in note and "declare 'mask' held=" in note
    assert snnconvert.convert(model, given, held=("mask",)).report.passed


def test_a_mask_of_zeros_and_huge_numbers_loses_nothing():
    hidden = torch.zeros(4, 6).masked_fill(torch.arange(6) > 3, -1e9)
    report = snnconvert.convert(Added().eval(), (torch.randn(4, 6), hidden)).report
    assert report.passed and report.max_rel_error < 1e-12


@pytest.mark.parametrize("scale", [1e-30, 0.3, 1.0, 7e8])
def test_padding_that_is_told_by_its_zeros_is_found(scale):
    class Padded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x.abs().sum(-1, keepdim=True) == 0, 3.0, (x / scale).tanh())

    x = scale * torch.randn(4, 6, 8)
    x[:, 4:] = 0
    report = snnconvert.convert(Padded().eval(), (x,)).report
    assert report.passed and report.max_rel_error < 1e-12


def test_another_error_is_not_said_to_be_lost_digits():
    model = Filled(1e30).eval()
    snn = snnconvert.convert(model, (torch.randn(4, 6),), verify=False)
    with torch.no_grad():
        snn.graph.find_nodes(op="call_function", target=torch.ops.aten.gt.Scalar)[0].update_arg(
            1, 0.5
        )
    report = snnconvert.verify(model, snn)
    assert not report.passed and not any(LOST in note for note in report.notes)


class Masked(nn.Module):
    """A mask that is the same for all values."""

    def __init__(self) -> None:
        super().__init__()
        self.map, self.kept = nn.Linear(6, 6), torch.tensor([True, False, True] * 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x).masked_fill(~self.kept, 1e30)


def test_outputs_that_change_beside_huge_values_do_change():
    report = snnconvert.convert(Masked().eval(), (torch.randn(4, 6),)).report
    assert report.passed and report.max_rel_error < 1e-12


def test_spikes_that_are_wrong_beside_huge_values_are_seen():
    model, x = Masked().eval(), torch.randn(16, 6)
    snn = snnconvert.convert(model, (x,), "spiking", calibration=[(x,)], verify=False)
    right = snnconvert.verify(model, snn, time_steps=4)
    with torch.no_grad():
        for neuron in snn.conversion.neurons.values():
            snn.get_submodule(neuron).v_threshold.mul_(1e6)
    wrong = snnconvert.verify(model, snn, time_steps=4)
    assert right.passed and right.spiking.rel_error < 0.1
    assert not wrong.passed and wrong.spiking.rel_error > 0.5
