"""Constants that weigh an input: on spikes where no neuron takes them up, else as they were."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.convert import as_source
from snnconvert.converter.spikes.degree import degree_of
from snnconvert.converter.spikes.explain import explain
from snnconvert.converter.spikes.factors import WEIGHING_KINDS
from snnconvert.errors import ConversionError
from snnconvert.rules import load_rules, parse_rules
from tests.converter.spikes.weighing import TAKEN_UP, WEIGHED, Weighing
from tests.converter.verification.events.networks import on_spikes, proven

LEFT = parse_rules(
    "version: 1\nextends: fully_spiking\nrules: [{name: left, action: td, match: {op: "
    f"[{', '.join(sorted(WEIGHING_KINDS | {'mul', 'div'}))}]}}}}]\n"
)
"""Every operator on spikes, but those that weigh."""


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(16, 5, 6)


def sites_of(snn):
    return list(snn.conversion.sited.sites.values())


@pytest.mark.parametrize("name", WEIGHED)
def test_what_weighs_an_input_is_on_spikes(name, x):
    snn = on_spikes(Weighing(WEIGHED[name]), x, verify=True)
    report = snn.report
    assert report.passed and report.max_rel_error <= 1e-9 and report.spiking.degree == "all"
    assert report.spiking.steps[-1].rel_error < 0.05
    assert proven(snn, x) == () and not any("in floats" in note for note in report.notes)


@pytest.mark.parametrize("name", TAKEN_UP)
def test_what_is_taken_up_gets_no_neuron(name, x):
    model = Weighing(TAKEN_UP[name])
    snn = on_spikes(model, x, verify=True)
    assert snn.report.passed and snn.report.spiking.degree == "all"
    weighing = [d.name for d in load_rules("fully_spiking").rules if "weights on" in d.name]
    assert weighing and not {site.rule for site in sites_of(snn)} & {*weighing}
    assert not any("in floats" in note for note in snn.report.notes)


MOVES = {
    "flip": lambda x: x.flip(-1),
    "sum": lambda x: x.cumsum(1),
    "largest": lambda x: x.cummax(1).values,
    "halved": lambda x: x * 0.5,
    "scaled": lambda x: x * 0.3,
    "divided": lambda x: x / 3,
    "by features": lambda x: x * torch.linspace(0.3, 1.7, 6).to(x),
    "averaged": lambda x: x - x.mean(1, keepdim=True),
    "mean": lambda x: x.mean(1, keepdim=True).expand_as(x),
    "pooled": lambda x: nn.functional.avg_pool1d(x, 3, 1, 1),
    "shifted": lambda x: x + 1,
}
JOINS = {
    "add": lambda a, b: a + b,
    "alpha": lambda a, b: torch.sub(a, b, alpha=0.7),
    "larger": torch.maximum,
    "where": lambda a, b: torch.where(a > 0, a, b),
    "cat": lambda a, b: torch.cat([a, b], -1)[..., 3:9],
}


def drawn(seed):
    """Return a function of moves, sums and weights of an input and of a map of it."""
    chosen = random.Random(seed)
    steps = [chosen.choice([*MOVES, *JOINS]) for _ in range(chosen.randint(2, 6))]
    picks = [chosen.random() for _ in range(2 * len(steps))]
    ends_in_map = chosen.random() < 0.5

    def function(n, m, x):
        values, left = [x, m(x)], iter(picks)
        for step in steps:
            a, b = (values[int(next(left) * len(values))] for _ in range(2))
            values.append(MOVES[step](a) if step in MOVES else JOINS[step](a, b))
        return m(values[-1]) if ends_in_map else values[-1]

    return function


@pytest.mark.parametrize("seed", [*range(24), 148, 209])
def test_drawn_networks_get_neurons_where_the_proof_lacks_them_and_nowhere_else(seed, x):
    left, snn = (on_spikes(Weighing(drawn(seed)), x, rules) for rules in (LEFT, "fully_spiking"))
    without = "all" if sites_of(snn) else "exact"
    assert degree_of(snn.conversion.sited, snn.conversion.decided) == without
    assert proven(snn, x) == ()
    if not proven(left, x):
        assert sites_of(snn) == sites_of(left)


def test_one_neuron_serves_a_map_and_a_share_before_it(x):
    snn = on_spikes(Weighing(WEIGHED["a share before a map"]), x)
    assert [site.name for site in sites_of(snn)] == ["map.input_neuron"]


def test_a_mean_has_its_neuron_where_there_are_fewer_values(x):
    (mean, _) = sites_of(on_spikes(Weighing(WEIGHED["less its mean"]), x))[::-1]
    assert mean.consumer == mean.drive == "mean"


@pytest.mark.parametrize("rules", ["spiking", "sparse", "st_bif"])
def test_rules_that_do_not_ask_for_it_leave_weights_alone(rules, x):
    snn = on_spikes(Weighing(WEIGHED["a share behind a map"]), x, rules)
    assert [site.name for site in sites_of(snn)] == ["map.input_neuron"]


def test_powers_of_two_have_these_neurons_too(x):
    snn = on_spikes(Weighing(WEIGHED["less its mean"]), x, "pow2", verify=True)
    assert snn.report.passed and snn.report.spiking.degree == "all"


@pytest.mark.parametrize("name", ["a norm by hand", "a pool of rows", "turned pairs"])
def test_one_sample_step_by_step(name, x):
    rules = parse_rules("version: 1\nextends: fully_spiking\nencoding: constant\ntime_steps: 3\n")
    snn, one = on_spikes(Weighing(WEIGHED[name]), x, rules), x[:1].double()
    assert proven(snn, x) == ()
    steps = torch.stack([snn.step(one / 3) for _ in range(3)])
    torch.testing.assert_close(steps.cumsum(0), snn.simulate(one), rtol=1e-9, atol=1e-12)


RULE = "version: 1\nrules: [{name: mine, match: {op: %s}, action: %s}]\n"


@pytest.mark.parametrize("op", ["mean", "add"])
def test_an_operand_of_what_weighs_is_none_of_a_map(op, x):
    model = Weighing(WEIGHED["less its mean"])
    with pytest.raises(ConversionError, match=f"'mine'.*'{op}'.*no place for 'spike_operands'"):
        on_spikes(model, x, parse_rules(RULE % (op, "spike_operands")))


def test_a_rule_for_what_weighs_alone_puts_its_neuron(x):
    snn = on_spikes(Weighing(WEIGHED["less its mean"]), x, parse_rules(RULE % ("mean", "spiking")))
    assert [site.name for site in sites_of(snn)] == ["output_neuron"]


def test_a_rule_for_what_weighs_spikes_changes_nothing(x):
    hidden = TAKEN_UP["what is hidden"]
    snn, left = (
        on_spikes(Weighing(hidden), x, rules, verify=True) for rules in ("fully_spiking", LEFT)
    )
    assert torch.equal(snn.simulate(x[:2].double()), left.simulate(x[:2].double()))
    assert snn.report.spiking.work == left.report.spiking.work
    assert [row.name for row in snn.report.spiking.layers] == [
        row.name for row in left.report.spiking.layers
    ]
    (row,) = [row for row in snn.report.kinds if row.kind == "mean"]
    assert row.action == "td"


def test_explain_says_what_weights_become(x):
    source = as_source(Weighing(WEIGHED["less its mean"]).eval(), (x,))
    nodes = explain(source, load_rules("fully_spiking")).nodes
    found = {n.kind: n.becomes for n in nodes}
    assert found["mean"] == "neurons: operand" and "needs no neuron" in found["add"]


def test_a_mask_that_is_held_chooses_and_weights_that_are_held_weigh(x):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(6, 6)

        def forward(self, x, mask):
            return self.map(x) + x * mask.to(x.dtype)

    for mask, neurons in ((x[0] > 0, 1), (torch.randint(3, (5, 6)), 1)):
        snn = snnconvert.convert(
            Masked().eval(), (x, mask), "fully_spiking", calibration=[(x, mask)], verify=False
        )
        assert len(snn.conversion.neurons) == neurons
