"""The source's ledger: what it computes, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.deciding.contractions import contractions
from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import dtype_of
from snnconvert.converter.spikes.degree import is_function
from snnconvert.converter.verification.measure.others import in_floats, operations_of
from snnconvert.converter.verification.measure.source_work import counter_of, written_out_macs
from snnconvert.converter.verification.reference import Reference, ReferenceRun
from snnconvert.costs.ledger import Ledger, summed
from snnconvert.costs.operations import ADDITIONS, FLOATS_READS, MACS, OPERATIONS
from snnconvert.costs.work import Work
from snnconvert.ops.encoding import AtOnce
from snnconvert.ops.kinds import added_by, kind_of, multiplies
from snnconvert.ops.sums import numbers_in
from snnconvert.torch_private import OpOverload, pytree


class SourceLedger:
    """Counts what the source computes on batches.

    Multiply-accumulates are those of ``torch.utils.flop_counter``, halved. What does not depend on
    coded inputs is not in the ledger, as it is not in that of the conversion, and neither is a
    BatchNorm that a map absorbed.

    Args:
        conversion: whose source it is.
        reference: the source.

    Attributes:
        still_macs: multiply-accumulates on what does not depend on coded inputs, of all samples.
    """

    def __init__(self, conversion: Conversion, reference: Reference) -> None:
        self.reference, self.ledger = reference, Ledger(1)
        self.still_macs = 0.0
        self.written_out = contractions(conversion.decided)
        domains = {n.name: d for n, d in conversion.decided.streams.domains.items()}
        streams = {name for name, domain in domains.items() if domain is Domain.STREAM}
        nodes = (n for n in reference.graph.nodes if n.op == "call_function")
        absorbed = {n.name for n in nodes if n.name not in domains}  # by the map before it
        self.streams = frozenset(streams | absorbed)
        self.counted = frozenset(streams - reference.encoded)

    def run(self, leaves: list[Any], wanted: frozenset[str]) -> _CountedRun:
        """Begin to run the source; it is counted as its values are asked for."""
        return _CountedRun(self, leaves, wanted)

    def work(
        self, own: Mapping[str, float], spiking_macs: float, still_macs: float, samples: int
    ) -> Work:
        """Return the work of a conversion beside the source's, of a sample.

        Args:
            own: operations of the conversion, of a sample.
            spiking_macs, still_macs: as of `Work`, of all samples.
            samples: how many.
        """
        return Work(
            source_macs=self.macs / samples,
            spiking_macs=spiking_macs / samples,
            still_macs=still_macs / samples,
            operations={kind: own.get(kind, 0.0) for kind in OPERATIONS},
            source=summed(self.ledger.rows(samples)),
        )

    @property
    def macs(self) -> float:
        """Multiply-accumulates of all samples so far, wherever they are."""
        return self.ledger.total(MACS) + self.still_macs


class _CountedRun(ReferenceRun):
    """A run of the source that is counted."""

    def __init__(self, of: SourceLedger, leaves: list[Any], wanted: frozenset[str]) -> None:
        super().__init__(of.reference, AtOnce(), 0, 1, leaves, wanted)
        self.of = of
        self.counter = counter_of(node.target for node in self.graph.nodes)

    def run_node(self, n: fx.Node) -> Any:
        if n.op != "call_function":
            return super().run_node(n)
        before = self.counter.total
        with torch.no_grad(), self.counter:
            value = super().run_node(n)
        self._count(n, value, (self.counter.total - before) / 2)
        return value

    def _count(self, node: fx.Node, value: Any, macs: float) -> None:
        of = self.of
        if node.name in of.written_out:
            factors = [self.env[x] for x in node.all_input_nodes]
            macs += written_out_macs(node.target, factors, value)
        if node.name not in of.counted:
            of.still_macs += macs
            return
        found: dict[str, float] = {MACS: macs, FLOATS_READS: macs}
        if isinstance(node.target, OpOverload):
            given = arguments_of(node)
            values = pytree.tree_map_only(fx.Node, self.env.__getitem__, given)
            if macs:
                found = in_floats(node.target, values, value, macs)
            else:
                computes = self._multiplies(node) or is_function(node, given, self._is_stream)
                found = operations_of(node.target, values, value, is_function=computes)
            if multiplies(kind_of(node.target), dtype_of(node)):
                added = sum(map(self._is_stream, added_by(kind_of(node.target), given)))
                numbers = sum(numbers_in(x) for x in pytree.tree_leaves(value))
                found = {**found, ADDITIONS: found.get(ADDITIONS, 0.0) + added * numbers}
        for kind, number in found.items():
            of.ledger.add(0, node.name, "", kind, number)

    def _multiplies(self, node: fx.Node) -> bool:
        """Tell whether a node is an elementwise product of streams."""
        streams = [x for x in node.all_input_nodes if self._is_stream(x)]
        products = sum(node.args.count(x) for x in streams)
        return multiplies(kind_of(node.target), dtype_of(node)) and products > 1

    def _is_stream(self, x: Any) -> bool:
        return isinstance(x, fx.Node) and x.name in self.of.streams
