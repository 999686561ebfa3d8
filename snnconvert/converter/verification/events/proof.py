"""The proof that nothing analog slipped in between two spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.running.encoded import encoded_at
from snnconvert.converter.running.layout import stacked
from snnconvert.converter.spikes.degree import degree_of
from snnconvert.converter.tracing.batches import leaves_of, leaves_of_call
from snnconvert.converter.tracing.inputs import TensorOptions, example_of
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.converter.verification.events.network import EventNetwork
from snnconvert.converter.verification.events.violation import Violation
from snnconvert.torch_private import pytree


@dataclass(frozen=True)
class Proof:
    """What ran between spikes over the steps of a run.

    Attributes:
        violations: what is not allowed; where there are none, nothing analog ran.
        outputs: output leaves ``[T, ...]``, what the increments came to by the end of each step.
    """

    violations: tuple[Violation, ...]
    outputs: tuple[Any, ...]


def prove_spikes(
    snn: ConvertedModule, inputs: Any = None, *, time_steps: int | None = None
) -> Proof:
    """Run the increment form of a conversion, and judge every operation on what changes.

    Between one spike and the next may stand: additions, comparisons, selections, look-ups by
    index, products with a constant that is a power of two or a weight on a spike, and products of
    two values of which one is a spike (`snnconvert.converter.verification.events.judge`).

    Args:
        snn: the conversion; it is not changed.
        inputs: a batch, as those of calibration; None: two samples of what it was traced on, or
            all where the source does not run on two.
        time_steps: ``T``; None: the conversion's.

    Raises:
        InputError: the batch does not fit the source.
    """
    source = snn.conversion.source
    total = snn.time_steps if time_steps is None else time_steps
    if inputs is not None:
        return _proof(snn, leaves_of(source, inputs, snn.placed), total)
    try:
        return _proof(snn, _two_samples(source, snn.placed), total)
    except (RuntimeError, IndexError, ValueError):
        # Ids may stand for samples, as those of a graph's edges do, and two are not all of them.
        args, kwargs = example_of(source)
        return _proof(snn, leaves_of_call(source, args, kwargs, snn.placed), total)


def _proof(snn: ConvertedModule, leaves: list[Any], total: int) -> Proof:
    source = snn.conversion.source
    network, runs = EventNetwork(snn, total), []
    with torch.no_grad():
        network.rest(leaves)
        for t in range(total):
            now = encoded_at(t, network.encoding, leaves, source.inputs, total)
            runs.append(network.step(now))
    return Proof(tuple(network.violations), tuple(stacked(runs)))


def _two_samples(source: TracedModel, placed: TensorOptions) -> list[Any]:
    """Return two samples of what a source was traced on.

    Raises:
        InputError: it does not take two.
    """
    examples = [given.example for given in source.inputs]
    few = [
        x if (dim := given.batch_dim) is None else x.narrow(dim, 0, min(2, x.shape[dim]))
        for given, x in zip(source.inputs, examples, strict=True)
    ]
    args, kwargs = pytree.tree_unflatten(few, source.in_spec)
    return leaves_of_call(source, args, kwargs, placed)


def proven_degree(snn: ConvertedModule, time_steps: int) -> tuple[str, dict[str, tuple[str, ...]]]:
    """Return the degree of a network, and by reason what denies it the degree ``all``.

    Args:
        snn: the conversion; it is not changed.
        time_steps: ``T`` of the proof.
    """
    degree = degree_of(snn.conversion.sited, snn.conversion.decided)
    if degree != "all":
        return degree, {}
    by_reason: dict[str, tuple[str, ...]] = {}
    for violation in prove_spikes(snn, time_steps=time_steps).violations:
        found = by_reason.get(violation.why, ())
        by_reason[violation.why] = (*found, str(violation.ran))
    return "maps" if by_reason else "all", by_reason
