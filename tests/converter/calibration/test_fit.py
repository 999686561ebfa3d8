"""One candidate for each site, within the spikes that sites share; the views of errors."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert.converter.calibration.fit as fitting
from snnconvert.converter.calibration.candidates import Candidate
from snnconvert.converter.calibration.fit import fit, spend
from snnconvert.converter.calibration.observe import Observed
from tests.converter.calibration.conftest import sited_of


def ways(*pairs):
    """Candidates with these errors and rates."""
    return [Candidate(way=None, error=error, rate=rate, saturated=0.0) for error, rate in pairs]


CHOICES = {
    "a": ways((0.8, 0.1), (0.4, 0.5), (0.1, 0.9)),
    "b": ways((0.5, 0.0), (0.4, 1.0)),
    "c": ways((0.6, 0.2), (0.2, 0.4)),
}
SIZES = {"a": 10, "b": 10, "c": 20}


@pytest.mark.parametrize(
    ("rate", "chosen"),
    [
        # Squared error for a spike: .12 and .0375 at a, .08 at c, .009 at b.
        (0.68, {"a": 0.1, "b": 0.4, "c": 0.2}),  # 27 spikes of 40 values
        (0.67, {"a": 0.1, "b": 0.5, "c": 0.2}),  # 17
        (0.42, {"a": 0.4, "b": 0.5, "c": 0.2}),  # 13
        (0.32, {"a": 0.4, "b": 0.5, "c": 0.6}),  # 9
        (0.22, {"a": 0.8, "b": 0.5, "c": 0.6}),  # 5, the fewest
        (0.05, {"a": 0.8, "b": 0.5, "c": 0.6}),  # none has so few
    ],
)
def test_the_least_errors_within_an_allowance_by_hand(rate, chosen):
    found = spend(CHOICES, SIZES, rate)
    assert {name: c.error for name, c in found.items()} == chosen


def test_no_other_choice_with_as_few_spikes_has_less_error():
    """Everett's theorem, against all choices of random candidates."""
    draw = random.Random(0)
    for _ in range(60):
        choices = {
            name: ways(*((draw.random(), draw.random()) for _ in range(4))) for name in "abc"
        }
        sizes = {name: draw.choice([1, 10, 100]) for name in "abc"}

        def spent(found, sizes=sizes):
            values = zip(found, sizes.values(), strict=True)
            return sum(c.rate * size for c, size in values) / sum(sizes.values())

        every = list(itertools.product(*choices.values()))
        rate = draw.random()
        found = tuple(spend(choices, sizes, rate).values())
        fewest = min(map(spent, every))
        assert spent(found) <= max(rate, fewest) * (1 + 1e-12)
        least = sum(c.error**2 for c in found)
        for other in every:
            if spent(other) <= spent(found):
                assert sum(c.error**2 for c in other) >= least - 1e-6


def test_the_fewest_are_the_fewest_of_small_sites_too():
    choices = {"large": ways((0.0, 0.6)), "small": ways((0.9, 0.1), (0.0, 0.2))}
    found = spend(choices, {"large": 10**9, "small": 1}, 0.5)
    assert found["small"].rate == 0.1
    equal = spend({"a": ways((0.9, 0.6), (0.1, 0.6))}, {"a": 1}, 0.5)
    assert equal["a"].error == 0.1


def test_what_is_not_worth_a_spike_is_left():
    """Of equal errors the one with fewer spikes, however many there may be."""
    found = spend({"a": ways((0.5, 0.9), (0.5, 0.1))}, {"a": 4}, 1.0)
    assert found["a"].rate == 0.1


def observed_of(sited, values=1.0):
    """What each site saw: positions of one name together, all with the shape of their drive."""
    by_name = {site.name: Observed(site.name, site.axes) for site in sited.sites.values()}
    for node, site in sited.sites.items():
        shape = [int(n) if isinstance(n, int) else 4 for n in node.meta["val"].shape]
        by_name[site.name].see(site.target(torch.rand(shape) * values), 0)
    return {node: by_name[site.name] for node, site in sited.sites.items()}


@pytest.fixture(name="views")
def _views(monkeypatch):
    """The views with which each site's candidates were judged, by its name."""
    found, candidates = {}, fitting.candidates

    def shown(site, observed, time_steps, views):
        assert site.name not in found  # of shared neurons one
        found[site.name] = views
        return candidates(site, observed, time_steps, views)

    monkeypatch.setattr(fitting, "candidates", shown)
    return found


def fitted(model, x, neuron="levels: 6"):
    sited, _ = sited_of(model, x, neuron)
    return fit(sited, observed_of(sited), 4, False)


class Split(nn.Module):
    """Two maps that read one drive."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 7), nn.Linear(5, 3)

    def forward(self, x):
        x = x.tanh()
        return self.a(x), self.b(x)


def test_a_linear_map_sees_its_weights(views):
    model = Split()
    fitted(model, torch.randn(4, 5))
    (found,) = views.values()
    assert found.keys() == {1} and found[1].shape == (5, 64)
    for columns, own in zip(found[1].split(32, 1), (model.a, model.b), strict=True):
        rows = own.weight.detach()
        where = (columns.T[:, None] == rows[None]).all(-1)
        assert where.any(1).all()  # each is a row of the map's own weight
        assert where.any(0).sum() > 1  # and not always the same


def test_a_grouped_convolution_sees_taps_of_a_group(views):
    conv = nn.Conv2d(6, 4, (3, 2), groups=2)
    fitted(nn.Sequential(nn.Tanh(), conv), torch.randn(4, 6, 5, 5))
    (found,) = views.values()
    view, weight = found[1], conv.weight.detach()
    assert found.keys() == {1} and view.shape == (6, 32)
    known = {
        tuple([0.0] * 3 * (o // 2) + weight[o, :, i, j].tolist() + [0.0] * 3 * (1 - o // 2))
        for o, i, j in itertools.product(range(4), range(3), range(2))
    }
    columns = {tuple(column) for column in view.T.tolist()}
    assert columns <= known and len(columns) > 8
    assert {next(i for i, x in enumerate(c) if x) for c in columns} == {0, 3}  # of both groups


def test_products_see_random_directions_and_the_sum(views):
    class Attention(nn.Module):
        def forward(self, x):
            return x.tanh() @ x.softmax(-1).transpose(1, 2)

    fitted(Attention(), torch.randn(4, 3, 5))
    left, right = views.values()
    # The neuron of what is transposed stands ahead of that.
    assert left.keys() == {2} and right.keys() == {1, 2}
    assert left[2].shape == (5, 33) and right[1].shape == (3, 33) and right[2].shape == (5, 33)
    assert torch.equal(left[2][:, 32], torch.ones(5))
    # What fractions lose together is lost of a mean that all share.
    assert torch.equal(right[1][:, 32], torch.full((3,), 32**0.5))
    assert left[2][:, :32].std() == pytest.approx(1.0, abs=0.2)


def test_a_map_that_reads_moved_spikes_is_seen_by_its_weights(views):
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(5, 2)

        def forward(self, x):
            return self.fc(x.flatten(0, 1)).unflatten(0, (-1, 3))

    fitted(model := Rows(), torch.randn(4, 3, 5))
    ((view,),) = (found.values() for found in views.values())
    rows = {tuple(row) for row in model.fc.weight.tolist()}
    assert {tuple(column) for column in view.T.tolist()} == rows


def test_what_a_map_and_a_product_read_is_seen_as_products_see_it(views):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(5, 2)

        def forward(self, x):
            x = x.tanh()
            return self.fc(x), x @ x.transpose(1, 2)

    fitted(Both(), torch.randn(4, 3, 5))
    assert views and all(view.shape[1] == 33 for v in views.values() for view in v.values())


class Vector(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5))

    def forward(self, x):
        return F.linear(x.tanh(), self.weight)


def test_a_linear_map_with_one_output_may_have_a_vector_for_a_weight(views):
    model = Vector()
    fitted(model, torch.randn(4, 5))
    (found,) = views.values()
    assert torch.equal(found[1], model.weight.detach()[:, None].expand(5, 32))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_linear_map_without_outputs_has_no_weights_to_see(views):
    fitted(nn.Sequential(nn.Tanh(), nn.Linear(5, 0)), torch.randn(4, 5))
    (found,) = views.values()
    assert found[1].shape == (5, 33)


def test_sites_that_share_a_neuron_are_fitted_once(views):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(3, 4, batch_first=True)

        def forward(self, x):
            return self.rnn(x)[0]

    sited, _ = sited_of(Recurrent(), torch.randn(4, 6, 3), "levels: auto, rate: 0.6")
    names = [site.name for site in sited.sites.values()]
    assert len(set(names)) < len(names)
    found = fit(sited, observed_of(sited), 4, False)
    assert found.keys() == views.keys() == set(names)


def test_each_allowance_is_shared_by_its_own_sites(monkeypatch):
    allowed = {}

    def shown(choices, sizes, rate):
        assert choices.keys() == sizes.keys()
        allowed[rate] = dict(sizes)
        return spend(choices, sizes, rate)

    monkeypatch.setattr(fitting, "spend", shown)
    model = nn.Sequential(nn.Tanh(), nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2), nn.Tanh())
    sited, _ = sited_of(nn.Sequential(model, nn.Linear(2, 2)), torch.randn(4, 5))
    sites = dict(sited.sites)
    for node, site in sites.items():
        if site.name.startswith("0.3"):
            sites[node] = replace(site, settings=replace(site.settings, rate=0.9))
    sited = replace(sited, sites=sites)
    found = fit(sited, observed_of(sited), 4, False)
    assert allowed == {
        0.3: {"0.1.input_neuron": 20, "1.input_neuron": 8},
        0.9: {"0.3.input_neuron": 24},
    }
    assert found.keys() == {site.name for site in sites.values()}
