from __future__ import annotations

import math

import pytest
import torch

import snnconvert
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.measure.histogram import Histogram
from snnconvert.ops.neurons import NEURONS


def _neuron(kind="multi_threshold", threshold=2.0, **options):
    return NEURONS[kind](threshold, **options)


def test_values_are_counted_in_thresholds_above_rest():
    found = Histogram(_neuron(threshold=2.0, rest=1.0))
    found.add(torch.tensor([[1.0, 3.0], [5.0, -3.0]]))
    drives = found.found()
    assert (drives.low, drives.high, sum(drives.counts)) == (-2.0, 2.0, 4)
    assert [i for i, n in enumerate(drives.counts) if n] == [0, 24, 36, 47]


def test_thresholds_of_features_lie_along_their_dimension():
    found = Histogram(_neuron(threshold=torch.tensor([1.0, 10.0]), axis=1))
    found.add(torch.tensor([[1.0, 10.0], [0.5, 5.0]])[:, :, None, None].expand(2, 2, 3, 3))
    drives = found.found()
    assert (drives.low, drives.high) == (0.5, 1.0)
    assert drives.counts[0] == drives.counts[-1] == 18


def test_later_values_that_are_beyond_are_in_the_outermost_parts():
    found = Histogram(_neuron(threshold=1.0))
    found.add(torch.tensor([[-1.0, 1.0]]))
    found.add(torch.tensor([[-9.0, 9.0, math.inf, math.nan]]))
    drives = found.found()
    assert (drives.low, drives.high) == (-1.0, 1.0)
    assert drives.counts[0] == drives.counts[-1] == 2 and sum(drives.counts) == 4


@pytest.mark.parametrize("value", [0.0, 1.0, -1e30])
def test_values_that_are_all_one_have_a_range(value):
    found = Histogram(_neuron(threshold=1.0))
    found.add(torch.full((2, 3), value))
    drives = found.found()
    assert drives.low < value < drives.high and sum(drives.counts) == 6


def test_without_finite_values_there_is_nothing():
    found = Histogram(_neuron())
    assert found.found() is None
    found.add(torch.tensor([[math.nan, math.inf]]))
    found.add(torch.zeros(0, 3))
    assert found.found() is None


@pytest.mark.parametrize(
    ("kind", "options", "levels", "signed"),
    [
        ("multi_threshold", {"levels": 3}, (1.0, 0.5, 0.25), True),
        ("multi_threshold", {"levels": 2, "per_octave": 2}, (1.0, 0.75, 0.5), True),
        ("integrate_and_fire", {}, (1.0,), False),
        ("sigma_delta", {}, (), True),
    ],
)
def test_levels_are_the_neurons_own(kind, options, levels, signed):
    neuron = _neuron(kind, 1.0, **options)
    found = Histogram(neuron)
    found.add(torch.tensor([[0.0, 1.0]]))
    drives = found.found()
    assert drives.levels == levels
    if levels:
        assert drives.signed is signed
        spikes = neuron.cumulative(torch.rand(1, 4000) * 2 - 0.5).unique()
        assert set(spikes.abs().tolist()) <= {0.0, *levels}


def test_a_site_has_its_drives_and_the_rate_of_each_answer():
    torch.manual_seed(0)
    x = torch.randn(6, 4)
    net = torch.nn.Linear(4, 3).eval()
    snn = snnconvert.convert(net, (x,), "spiking", time_steps=2, verify=False)
    batches = [torch.randn(6, 4), torch.randn(2, 4)]
    (site,) = measure_spiking(snn, batches).sites
    assert sum(site.drives.counts) == 8 * 4 and site.drives.per_octave == 4
    assert len(site.rates) == 2 and all(len(step) == 3 for step in site.rates)
    assert sum(map(sum, site.rates)) == pytest.approx(2 * site.rate)
    assert max(map(sum, site.rates)) == pytest.approx(site.most)
