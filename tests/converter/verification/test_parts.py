"""Samples that stop by themselves are counted up to then, and no further."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.reports.recorded import rebuilt
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.measure.parts import Part, parts_of
from snnconvert.errors import ArgumentError, InputError
from snnconvert.rules import parse_rules
from snnconvert.torch_private import pytree
from tests.converter.running.test_until import Rectified, T, converted, rules_of

CASES = [
    ("cnn", "st_bif, levels: 8"),
    ("transformer", "multi_threshold, levels: 8, per_octave: 1"),
    ("lstm", "st_bif, levels: 12"),
    ("rectified", "integrate_and_fire"),
]


def counts_of(report, samples):
    """Return the operations of all samples, by layer, site, kind and step."""
    return {
        (row.layer, row.site, kind, t): n * samples
        for row in report.ledger
        for kind, by_step in row.counts.items()
        for t, n in enumerate(by_step)
        if n
    }


def margin_of(snn, x):
    """Return a margin that samples reach after different steps."""
    scores = pytree.tree_leaves(snn.simulate(x))[0]
    leads = scores.topk(2, -1).values.diff(dim=-1).abs().unique().tolist()
    return next(m for m in leads if len(snn.simulate(x, until=m).steps.unique()) > 1)


MARGINS = [(name, neuron, "margin") for name, neuron in CASES if name in ("transformer", "lstm")]


@pytest.mark.parametrize(
    ("name", "neuron", "until"), [*((*case, "settled") for case in CASES), *MARGINS]
)
def test_the_ledger_is_the_sum_over_samples_that_are_run_alone_for_their_own_steps(
    name, neuron, until
):
    snn, x, dim = converted(name, neuron)
    if until == "margin":
        until = margin_of(snn, x)
    steps = snn.simulate(x, until=until).steps.tolist()
    assert len(set(steps)) > 1
    report = measure_spiking(snn, [x], until=until)
    wanted: dict[tuple, float] = {}
    for i, n in enumerate(steps):
        alone = measure_spiking(snn, [x.narrow(dim, i, 1)], time_steps=n)
        for key, count in counts_of(alone, 1).items():
            wanted[key] = wanted.get(key, 0.0) + count
    assert counts_of(report, 7) == pytest.approx(wanted, rel=1e-12)
    whole = measure_spiking(snn, [x])
    assert report.work.source == pytest.approx(whole.work.source, rel=1e-12)
    assert report.work.source_macs == pytest.approx(whole.work.source_macs)
    assert sum(counts_of(report, 7).values()) < sum(counts_of(whole, 7).values())


def test_closeness_is_that_of_the_answers_that_are_repeated():
    model, x = Rectified().eval(), torch.randn(7, 6) * torch.logspace(-2, 0, 7)[:, None]
    rules = rules_of("type: st_bif, levels: 8")
    snn = snnconvert.convert(model, (x,), rules, calibration=[x], verify=False).double()
    x = x.double()
    with torch.no_grad():
        wanted = model(x)
    for until in ("settled", 0.3):
        answers = snn.simulate(x, until=until).outputs.detach()
        report = measure_spiking(snn, [x[:4], x[4:]], until=until)
        errors = [float((y - wanted).norm() / wanted.norm()) for y in answers]
        assert [step.rel_error for step in report.steps] == pytest.approx(errors, rel=1e-9)
        last = snn.simulate(x, until=until).steps.max()
        assert last == T or report.steps[-1].energy == report.steps[last - 1].energy


def test_labels_go_with_their_samples_and_tell_which_scores_are_read():
    snn, x, _ = converted("lstm", "st_bif, levels: 8")
    labels = snn.simulate(x)["logits"][-1].argmax(-1)
    labels[3] = (labels[3] + 1) % 3
    report = measure_spiking(snn, [x], labels={"logits": labels}, until="settled")
    assert report.steps[-1].accuracy == pytest.approx(6 / 7) and report.taken.not_done == 0
    margin = measure_spiking(snn, [x], output="told", classes=2, until=0.1)
    found = snn.simulate(x, until=0.1, output="told", classes=2)
    assert margin.taken.counted == pytest.approx(float(found.steps.double().mean()))


def test_the_report_says_how_many_steps_samples_took():
    snn, x, _ = converted("rectified", "integrate_and_fire")
    found = snn.simulate(x, until="settled")
    steps = found.steps[found.done].double()
    assert 0 < len(steps) < 7
    report = measure_spiking(snn, x.split(3), until="settled")
    assert (
        f"until settled: samples were done after {steps.mean():.1f} steps on average (min "
        f"{steps.min():.0f}, max {steps.max():.0f}; {7 - len(steps)} of 7 were not done by T={T}); "
        f"operations are those of {found.steps.double().mean():.1f} steps per sample"
    ) in report.sentences()
    assert measure_spiking(snn, [x]).taken is None
    never = measure_spiking(snn, [x], time_steps=1, until=1e9)
    assert "until a margin of 1000000000.0: 7 of 7 were not done by T=1" in never.sentences()


def test_reports_are_read_again_and_so_are_those_of_before():
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    data = json.loads(json.dumps(measure_spiking(snn, [x], until="settled").to_dict()))
    assert rebuilt(SpikingReport, data).taken.samples == 7
    del data["taken"]
    assert rebuilt(SpikingReport, data).taken is None


class Ending(nn.Module):
    """A function whose table has an end."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.b(self.a(x).sinh())


def test_what_tables_do_not_reach_is_a_share_of_the_drives_that_they_met():
    x = torch.randn(8, 6) * torch.logspace(-2, 0, 8)[:, None]
    model = Ending().eval()
    rules = parse_rules(
        "version: 1\nextends: fully_spiking\ntime_steps: 16\nneuron: {type: st_bif, levels: 8, "
        "bursts: 1, table: {error: 1.0e-3, margin: 1}}\nrules: []\n"
    )
    snn = snnconvert.convert(model, (x,), rules, calibration=[x], verify=False)
    x *= 2
    alone = [measure_spiking(snn, [x[i : i + 1]], until="settled") for i in range(8)]
    whole = measure_spiking(snn, [x], until="settled")

    def outside(report):
        return next(site.table.outside for site in report.sites if site.table is not None)

    steps = [report.taken.counted for report in alone]
    assert len(set(steps)) > 1 and outside(whole) > 0
    met = sum(outside(r) * n for r, n in zip(alone, steps, strict=True)) / sum(steps)
    assert outside(whole) == pytest.approx(met)


def test_verify_passes_it_on_and_refuses_it_where_there_is_nothing_to_stop():
    snn, x, _ = converted("rectified", "st_bif, levels: 8")
    report = snnconvert.verify(None, snn, until="settled")
    assert report.spiking.taken.until == "settled"
    with pytest.raises(ArgumentError, match="until=-1"):
        snnconvert.verify(None, snn, until=-1)
    exact = snnconvert.convert(Rectified().eval(), (x.float(),), verify=False)
    with pytest.raises(InputError, match=r"until= .*no neurons.*leave it out"):
        snnconvert.verify(None, exact, until="settled")


class Squeezing(nn.Module):
    """One sample alone has lost its dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.b(self.a(x).relu().squeeze(0))


def test_a_sample_that_the_model_does_not_take_alone_is_refused():
    x = torch.randn(3, 6) * torch.tensor([1e-3, 1.0, 1.0])[:, None]
    rules = rules_of("type: st_bif, levels: 8")
    snn = snnconvert.convert(Squeezing().eval(), (x,), rules, calibration=[x], verify=False)
    assert len(set(snn.simulate(x, until="settled").steps.tolist())) > 1
    with pytest.raises(InputError, match=r"1 of 3 samples.*single sample otherwise.*Leave until="):
        measure_spiking(snn, [x], until="settled")


def test_parts_keep_what_has_no_batch():
    model = Rectified().eval()
    source = snnconvert.convert(model, (torch.randn(4, 6),), verify=False).conversion.source
    mask = torch.ones(2)
    without = replace(source.inputs[0], batch_dim=None, sizes=(2,), example=mask)
    source = replace(source, inputs=(*source.inputs, without))
    whole = Part([torch.arange(24.0).reshape(4, 6), mask], torch.arange(4), 4, 9)
    parts = list(parts_of(source, whole, torch.tensor([5, 2, 5, 9])))
    assert [(p.steps, p.samples, p.labels.tolist()) for p in parts] == [
        (2, 1, [1]),
        (5, 2, [0, 2]),
        (9, 1, [3]),
    ]
    assert all(p.leaves[1] is mask for p in parts)
    assert torch.equal(parts[1].leaves[0], whole.leaves[0][[0, 2]])
