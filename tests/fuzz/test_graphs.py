"""Random networks are converted and verified in float64, at every step and every output."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch
import torch.utils._pytree as pytree
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

import snnconvert
from snnconvert.converter.graph.comparison import has_spread
from snnconvert.rules import load_rules, parse_rules
from tests.fuzz.conftest import examples
from tests.fuzz.graphs import OPERATORS, Drawn, networks

TOLERANCE, STEPS = 1e-9, 3


def degenerate(drawn: Drawn) -> bool:
    with torch.no_grad():
        outputs = pytree.tree_leaves(drawn.network(*(x.clone() for x in drawn.inputs)))
    return not any(has_spread(y) for y in outputs)


@examples(200)
@given(drawn=networks(), folded=st.booleans())
def test_a_network_is_its_conversion(drawn: Drawn, folded: bool) -> None:
    assume(not degenerate(drawn))
    before = {name: x.clone() for name, x in drawn.network.state_dict().items()}
    rules = replace(load_rules("default"), absorb_batch_norm=folded)
    snn = snnconvert.convert(drawn.network, drawn.inputs, rules, verify=False)
    report = snnconvert.verify(
        drawn.network, snn, dtype=torch.float64, tolerance=TOLERANCE, time_steps=STEPS
    )
    assert report.passed, report.verdict()
    assert report.max_rel_error <= TOLERANCE
    steps_are_the_sequence(drawn, snn)
    after = drawn.network.state_dict()
    assert all(torch.equal(x, after[name]) for name, x in before.items())


@examples(30)
@given(drawn=networks(most=5), rules=st.sampled_from(["spiking", "sparse", "graded"]))
def test_a_network_on_spikes_is_exact_without_its_neurons(drawn: Drawn, rules: str) -> None:
    assume(not degenerate(drawn))
    snn = snnconvert.convert(
        drawn.network, drawn.inputs, rules, calibration=[drawn.inputs], time_steps=2, verify=False
    )
    report = snnconvert.verify(
        drawn.network, snn, dtype=torch.float64, tolerance=TOLERANCE, time_steps=STEPS
    )
    assert report.max_rel_error <= TOLERANCE, report.verdict()
    assert (report.spiking is None) == (not snn.conversion.neurons)
    steps_are_the_sequence(drawn, snn)


def steps_are_the_sequence(drawn: Drawn, snn: snnconvert.ConvertedModule) -> None:
    generator = torch.Generator().manual_seed(1)

    def increments(x: Tensor) -> Tensor:
        noise = torch.randn(STEPS, *x.shape, generator=generator, dtype=x.dtype)
        return noise if x.is_floating_point() else x

    coded = [x.is_floating_point() for x in drawn.inputs]
    with torch.no_grad():
        inputs = [increments(x) if c else x for x, c in zip(drawn.inputs, coded, strict=True)]
        whole = pytree.tree_leaves(snn(*inputs))
        snn.reset()
        for t in range(STEPS):
            now = [x[t] if c else x for x, c in zip(inputs, coded, strict=True)]
            for one, all_ in zip(pytree.tree_leaves(snn.step(*now)), whole, strict=True):
                scale = all_.abs().max().clamp_min(1.0)
                assert (one - all_[t]).abs().max() <= TOLERANCE * scale
        snn.reset()


@examples(20)
@given(drawn=networks(most=4))
def test_a_constant_that_is_counted_at_every_step_is_found(drawn: Drawn) -> None:
    """Verification that could not fail would prove nothing above."""
    assume(not degenerate(drawn))
    module = Shifted(drawn.network).eval()
    rules = parse_rules(
        "version: 1\nextends: default\nrules:\n"
        "  - {name: wrong, match: {op: add, module: Shifted}, action: keep}\n"
    )
    snn = snnconvert.convert(module, drawn.inputs, rules, verify=False)
    report = snnconvert.verify(module, snn, dtype=torch.float64, time_steps=STEPS)
    assert not report.passed and report.max_rel_error > TOLERANCE


class Shifted(torch.nn.Module):
    """The outputs of a network, each plus a constant of their own size."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(y + 0.75 for y in pytree.tree_leaves(self.network(*inputs)))


def test_many_kinds_are_drawn() -> None:
    """Each operator is drawn by itself; a list of names nobody draws would be worth nothing."""
    drawn: Counter[str] = Counter()

    @settings(
        max_examples=2000,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def count(found: Drawn) -> None:
        drawn.update(call.operator for call in found.network.calls)

    count()
    assert len(OPERATORS) >= 40
    assert OPERATORS.keys() <= drawn.keys(), sorted(OPERATORS.keys() - drawn.keys())
