"""Factors of an input: which op kinds multiply by them, and what rules say of these."""

from __future__ import annotations

import torch

from snnconvert.converter.spikes.factors import WEIGHING_KINDS
from snnconvert.converter.spikes.places import has_place
from snnconvert.rules import load_rules
from tests.converter.spikes.weighing import WEIGHED, Weighing
from tests.converter.verification.events.networks import on_spikes


def test_a_bundled_rule_asks_for_all_that_have_a_place_where_they_weigh():
    asked = {op for rule in load_rules("fully_spiking").rules for op in rule.match.op}
    assert asked >= WEIGHING_KINDS
    assert not asked & {"sum", "cumsum", "neg", "cat"}  # which weigh nothing


def test_they_have_a_place_and_sums_have_none():
    aten = torch.ops.aten
    assert all(map(has_place, (aten.add.Tensor, aten.mean.dim, aten.avg_pool2d.default)))
    assert not any(map(has_place, (aten.sum.dim_IntList, aten.neg.default, aten.cat.default)))


def test_channels_of_planes_may_have_thresholds_of_their_own():
    x = torch.randn(4, 5, 6)
    sited = on_spikes(Weighing(WEIGHED["linear"]), x).conversion.sited
    assert [site.axes for site in sited.sites.values() if site.consumer.startswith("upsample")] == [
        (1,)
    ]
