"""Runs of both sides: the source step by step beside the conversion, and the conversion whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from snnconvert.converter.graph.dtypes import cast
from snnconvert.converter.reports.equivalence import describe_node
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.running.encoded import encoded, for_coded
from snnconvert.converter.running.layout import stacked
from snnconvert.converter.tracing.inputs import bind_inputs
from snnconvert.converter.verification.check_tensors import CheckTensors
from snnconvert.converter.verification.increments import RandomIncrements
from snnconvert.converter.verification.node_errors import NodeErrors, compare_nodes
from snnconvert.converter.verification.not_finite import where_finite_numbers_end
from snnconvert.converter.verification.reference import Reference
from snnconvert.errors import SourceFailsError, VerificationError, first_line
from snnconvert.ops.clock import Clock
from snnconvert.ops.sequence import is_number

Found = TypeVar("Found")


@dataclass(frozen=True)
class Run:
    """What both sides are run on."""

    leaves: list[Any]  # one step's inputs, coded ones in the dtype of the check
    encoding: RandomIncrements
    time_steps: int


def input_leaves(
    snn: ConvertedModule, inputs: Sequence[Any] | Mapping[str, Any] | None, tensors: CheckTensors
) -> list[Any]:
    """Return the leaves of what a conversion is compared on, in the dtypes of a check; None: of the
    inputs that it was traced with."""
    traced = snn.conversion.source
    if inputs is None:
        leaves = [given.example for given in traced.inputs]
    else:
        args, kwargs = ((), inputs) if isinstance(inputs, Mapping) else (inputs, {})
        leaves, _ = bind_inputs(traced, args, kwargs, timed=False)
    return [cast(x, tensors.dtypes) for x in leaves]


def compared(
    twin: ConvertedModule, reference: Reference, leaves: list[Any], time_steps: int, seed: int
) -> tuple[Run, NodeErrors, list[Any]]:
    """Return a run on which the source's outputs have increments, node errors, and the outputs.

    Raises:
        SourceFailsError: the source raises on each.
        VerificationError: the conversion raises where its source does not; or there is no such run.
    """

    def beside(run: Run) -> tuple[NodeErrors, list[list[Any]]]:
        return compare_nodes(twin, reference, run.leaves, run.encoding, run.time_steps)

    run, nodes, outputs = _with_increments(reference, leaves, time_steps, seed, beside)
    if nodes.raised is not None:
        node, why = nodes.raised.node, nodes.raised.__cause__
        where = f"'{node}' ({describe_node(twin.conversion.decided.plan.decisions, node)}) "
        raise _raised_alone(f"{where}raises", why or nodes.raised) from why
    return run, nodes, outputs


def source_alone(
    reference: Reference, leaves: list[Any], time_steps: int, seed: int
) -> tuple[Run, list[Any]]:
    """Return a run on which the source's outputs have increments, and the outputs.

    Raises:
        SourceFailsError: the source raises on each.
        VerificationError: there is no such run.
    """

    def alone(run: Run) -> tuple[None, list[list[Any]]]:
        return None, reference.steps(run.leaves, run.encoding, run.time_steps)

    run, _, outputs = _with_increments(reference, leaves, time_steps, seed, alone)
    return run, outputs


def _with_increments(
    reference: Reference,
    leaves: list[Any],
    time_steps: int,
    seed: int,
    steps_of: Callable[[Run], tuple[Found, list[list[Any]]]],
) -> tuple[Run, Found, list[Any]]:
    """Return the first run on which the source's outputs have increments, and what it gave.

    Args:
        reference: the source.
        leaves: one step's inputs.
        time_steps: number of steps.
        seed: of the increments.
        steps_of: runs what is wanted; returns what it found, and the source's outputs by step;
            raises what the source raises, and nothing else.
    """
    bad: list[int] = []
    for keep_sign in (False, True):
        run = Run(leaves, RandomIncrements(seed, keep_sign), time_steps)
        try:
            found, steps = steps_of(run)
        except (RuntimeError, IndexError, ValueError) as error:
            # Numbers that are cast to positions stay within those of the example where they keep
            # their sign.
            if keep_sign:
                raise SourceFailsError(
                    f"the source does not run in {reference.dtype} on random increments of its "
                    f"inputs ({first_line(error)}), so nothing can be compared. Pass inputs that "
                    "stand for numbers, not for positions or ids, as integers; or set verify=False"
                ) from error
            continue
        bad = [t for t, ys in enumerate(steps) if _has_no_increments(ys, steps[0])]
        if not bad:
            return run, found, stacked(steps)
    ends = where_finite_numbers_end(reference, leaves)
    raise VerificationError(
        f"the source's outputs hold NaN, or infinities that come and go, at steps {bad} of random "
        f"increments, so nothing can be compared{'; at the last step ' * bool(ends)}{ends}. Mend "
        "that, or pass inputs on which the model works (example_inputs=, --input)"
    )


def _has_no_increments(now: list[Any], first: list[Any]) -> bool:
    """Tell whether outputs hold NaN, or infinities where there were others at the first step."""
    for y, x in zip(now, first, strict=True):
        if not isinstance(y, Tensor) or not is_number(y):
            continue
        if bool(torch.isnan(y).any()):
            return True
        ends = torch.isinf(y)
        if y.shape == x.shape and bool((y != x)[ends | torch.isinf(x)].any()):
            return True
    return False


def converted_outputs(twin: ConvertedModule, run: Run) -> list[Any]:
    """Return what the increments of the converted module add up to on the run's increments.

    Raises:
        VerificationError: it raises; the source, which ran on them, does not.
    """
    given = twin.conversion.source.inputs
    increments = for_coded(
        lambda x, i: run.encoding.increments(x, run.time_steps, i.name), run.leaves, given
    )
    try:
        outputs = twin.propagate(increments, _clock(run))
    except Exception as error:  # a class of the user's own may raise anything
        raise _raised_alone("with its steps as one run, it raises", error) from error
    return [_accumulated(y) for y in outputs]


def cumulative_outputs(twin: ConvertedModule, run: Run) -> list[Any]:
    """Return the cumulative outputs of the converted module, of which its increments are made."""
    inputs = encoded(run.encoding, run.leaves, twin.conversion.source.inputs, run.time_steps)
    return twin.run_cumulative(inputs, _clock(run), run.time_steps)


def _raised_alone(what: str, error: BaseException) -> VerificationError:
    return VerificationError(
        f"the conversion does not run on random increments on which its source does: {what} "
        f"{type(error).__name__}: {first_line(error)}. An operator must be defined wherever the "
        "source's is: mend the class or function that a rule names, or leave that rule out; where "
        "none is named, this is a defect of snnconvert"
    )


def _clock(run: Run) -> Clock:
    return Clock(run.time_steps, total=run.time_steps, encoding=run.encoding)


def _accumulated(y: Any) -> Any:
    return y.cumsum(0) if isinstance(y, Tensor) and y.dtype is not torch.bool else y
