"""Tune: rules that keep the predictions for less."""

from __future__ import annotations

import pytest
import torch
import yaml
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.errors import InputError
from snnconvert.rules import load_rules, parse_rules
from snnconvert.tuning.choices import CHOICES, EXACT
from snnconvert.tuning.journal import TuningJournal
from snnconvert.tuning.search import Search
from snnconvert.tuning.sites import PartlySpiking
from snnconvert.tuning.wanted import COSTS, Wanted


class Net(nn.Module):
    """A layer that all depends on, another that hardly counts, and a product at the root."""

    def __init__(self):
        super().__init__()
        self.first, self.side, self.last = nn.Linear(6, 32), nn.Linear(6, 32), nn.Linear(32, 4)
        self.beside = nn.Linear(6, 32)

    def forward(self, x):
        c = x.cos()
        h = self.first(x).tanh() + 1e-3 * (self.side(c) + self.beside(c))
        return self.last(h * h.sigmoid())


@pytest.fixture(name="given", scope="module")
def _given():
    torch.manual_seed(0)
    model = Net().eval().requires_grad_(False)
    return model, list(torch.randn(512, 6).split(64))


@pytest.fixture(name="tuned", scope="module")
def _tuned(given):
    model, batches = given
    return snnconvert.tune(model, (batches[0],), calibration=batches, keep=0.99)


def test_less_is_spent_and_predictions_are_kept(tuned):
    assert tuned.kept and tuned.chosen.agreement >= 0.99 and tuned.held.agreement >= 0.95
    assert tuned.chosen.energy < 0.7 * tuned.before.energy
    assert tuned.chosen.bits_per_value < tuned.before.bits_per_value
    assert tuned.chosen.source_energy == pytest.approx(tuned.before.source_energy)


def test_what_hardly_counts_gets_the_fewest_spikes(tuned):
    rules = {rule.name: rule.neuron for rule in tuned.rules.rules}
    side, first = rules["tuned: linear at side"], rules["tuned: linear at first"]
    assert (side.bursts, side.levels) < (first.bursts, first.levels) and side.bursts == 1
    assert rules["tuned: linear at beside"] == side  # they share their neurons
    assert len(tuned.snn.conversion.neurons) == 5


def test_its_rules_are_a_file_that_says_why(tuned, given, tmp_path):
    model, batches = given
    path = tmp_path / "tuned.yaml"
    path.write_text(tuned.to_yaml())
    assert load_rules(path) == tuned.rules
    assert "# K=1, " in path.read_text() and "of predictions kept" in path.read_text()
    snn = snnconvert.convert(model, (batches[0],), path, calibration=batches[0::2], verify=False)
    x = batches[1]
    assert torch.equal(snn.simulate(x), tuned.snn.simulate(x))


def test_nothing_is_random(tuned, given):
    model, batches = given
    again = snnconvert.tune(model, (batches[0],), calibration=batches, keep=0.99)
    assert again == tuned and again.to_yaml() == tuned.to_yaml()


@pytest.mark.parametrize("cost", COSTS)
def test_what_is_asked_for_is_made_small(given, cost):
    model, batches = given
    found = snnconvert.tune(
        model, (batches[0],), calibration=batches, keep=0.9, cost=cost, budget=30
    )
    of = {"energy": "energy", "bits": "bits_per_value", "spikes": "spikes_per_value"}[cost]
    assert getattr(found.chosen, of) < getattr(found.before, of)
    assert found.runs < 30 + 20


def test_more_is_kept_for_more(given):
    model, batches = given
    energies = [
        snnconvert.tune(
            model, (batches[0],), calibration=batches, keep=keep, caution=1.0
        ).chosen.energy
        for keep in (0.6, 1.0)
    ]
    assert energies[0] < energies[1]


def test_data_of_its_own(given):
    model, batches = given
    found = snnconvert.tune(
        model, (batches[0],), calibration=batches[:1], data=batches[1:3], budget=20
    )
    assert found.chosen.samples == found.held.samples == 64


def test_powers_of_two_stay_so(given):
    model, batches = given
    found = snnconvert.tune(model, (batches[0],), "pow2", calibration=batches, budget=30)
    assert found.chosen.energy < found.before.energy
    fitted = found.snn.conversion.calibration.fitted.values()
    assert {f.arguments["per_octave"] for f in fitted} == {1}


def test_fully_spiking_stays_so(given):
    model, batches = given
    found = snnconvert.tune(
        model, (batches[0],), "fully_spiking", calibration=batches, keep=0.95, budget=60
    )
    assert found.chosen.energy < found.before.energy
    report = snnconvert.verify(model, found.snn, data=batches[:1]).spiking
    assert report.degree == "all"


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"keep": 0.0}, "keep must be a share"),
        ({"keep": 1.5}, "keep must be a share"),
        ({"cost": "money"}, "cost must be one of energy, bits, spikes"),
        ({"keep": "0.9"}, "keep must be a share"),
        ({"budget": 0}, "budget must be a whole number of at least 1"),
        ({"budget": 9.5}, "budget must be a whole number of at least 1"),
        ({"caution": 0.5}, "caution must be a number of at least 1"),
        ({"caution": float("inf")}, "caution must be a number of at least 1"),
        ({"time_steps": 2}, "numbers of time steps to choose from, as in"),
        ({"journal": "no-such-folder/kept"}, "there is no directory"),
        ({"exact": True, "cost": "spikes"}, "exact layers have no spikes"),
        ({"time_steps": [0]}, "time_steps must be"),
        ({"data": []}, "at least 2 batches of data"),
        ({"data": torch.ones(8, 6)}, "data= is one tensor"),
        ({"calibration": torch.ones(8, 6)}, "calibration= is one tensor"),
        ({"calibration": {"x": torch.ones(8, 6)}}, "calibration= is one dict"),
        ({"rules": "default"}, "place no neuron whose levels"),
        ({"rules": "st_bif"}, "place no neuron whose levels"),
    ],
)
def test_what_cannot_be_tuned_is_told(given, arguments, said):
    model, batches = given
    with pytest.raises(InputError, match=said):
        snnconvert.tune(model, (batches[0],), **{"calibration": batches, **arguments})


class AtTheRoot(nn.Module):
    """A map of the model itself, and two of its modules."""

    def __init__(self):
        super().__init__()
        self.weight, self.mid, self.head = (
            nn.Parameter(torch.randn(8, 6)),
            nn.Linear(8, 8),
            nn.Linear(8, 4),
        )

    def forward(self, x):
        h = nn.functional.linear(x, self.weight).relu()
        return self.head(self.mid(h).relu())


def test_what_another_rule_takes_stays_its_own(given):
    _, batches = given
    rules = parse_rules(
        "version: 1\nextends: spiking\nrules:\n"
        "- {name: exact head, match: {op: linear, path: head}, action: td}\n"
    )
    model = AtTheRoot().eval().requires_grad_(False)
    found = snnconvert.tune(model, (batches[0],), rules, calibration=batches, budget=12)
    plan = found.snn.conversion.decided.plan
    decisions = {d.operation.path: d for d in plan.decisions if d.operation.kind == "linear"}
    assert decisions["head"].rule.name == "exact head" and decisions["head"].action == "td"
    assert decisions[""].rule.name == "tuned: linear at the root"
    again = snnconvert.tune(model, (batches[0],), found.rules, calibration=batches, budget=12)
    names = [rule.name for rule in found.rules.rules]
    assert [rule.name for rule in again.rules.rules] == names


def test_a_layer_may_be_exact_where_floats_cost_less(given):
    _, batches = given
    torch.manual_seed(1)
    # Of one input and one output for each sample: joins cost more than the multiplication saves.
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 1), nn.Linear(1, 4)).requires_grad_(False)
    rules = parse_rules(
        "version: 1\nextends: spiking\nneuron: {per_octave: 8, bursts: 4}\nrules: []\n"
    )
    ways = {
        exact: snnconvert.tune(
            model.eval(), (batches[0],), rules, calibration=batches, keep=1.0, exact=exact
        )
        for exact in (False, True)
    }
    taken = {rule.name: rule for rule in ways[True].rules.rules}
    assert taken["tuned: linear at 2"].action == "td"
    assert "# exact, in floats: adds 0 to" in ways[True].to_yaml()
    assert all(rule.action != "td" for rule in ways[False].rules.rules if rule.name[:5] == "tuned")
    assert ways[True].chosen.energy < ways[False].chosen.energy
    assert parse_rules(ways[True].to_yaml()) == ways[True].rules


def test_bits_of_exact_layers_are_those_of_floats(given):
    """Else a network without spikes would be the cheapest of those for several time steps."""
    model, batches = given
    options = {"calibration": [batches[0]], "verify": False}
    snn = snnconvert.convert(model, (batches[0],), "spiking", **options)
    exact = snnconvert.convert(model, (batches[0],), "default", verify=False)
    search = Search(snn, batches[:1], Wanted(cost="bits", exact=True), TuningJournal())
    values = sum(site.values for site in search.report.sites)
    bits = values * search.report.bits_per_value
    assert search.spent({}, search.report) == pytest.approx(bits)
    chosen = dict.fromkeys(search.groups, EXACT)
    assert search.spent(chosen, measure_spiking(exact, batches[:1])) == 32 * values


@pytest.mark.parametrize("lucky", [0, 1])
def test_what_the_first_search_found_is_not_lost_where_the_second_finds_less(
    given, monkeypatch, lucky
):
    model, batches = given
    options = {"calibration": [batches[0]], "verify": False}
    snn = snnconvert.convert(model, (batches[0],), "spiking", **options)
    search = Search(snn, batches[:1], Wanted(budget=1), TuningJournal())
    passes = iter(range(2))

    def agreement(self, chosen):
        return 1.0 if number == lucky else 0.0

    def cheapest(self, progress):
        nonlocal number
        number = next(passes)
        return found(self, progress)

    number, found = 0, Search._cheapest
    monkeypatch.setattr(Search, "_cheapest", cheapest)
    monkeypatch.setattr(Search, "_agreement", agreement)
    chosen = search.found(progress=False)
    assert chosen and search._share(chosen) < 0.5


def test_time_steps_are_chosen(given):
    model, batches = given
    rules = parse_rules("version: 1\nextends: spiking\nneuron: {bursts: 1}\nrules: []\n")

    def tuned(*steps):
        return snnconvert.tune(
            model, (batches[0],), rules, calibration=batches, budget=8, time_steps=steps
        )

    one, two, best = tuned(1), tuned(2), tuned(1, 2)
    cheaper = min((one, two), key=lambda found: found.chosen.energy)
    assert one.kept and two.kept and best.runs == one.runs + two.runs
    assert best.rules == cheaper.rules and best.snn.time_steps == cheaper.snn.time_steps
    assert (one.rules.time_steps, two.rules.time_steps) == (1, 2)
    assert best.rules.description == f"Tuned: {best.asked}."  # not that of what it began with
    assert best.before == one.before


def test_a_layer_that_no_rule_can_name_is_told_before_the_search(given):
    model = nn.Sequential()
    model.add_module("n" * 300, nn.Linear(6, 4))
    with pytest.raises(InputError, match="more than 256 characters, so that no rule can name it"):
        snnconvert.tune(model.eval(), (given[1][0],), calibration=given[1])


def test_without_classes_there_is_nothing_to_keep(given):
    _, batches = given
    with pytest.raises(InputError, match="no output has classes"):
        snnconvert.tune(nn.Linear(6, 1), (batches[0],), calibration=batches)


def test_choices_are_from_few_spikes_to_many():
    assert [c.bursts for c in CHOICES] == sorted(c.bursts for c in CHOICES)
    assert len(set(CHOICES)) == len(CHOICES)


def test_comments_do_not_change_what_is_read(tuned):
    assert yaml.safe_load(tuned.to_yaml()) == yaml.safe_load(tuned.rules.to_yaml())
    assert parse_rules(tuned.to_yaml()) == tuned.rules


def test_a_stopped_search_goes_on_from_its_journal(given, tuned, tmp_path, monkeypatch):
    model, batches = given
    path, ran = tmp_path / "tuned.journal", []
    closeness = PartlySpiking.closeness

    def stopped_after(most):
        def run(self, *args, **options):
            if len(ran) == most:
                raise KeyboardInterrupt
            ran.append(args)
            return closeness(self, *args, **options)

        return run

    def again(journal=path):
        return snnconvert.tune(
            model, (batches[0],), calibration=batches, keep=0.99, journal=journal
        )

    monkeypatch.setattr(PartlySpiking, "closeness", stopped_after(1000))
    again(None)
    whole = len(ran)
    ran.clear()
    monkeypatch.setattr(PartlySpiking, "closeness", stopped_after(9))
    with pytest.raises(KeyboardInterrupt):
        again()
    assert len(path.read_text().splitlines()) == 9
    ran.clear()
    monkeypatch.setattr(PartlySpiking, "closeness", stopped_after(1000))
    assert again() == tuned
    assert len(ran) == whole - 9
    assert not path.exists()


def test_a_journal_of_other_data_is_refused(given, tmp_path):
    model, batches = given
    path = tmp_path / "tuned.journal"
    TuningJournal(path, "0" * 64).recalled("T=1 survey", lambda: 1.0)
    with pytest.raises(InputError, match="holds runs of another model, or of other data"):
        snnconvert.tune(model, (batches[0],), calibration=batches, journal=path)
    assert path.exists()


class TwoAnswers(nn.Module):
    """A layer's classes in two orders, of what a function without weights makes."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(6, 4), function
        self.register_buffer("scale", torch.ones(4), persistent=False)

    def forward(self, x):
        y = self.layer(self.function(x)) * self.scale
        return {"a": y, "b": -y}


@pytest.mark.parametrize("other", ["function", "buffer", "output"])
def test_a_journal_of_what_computes_otherwise_is_refused(other, given, tmp_path, monkeypatch):
    torch.manual_seed(0)
    batches, path = given[1][:4], tmp_path / "kept"
    model = TwoAnswers(torch.tanh).eval()

    def search(output="a"):
        return snnconvert.tune(
            model, (batches[0],), calibration=batches, output=output, journal=path
        )

    def stopped(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(TuningJournal, "remove", stopped)
    with pytest.raises(KeyboardInterrupt):
        search()
    if other == "function":
        model.function = torch.sigmoid
    if other == "buffer":
        model.scale.mul_(2)
    with pytest.raises(InputError, match="holds runs of another model, or of other data"):
        search("b" if other == "output" else "a")


def test_figures_beyond_all_bounds_break_nothing(given, tuned, monkeypatch):
    """A journal is a claim: what is found is measured, whatever it holds."""
    model, batches = given
    recalled = TuningJournal.recalled

    def huge(self, run, make, *shape):
        return recalled(self, run, make, *shape) if shape else 1e308

    monkeypatch.setattr(TuningJournal, "recalled", huge)
    found = snnconvert.tune(model, (batches[0],), calibration=batches)
    assert found.before == tuned.before and 0 <= found.chosen.agreement <= 1
