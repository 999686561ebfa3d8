"""Verification: the converted module against its source, at every time step and output leaf.

Inputs arrive as random increments that end at the given inputs, and pass values of the other sign
on their way where the source works on those. At every step the
reference is the traced source on the cumulative inputs; at the last step it is the source model
itself as well. In float64 "exact" means a relative error of 1e-9 at most.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.deciding.streams import random_nodes
from snnconvert.converter.graph.default_dtype import default_dtype
from snnconvert.converter.reports.equivalence import (
    EquivalenceReport,
    LeafError,
    describe_node,
    kind_rows,
    to_be_trained,
)
from snnconvert.converter.reports.made import made_of
from snnconvert.converter.reports.nodes import node_rows
from snnconvert.converter.reports.on_data import DataCloseness
from snnconvert.converter.reports.outside_tables import said_of_outside
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.tracing.batches import example_batch
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.verification.arguments import (
    check_numbers,
    runs_on_data,
    told_of_spikes,
)
from snnconvert.converter.verification.beside_source import agrees_in_own_dtype, beside_source
from snnconvert.converter.verification.check_tensors import check_tensors
from snnconvert.converter.verification.folded import said_of_mixed_steps
from snnconvert.converter.verification.held import with_other_held
from snnconvert.converter.verification.leaves import (
    any_changes,
    constant_outputs,
    leaf_errors,
    refuse_degenerate,
    refuse_independent,
)
from snnconvert.converter.verification.lost_digits import said_of_lost_digits
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.measure.exact import measure_exact
from snnconvert.converter.verification.measure.predictions import Labels
from snnconvert.converter.verification.measure.rates import exceeded_rates
from snnconvert.converter.verification.neuronless import exact_twin
from snnconvert.converter.verification.node_errors import NodeErrors
from snnconvert.converter.verification.not_finite import said_of_infinities
from snnconvert.converter.verification.reference import Reference
from snnconvert.converter.verification.runs import (
    Run,
    compared,
    converted_outputs,
    input_leaves,
    source_alone,
)
from snnconvert.costs.models import CostSource
from snnconvert.errors import InputError, SourceFailsError, VerificationError, first_line
from snnconvert.sources.exits import never_exits

TOLERANCES = {
    torch.float64: 1e-9,
    torch.float32: 1e-5,
    torch.float16: 1e-2,
    torch.bfloat16: 1e-1,
}
"""Relative tolerance by dtype: about 1e7, 1e2, 1e1 and 1e1 units in the last place."""

SPIKING_TOLERANCE = 0.1
"""Relative error at the last step up to which a spiking network counts as close to its source."""


@exclusive
@never_exits
def verify(
    model: nn.Module | ExportedProgram | None,
    snn: ConvertedModule,
    inputs: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    time_steps: int = 4,
    dtype: torch.dtype | None = None,
    tolerance: float | None = None,
    seed: int = 0,
    data: Iterable[Any] | None = None,
    labels: Labels | None = None,
    output: str | int | None = None,
    classes: int | None = None,
    spiking_tolerance: float = SPIKING_TOLERANCE,
    until: str | float | None = None,
    costs: Iterable[CostSource] = (),
) -> EquivalenceReport:
    """Compare a converted module with its source.

    A network with neurons is compared twice: exactly, with every neuron replaced by what it
    follows; and as it is, on data, for the conversion's own number of steps.

    Args:
        model: the source, run once, on the inputs; None: the traced source alone is compared.
        snn: the conversion. Neither it nor the model is changed; copies of both are checked.
        inputs: a tuple of positional or a dict of keyword inputs; None: those of the trace.
        time_steps: number of steps of random increments, at least 2.
        dtype: in which both sides are computed without spikes; None: float64, or the source's own,
            where it does not run in that. What the source pins to its own dtype (norms and rotary
            embeddings to float32) is computed in this one too, and so is what a map absorbed.
            Spikes and data run in the conversion's own.
        tolerance: largest relative error without spikes; None: 1e-9 in float64, 1e-5 in float32.
        seed: of the random increments.
        data: batches of held-out inputs; None: a spiking network is run on the inputs.
        labels, output, classes: right answers, and where predictions are read, as of
            `measure_spiking`; refused where no data is run.
        spiking_tolerance: largest relative error of a spiking network's outputs at its last step.
        until, costs: as of `measure_spiking`; refused where there are no neurons.

    An error is relative to the value or, if larger, the largest so far that is no mask's -1e9.

    Raises:
        InputError: an argument is out of its range, or is about data that there is none of.
        VerificationError: nothing can be concluded: the source draws random numbers, or its
            outputs are degenerate or not finite; or the conversion raises where the source runs.
    """
    check_numbers(time_steps, tolerance, spiking_tolerance)
    chosen: dict[str, Any] = {"labels": labels, "output": output, "classes": classes}
    on_data = runs_on_data(snn.conversion, data, **chosen)
    on_spikes = told_of_spikes(bool(snn.conversion.neurons), until, costs)
    how = _How(dtype or torch.float64, tolerance, time_steps, seed)
    report = _compare(model, snn, inputs, how, dtype is None)
    if not on_data:
        return report
    own = example_batch(snn.conversion.source) if inputs is None else inputs
    runs, on_example = ([own], inputs is None) if data is None else (data, False)
    if not snn.conversion.neurons:
        return _with_data(report, measure_exact(snn, runs, **chosen, tolerance=_rounding(snn)))
    spiking = replace(measure_spiking(snn, runs, **chosen, **on_spikes), on_example=on_example)
    return _with_spikes(report, spiking, spiking_tolerance, snn.conversion)


def _with_data(report: EquivalenceReport, found: DataCloseness) -> EquivalenceReport:
    return replace(
        report,
        passed=report.passed and found.passed,
        on_data=found,
        notes=(*report.notes, found.sentence()),
    )


def _with_spikes(
    report: EquivalenceReport, spiking: SpikingReport, tolerance: float, conversion: Conversion
) -> EquivalenceReport:
    return replace(
        report,
        passed=report.passed and max(spiking.rel_error, spiking.unequal) <= tolerance,
        spiking=spiking,
        spiking_tolerance=tolerance,
        notes=(
            *report.notes,
            *spiking.notes(),
            *exceeded_rates(conversion, spiking),
            *said_of_outside(spiking),
        ),
    )


def _rounding(snn: ConvertedModule) -> float:
    """Return the relative error that sums in a conversion's own dtype may come to."""
    return min(SPIKING_TOLERANCE, 100 * TOLERANCES.get(snn.placed.dtype, SPIKING_TOLERANCE))


@dataclass(frozen=True)
class _How:
    """How two networks are compared (fields as the arguments of `verify`)."""

    dtype: torch.dtype
    said: float | None
    time_steps: int
    seed: int

    @property
    def tolerance(self) -> float:
        """Return the largest relative error that passes."""
        return TOLERANCES[self.dtype] if self.said is None else self.said


def _compare(
    model: nn.Module | ExportedProgram | None,
    snn: ConvertedModule,
    inputs: Sequence[Any] | Mapping[str, Any] | None,
    how: _How,
    or_in_own: bool,
) -> EquivalenceReport:
    """Compare exactly, in the source's own dtype where it runs in that alone and that may be."""
    _check_source(snn, how.dtype)
    try:
        return _compare_exactly(model, snn, inputs, how)
    except SourceFailsError as error:
        own = snn.placed.dtype
        if not or_in_own or own is how.dtype or own not in TOLERANCES:
            raise
        with contextlib.suppress(SourceFailsError):
            report = _compare_exactly(model, snn, inputs, replace(how, dtype=own))
            why = f"{first_line(error.__cause__ or error)}; it was compared in its own, {own}"
            said = f"the source does not run in {how.dtype}: {why}"
            return replace(report, notes=(*report.notes, said))
        raise


def _check_source(snn: ConvertedModule, dtype: torch.dtype) -> None:
    if dtype not in TOLERANCES:
        raise InputError(
            f"dtype must be one of {', '.join(map(str, TOLERANCES))}, received {dtype}"
        )
    if drawn := random_nodes(snn.conversion.source.graph):
        raise VerificationError(
            f"the source draws random numbers when it runs ({', '.join(drawn[:5])}), so no two "
            "runs can be compared; pass what it draws as an input, or set verify=False"
        )


def _compare_exactly(
    model: nn.Module | ExportedProgram | None,
    snn: ConvertedModule,
    inputs: Sequence[Any] | Mapping[str, Any] | None,
    how: _How,
) -> EquivalenceReport:
    """Compare a conversion without its neurons with the source, at every step."""
    tensors = check_tensors(snn, how.dtype)
    with torch.no_grad(), default_dtype(tensors.dtypes):
        twin = exact_twin(snn, tensors)
        reference = Reference(snn.conversion, tensors)
        given = input_leaves(snn, inputs, tensors)
        run, nodes, expected = _drawn(twin, reference, given, how)
        refuse_degenerate(snn, expected)
        still = refuse_independent(snn, expected)
        actual = converted_outputs(twin, run)
        leaves = leaf_errors(snn, expected, actual)
        at_source, note = beside_source(model, snn.conversion, run, actual, tensors)
        notes = [note, still, said_of_infinities(reference, run.leaves, expected)]
        if max((leaf.max_rel_error for leaf in leaves), default=0.0) > how.tolerance:
            notes.append(said_of_lost_digits(snn, twin, run, expected, how.tolerance))
        keeps_signs = run.encoding.keep_sign
        others, keep = _on_other_held_inputs(snn, twin, reference, given, how)
        if max((leaf.max_rel_error for leaf in others), default=0.0) > how.tolerance:
            leaves, keeps_signs = others, keep
            notes.append(_OTHER_HELD)
        mixed = said_of_mixed_steps(snn, tensors, given, run.encoding)
    is_traces = max((leaf.max_rel_error for leaf in leaves), default=0.0) <= how.tolerance
    if is_traces and at_source is not None and not at_source <= how.tolerance:
        # Tried only where float64 fails: a constant of a dtype is another there.
        assert isinstance(model, nn.Module)
        if said := agrees_in_own_dtype(model, snn.conversion, run.leaves, at_source, how.dtype):
            at_source, notes = None, [said, *notes]
    report = _report(snn, leaves, nodes, at_source, how, keeps_signs)
    notes = [*report.notes, *filter(None, [mixed, *notes])]
    return replace(report, passed=report.passed and not mixed, notes=tuple(notes))


_DRAWS = 4  # of random increments, before outputs are said to ignore their inputs


def _drawn(
    twin: ConvertedModule, reference: Reference, given: list[Any], how: _How
) -> tuple[Run, NodeErrors, list[Any]]:
    """Run both on random increments, drawn again while no output changes: the few steps of one
    draw may all lie on one side of a step function."""
    found = compared(twin, reference, given, how.time_steps, how.seed)
    for seed in range(how.seed + 1, how.seed + _DRAWS):
        if any_changes(found[2]):
            break
        found = compared(twin, reference, given, how.time_steps, seed)
    return found


_OTHER_HELD = (
    "errors are those with other held inputs (masks, ids) than the ones that were given: steps "
    "that are folded into one batch meet what belongs to other samples"
)


def _on_other_held_inputs(
    snn: ConvertedModule,
    twin: ConvertedModule,
    reference: Reference,
    leaves: list[Any],
    how: _How,
) -> tuple[tuple[LeafError, ...], bool]:
    """Return the errors of the outputs with other held inputs, and whether coded ones kept their
    signs; no errors where the source takes none."""
    varied = with_other_held(snn.conversion.source.inputs, leaves, how.seed)
    if varied is None:
        return (), False
    try:
        run, expected = source_alone(reference, varied, how.time_steps, how.seed)
    except VerificationError:
        # What is masked or exchanged at random may be nothing that the source works on.
        return (), False
    return leaf_errors(snn, expected, converted_outputs(twin, run)), run.encoding.keep_sign


def _report(
    snn: ConvertedModule,
    leaves: tuple[LeafError, ...],
    nodes: NodeErrors,
    at_source: float | None,
    how: _How,
    keeps_signs: bool,
) -> EquivalenceReport:
    tolerance = how.tolerance
    worst = max((leaf.max_rel_error for leaf in leaves), default=0.0)
    first = nodes.first_above(tolerance)
    decisions = snn.conversion.decided.plan.decisions
    passed = worst <= tolerance and (at_source is None or at_source <= tolerance)
    return EquivalenceReport(
        passed=passed,
        max_abs_error=max((leaf.max_abs_error for leaf in leaves), default=0.0),
        max_rel_error=max(worst, at_source or 0.0),
        source_rel_error=at_source,
        tolerance=tolerance,
        dtype=str(how.dtype).removeprefix("torch."),
        time_steps=how.time_steps,
        keeps_signs=keeps_signs,
        leaves=leaves,
        kinds=kind_rows(snn.conversion, nodes.relative),
        first_failure=first,
        first_failure_at=None if first is None else describe_node(decisions, first),
        notes=(*snn.conversion.notes, *constant_outputs(leaves)),
        to_be_trained=to_be_trained(snn.tree),
        nodes=node_rows(snn.conversion, nodes.relative),
        made=made_of(snn.conversion, how.seed),
    )
