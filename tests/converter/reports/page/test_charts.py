from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import vl_convert

from snnconvert.converter.reports.page.charts import charts_of


def _by_id(report):
    return {chart.id: chart for chart in charts_of(report)}


@pytest.mark.parametrize("name", ["exact", "spiking", "fully_spiking", "failed", "hostile"])
def test_every_plot_is_valid_and_has_data(name, request):
    charts = charts_of(request.getfixturevalue(name))
    assert charts
    for chart in charts:
        assert chart.spec["datasets"] and all(chart.spec["datasets"].values())
        vega = vl_convert.vegalite_to_vega(json.dumps(chart.spec))
        assert vega["marks"]


def test_which_plots_there_are(exact, spiking):
    assert list(_by_id(exact)) == ["depth"]
    assert list(_by_id(spiking)) == [
        *("agreement", "accuracy", "error", "bits", "energy", "costs"),
        *("depth", "rates", "drives"),
    ]


def test_networks_have_the_same_colours_in_every_plot(spiking):
    charts, colours = _by_id(spiking), {}
    for name in ("agreement", "accuracy", "error", "bits", "energy"):
        scale = charts[name].spec["encoding"]["color"]["scale"]
        for network, colour in zip(scale["domain"], scale["range"], strict=True):
            assert colours.setdefault(network, colour) == colour
    assert len(set(colours.values())) == len(colours) == 6


def test_twins_stand_beside_the_steps(spiking):
    rows = _by_id(spiking)["agreement"].spec["datasets"]["rows"]
    assert [row["t"] for row in rows if row["network"] == "spikes"] == [1, 2, 3]
    twins = {row["network"] for row in rows if row["t"] is None}
    assert twins == {twin.name for twin in spiking.spiking.twins}


def test_the_layer_that_adds_most_is_marked(spiking):
    data = _by_id(spiking)["depth"].spec["datasets"]
    worst = max(spiking.spiking.layers, key=lambda layer: layer.added)
    assert [mark["node"] for mark in data["marked"]] == [worst.name]
    assert worst.place in data["marked"][0]["said"]
    errors = [row["error"] for row in data["rows"] if row["node"] == worst.name]
    assert errors == ["error", "inherited", "added"]


def test_errors_that_are_zero_or_not_finite_are_drawn_at_the_ends(exact):
    first, second, third, *rest = (n for n in exact.nodes if n.max_rel_error is not None)
    nodes = [
        replace(first, max_rel_error=0.0),
        replace(second, max_rel_error=float("inf")),
        replace(third, max_rel_error=float("nan")),
        *rest,
    ]
    data = _by_id(replace(exact, nodes=tuple(nodes)))["depth"].spec["datasets"]
    shown = [(row["shown"], row["said"]) for row in data["rows"][:3]]
    assert 0 < shown[0][0] < 1e-9 and shown[0][1] == "0"
    assert shown[1:] == [(1000.0, "inf"), (1000.0, "nan")]
    assert data["limits"][0]["shown"] == exact.tolerance


def test_rates_are_those_of_each_answer_of_each_step(spiking):
    rows = _by_id(spiking)["rates"].spec["datasets"]["rows"]
    sites = spiking.spiking.sites
    assert [row["site"] for row in rows] == [site.name for site in sites]
    assert rows[0]["answers"] == [f"{t}.{k}" for t in (1, 2, 3) for k in (1, 2, 3)]
    assert sum(rows[1]["rates"]) == pytest.approx(sites[1].rate * 3, rel=1e-3)
    nodes = {node.name for node in spiking.nodes}
    assert all(row["node"] in nodes for row in rows)


def test_levels_are_drawn_within_the_range_and_not_too_close(spiking):
    data = _by_id(spiking)["drives"].spec["datasets"]
    for row, levels in zip(data["rows"], data["levels"], strict=True):
        high = row["low"] + row["width"] * len(row["places"])
        drawn = levels["levels"]
        assert drawn and all(row["low"] <= x <= high * 1.001 for x in drawn)
        assert sum(row["shares"]) == pytest.approx(1, abs=0.01)
        sizes = sorted(abs(x) for x in drawn if x > 0)
        assert all(b - a > (high - row["low"]) / 400 for a, b in pairwise(sizes))


def test_costs_are_over_the_source(spiking):
    rows = _by_id(spiking)["costs"].spec["datasets"]["rows"]
    models = [m.name for m in spiking.spiking.cost_models]
    assert [(r["model"], r["numbers"]) for r in rows] == [
        (m, p) for m in models for p in ("fp32", "int8")
    ]
    work, model = spiking.spiking.work, spiking.spiking.cost_models[0]
    assert rows[0]["ratio"] == pytest.approx(work.energy(model) / work.source_energy(model), 1e-3)
