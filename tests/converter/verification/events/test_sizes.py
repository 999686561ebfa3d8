"""What follows how much a mask chose is seen, whatever it looks like."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.converter.verification.events.networks import Around, on_spikes, proven, rules


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(24, 5, 6)


def chosen(m, x):
    """Return values, of which there are other ones, and more or less, from step to step."""
    y = m(x)
    return y[y > 0.1]


def planes(m, x):
    """Return samples that were chosen, each of a plane of one size."""
    y = m(x)
    return y[y[:, 0, 0] > 0.0]


def how_many(m, x):
    return chosen(m, x).shape[0]


COUNTED = {
    "a sum of what was chosen": lambda m, x: m(x) + chosen(m, x).sum() * 0.3,
    "a mean of each row that was chosen": lambda m, x: (
        m(x) + m(x)[m(x)[..., 0] > 0.1].mean(-1).sum()
    ),
    "windows of each sample that was chosen": lambda m, x: (
        m(x) + F.avg_pool1d(planes(m, x), 3, padding=1, ceil_mode=True).sum()
    ),
    "windows of what was chosen": lambda m, x: m(x) + F.avg_pool1d(chosen(m, x)[None], 2).sum(),
    "a plane of each sample": lambda m, x: m(x) + F.adaptive_avg_pool2d(planes(m, x), 3).sum(),
    "between places of each sample": lambda m, x: (
        m(x) + F.interpolate(m(planes(m, x).sum(0)[None]), size=9, mode="linear").sum()
    ),
    "how many were chosen": lambda m, x: m(x) + how_many(m, x),
    "more than so many were chosen": lambda m, x: m(x) + (m(x) > how_many(m, x) / 64),
    "one for each": lambda m, x: m(x) + torch.ones_like(chosen(m, x)).cumsum(0)[:3].sum(),
    "said as often as so many": lambda m, x: m(x).expand(how_many(m, x), -1, -1, -1).sum(0),
    "the size of the batch": lambda m, x: m(x) + m(x).sum(0) / x.shape[0],
}


@pytest.mark.parametrize("steps", ["time_steps: 1", "encoding: constant\ntime_steps: 3"])
@pytest.mark.parametrize("name", COUNTED)
def test_what_may_be_done_with_how_much_was_chosen(name, steps, x, tmp_path):
    assert proven(on_spikes(Around(COUNTED[name]), x, rules(tmp_path, steps)), x) == ()


COMPUTED = {
    "a factor": (lambda m, x: m(x) * how_many(m, x), "mul", "two values"),
    "a factor in a sum": (
        lambda m, x: torch.add(m(x), m(x), alpha=how_many(m, x)),
        "add",
        "how much was chosen",
    ),
    "a factor that is made of it": (
        lambda m, x: m(x) * torch.arange(how_many(m, x)).sum(),
        "mul",
        "two values",
    ),
    "a factor that is filled with it": (
        lambda m, x: m(x) * torch.full((1,), how_many(m, x)),
        "mul",
        "two values",
    ),
    "a mean of rows": (
        lambda m, x: m(x) + m(x)[m(x)[..., 0] > 0.1].mean(0),
        "mean",
        "how much was chosen",
    ),
    "a mean": (lambda m, x: m(x) + chosen(m, x).mean(), "mean", "how much was chosen"),
    "windows that reach beyond": (
        lambda m, x: (
            m(x) + F.avg_pool1d(chosen(m, x)[None], 3, 2, 1, count_include_pad=False).sum()
        ),
        "avg_pool1d",
        "how much was chosen",
    ),
    "a plane of what was chosen": (
        lambda m, x: m(x) + F.adaptive_avg_pool1d(chosen(m, x)[None], 3).sum(),
        "adaptive_avg_pool1d",
        "how much was chosen",
    ),
    "between so many": (
        lambda m, x: (
            m(x) + F.interpolate(m(x), size=how_many(m, x), mode="linear").amax(-1)[..., None]
        ),
        "upsample_linear1d",
        "how much was chosen",
    ),
    "a divisor": (lambda m, x: m(x) / how_many(m, x), "div", "divides by a value"),
    "a map": (
        lambda m, x: m(x) + m(m(x)[m(x)[..., 0] > 0.1]).sum(0),
        "linear_3",
        "what are no spikes",
    ),
}


@pytest.mark.parametrize("steps", ["time_steps: 1", "encoding: constant\ntime_steps: 3"])
@pytest.mark.parametrize("name", COMPUTED)
def test_what_computes_with_how_much_was_chosen_is_named(name, steps, x, tmp_path):
    function, node, why = COMPUTED[name]
    found = proven(on_spikes(Around(function), x, rules(tmp_path, steps)), x)
    assert [v.ran.node for v in found] == [node] and why in found[0].why


def test_the_degree_falls_where_a_mean_is_of_what_was_chosen(x):
    report = on_spikes(Around(lambda m, x: m(x) + chosen(m, x).mean()), x, verify=True).report
    assert report.passed and report.spiking.degree == "maps"
    assert list(report.spiking.analog_between.values()) == [("'mean' (mean)",)]
