"""Random networks are converted, and are the source at every step, output, batch size and dtype."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.utils._pytree as pytree
from hypothesis import assume, event, given
from hypothesis import strategies as st
from torch import Tensor

import snnconvert
from snnconvert.converter.loading.read import loads
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.spikes.left_in_floats import asks_for_spikes
from snnconvert.converter.verification.check_tensors import check_tensors
from snnconvert.converter.verification.neuronless import exact_twin
from snnconvert.errors import TraceError, VerificationError
from snnconvert.rules import RuleSet, load_rules, parse_rules
from tests.fuzz.conftest import WITHOUT_SHRINKING, examples
from tests.fuzz.exactness import (
    STEPS,
    TOLERANCE,
    batch_sizes,
    errors,
    expected,
    in_float64,
    moves,
    run_inputs,
    stepped,
    worst,
)
from tests.fuzz.graphs import TABLES, Drawn, drawn_from, networks

TO_THE_END = parse_rules(
    "version: 1\nextends: spiking\nneuron: {type: multi_threshold, levels: 120, per_octave: 4}\n"
)
"""Neurons of thirty octaves: what they leave in the end is rounding."""


def converted(drawn: Drawn, rules: str | RuleSet = "default") -> snnconvert.ConvertedModule:
    """Convert a network; one that torch cannot export is none that is asked for."""
    rule_set = load_rules(rules)
    given = {"calibration": [drawn.inputs]} if asks_for_spikes(rule_set) else {}
    inputs = tuple(x.clone() for x in drawn.inputs)
    try:
        return snnconvert.convert(
            drawn.network, inputs, rule_set, time_steps=2, verify=False, **drawn.how, **given
        )
    except TraceError:
        event("not traced")
        assume(False)
        raise


def simulated(snn: snnconvert.ConvertedModule, drawn: Drawn, time_steps: int) -> list[Tensor]:
    inputs = [x.clone() for x in drawn.inputs]
    with torch.no_grad():
        return pytree.tree_leaves(snn.simulate(*inputs, time_steps=time_steps))


def answers(drawn: Drawn) -> list[Tensor]:
    with torch.no_grad():
        return pytree.tree_leaves(drawn.network(*(x.clone() for x in drawn.inputs)))


@examples(35, phases=WITHOUT_SHRINKING)
@given(drawn=networks(), absorbed=st.booleans())
def test_a_network_is_its_conversion(drawn: Drawn, absorbed: bool) -> None:
    before = {name: x.clone() for name, x in drawn.network.state_dict().items()}
    rules = replace(load_rules("default"), absorb_batch_norm=absorbed)
    snn = converted(drawn, rules)
    found = errors(drawn, snn)
    assume(found)
    assert max(found) <= TOLERANCE, found
    keeps_what_it_gives(drawn, snn)
    verified(drawn, snn)
    after = drawn.network.state_dict()
    assert all(torch.equal(x, after[name]) for name, x in before.items())


def keeps_what_it_gives(drawn: Drawn, snn: snnconvert.ConvertedModule) -> None:
    """Dtypes and shapes are the source's; a conversion that was saved is the same."""
    made = simulated(snn, drawn, 2)
    for y, own in zip(made, answers(drawn), strict=True):
        assert (y.dtype, y.shape[1:]) == (own.dtype, own.shape)
    again = simulated(saved_and_loaded(snn), drawn, 2)
    assert all(torch.equal(y, z) for y, z in zip(made, again, strict=True))


def saved_and_loaded(snn: snnconvert.ConvertedModule) -> snnconvert.ConvertedModule:
    return loads(snn.dumps(), "drawn.snn")


def verified(drawn: Drawn, snn: snnconvert.ConvertedModule) -> EquivalenceReport:
    """Verification says so, too; it may find that its own increments prove nothing."""
    try:
        report = snnconvert.verify(
            drawn.network, snn, dtype=torch.float64, tolerance=TOLERANCE, time_steps=STEPS
        )
    except VerificationError as error:
        event("verification proves nothing")
        assert "degenerate" in str(error) or "do not depend" in str(error), error
        assume(False)
        raise
    assert report.max_rel_error <= TOLERANCE, report.verdict()
    return report


@examples(12, phases=WITHOUT_SHRINKING)
@given(drawn=networks(most=5), rules=st.sampled_from(["spiking", "sparse", "graded"]))
def test_a_network_on_spikes_is_exact_without_its_neurons(drawn: Drawn, rules: str) -> None:
    snn = converted(drawn, rules)
    report = verified(drawn, snn)
    assert (report.spiking is None) == (not snn.conversion.neurons)
    for seed, batch in enumerate(batch_sizes(drawn, snn)):
        twin = exact_twin(snn, check_tensors(snn, torch.float64))
        inputs = run_inputs(drawn, batch, seed)
        aim = expected(drawn, in_float64(drawn.network), inputs)  # as the twin is
        if moves(aim):
            assert worst(whole(twin, inputs), aim) <= TOLERANCE
    keeps_what_it_gives(drawn, snn)
    steps_are_the_sequence(drawn, snn)


def whole(snn: snnconvert.ConvertedModule, inputs: Sequence[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return pytree.tree_leaves(snn(*(x.clone() for x in inputs)))


def steps_are_the_sequence(drawn: Drawn, snn: snnconvert.ConvertedModule) -> None:
    if drawn.dtype is not torch.float64 or not drawn.smooth:
        return  # roundings of a few spikes, or on two sides of a step, are no error
    inputs = run_inputs(drawn, drawn.batch, 1)
    with torch.no_grad():
        online = stepped(drawn, snn, inputs)
    for one, all_ in zip(online, whole(snn, inputs), strict=True):
        assert (one - all_).abs().max() <= TOLERANCE * all_.abs().max().clamp_min(1.0)


@examples(14, phases=WITHOUT_SHRINKING)
@given(drawn=networks(most=5, dtype="float64", smooth=True))
def test_spikes_end_at_the_source(drawn: Drawn) -> None:
    """What is still missing grows smaller at each step, down to the smallest level."""
    snn = converted(drawn, TO_THE_END)
    assume(snn.conversion.neurons)
    for y, aim in zip(simulated(snn, drawn, 24), answers(drawn), strict=True):
        missing = (y[-1].double() - aim.double()).abs().max()
        assert missing <= 1e-6 * aim.double().abs().max().clamp_min(1e-3)


@examples(6, phases=WITHOUT_SHRINKING)
@given(drawn=networks(most=4))
def test_a_constant_that_is_counted_at_every_step_is_found(drawn: Drawn) -> None:
    """What could not fail would prove nothing above."""
    assume(any(y.is_floating_point() for y in answers(drawn)))
    shifted = replace(drawn, network=Shifted(drawn.network).eval())
    rules = parse_rules(
        "version: 1\nextends: default\nrules:\n"
        "  - {name: wrong, match: {op: add, module: Shifted}, action: keep}\n"
    )
    snn = converted(shifted, rules)
    found = errors(shifted, snn)
    assume(found)
    assert max(found) > TOLERANCE
    report = snnconvert.verify(shifted.network, snn, dtype=torch.float64, time_steps=STEPS)
    assert not report.passed


class Shifted(torch.nn.Module):
    """The outputs of a network, each plus a constant of their own size."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = pytree.tree_leaves(self.network(*inputs))
        return tuple(y + 0.75 if y.is_floating_point() else y for y in outputs)


def test_many_kinds_are_drawn() -> None:
    """Each operator is drawn by itself; a list of names nobody draws would be worth nothing."""
    drawn: Counter[str] = Counter()
    others: Counter[Any] = Counter()

    for seed in range(2000):
        found = drawn_from(7919 * seed, 2 + seed % 6)
        if found is not None:
            drawn.update(call.operator for call in found.network.calls)
            others.update([found.layout, found.dtype])
            others.update((g.kind, g.dtype, g.coded) for g in found.given)
    missing = {name for table in TABLES.values() for name in table} - drawn.keys()
    assert not missing, sorted(missing)
    assert {*TABLES, torch.float64, torch.float32, torch.float16, torch.bfloat16} <= others.keys()
    masks = {
        dtype for kind, dtype, _ in filter(lambda x: isinstance(x, tuple), others) if kind == "mask"
    }
    assert {torch.bool, torch.long, torch.int32, torch.float64, torch.bfloat16} <= masks
    assert ("number", torch.float64, True) in others and ("bias", torch.float64, False) in others
