"""Maps counted by others' conventions, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.comparison import real
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.calls import Call, Stored
from snnconvert.converter.verification.measure.activity import Activity
from snnconvert.converter.verification.measure.source_work import call_macs
from snnconvert.converter.verification.measure.synapses import (
    Values,
    factors,
    is_in_source_work,
    of_both_parts,
    operands,
    reached,
)
from snnconvert.costs.conventions import Conventions, Synaptic, by_rate, sparsity
from snnconvert.ops.neurons import Neuron
from snnconvert.ops.sequence import accumulation_dtype
from snnconvert.ops.tables import ENTRY_BITS

_BYTE = 8


@dataclass(frozen=True)
class Arrived:
    """What one operand of a map brings in a step.

    Attributes:
        position: of the operand in `factors`.
        events: how many events each of its values has; of a complex one its parts, as one number.
        digits: how many binary digits the sizes of these have, together.
        neurons: whose spikes they are; none: values in floats.
    """

    position: int
    events: Tensor
    digits: Tensor
    neurons: Sequence[Neuron]


@dataclass
class _Known:
    """What is the same at every step of a batch: a map's multiply-accumulates, by position the
    weights of it that have zeros, and its products with all values there."""

    macs: float
    holed: dict[int, Tensor]
    dense: float


class Connections:
    """Sums over steps and batches of what maps do."""

    def __init__(self) -> None:
        self._known: dict[fx.Node, _Known] = {}
        self._weights: dict[Any, tuple[int, int]] = {}  # zeros, and all
        self._dense = self._acs = self._graded = self._macs = self._digits = 0.0
        self._by_rates = self._in_floats = 0.0

    def see(
        self,
        node: fx.Node,
        call: Call,
        value_of: Values,
        arrived: Sequence[Arrived],
        operations: float | None,
        first: bool,
    ) -> None:
        """Count one step of a map or product.

        Args:
            node: of the map.
            call: what it calls.
            value_of: of nodes and stored tensors.
            arrived: what its operands bring.
            operations: what the events of its one operand cause, with all weights taken for there;
                None: not known.
            first: whether it is the first step of a batch.
        """
        by_weights = len(operands(call)) == 1 < len(factors(call))
        if first:
            holed = self._holed(call, value_of) if by_weights else {}
            macs = call_macs(call, value_of) if is_in_source_work(call) else 0.0
            dense = 0.0
            if by_weights:
                events = arrived[0].events
                every = torch.full_like(events, 1 + 1j if events.is_complex() else 1)
                dense = reached(call, value_of, arrived[0].position, every, {}).operations
            self._known[node] = _Known(macs, holed, dense)
        known = self._known[node]
        if all(x.neurons for x in arrived):
            for x in arrived:
                spikes = float(of_both_parts(x.events).sum(dtype=torch.float64))
                self._by_rates += by_rate(spikes, x.events.numel(), known.macs)
        elif any(bool(x.events.any()) for x in arrived):
            self._in_floats += known.macs
        if by_weights:
            self._by_weights(call, value_of, arrived[0], operations, known)

    def whole(self, macs: float) -> None:
        """Count attention or a recurrence in floats."""
        self._in_floats += macs

    def _by_weights(
        self,
        call: Call,
        value_of: Values,
        x: Arrived,
        operations: float | None,
        known: _Known,
    ) -> None:
        def caused(events: Tensor) -> float:
            return reached(call, value_of, x.position, events, known.holed).operations

        self._dense += known.dense * max((neuron.bursts for neuron in x.neurons), default=1)
        if operations is None or known.holed:
            operations = caused(x.events)
        if not x.neurons:
            self._macs += operations
            return
        if all(neuron.alphabet.is_one_size for neuron in x.neurons):
            self._acs += operations
        else:
            self._graded += operations
        has_digits = any(neuron.alphabet.has_digits for neuron in x.neurons)
        self._digits += caused(x.digits) if has_digits else operations

    def _holed(self, call: Call, value_of: Values) -> dict[int, Tensor]:
        """Count the weights of a map; return by position those that have zeros."""
        found = {}
        for position, x in enumerate(factors(call)):
            weight = value_of(x) if isinstance(x, fx.Node | Stored) else x
            if x in operands(call) or not isinstance(weight, Tensor):
                continue
            numbers = real(weight)
            zeros = numbers.numel() - int(numbers.count_nonzero())
            self._weights[x] = zeros, numbers.numel()
            if zeros:
                found[position] = weight
        return found

    def found(
        self, snn: ConvertedModule, sites: Iterable[Activity], samples: int, state_reads: float
    ) -> Conventions:
        """Return what was counted, per sample.

        Args:
            snn: the conversion.
            sites: what its neurons did.
            samples: of the data.
            state_reads: of a sample and step.
        """
        sites = list(sites)
        answers = sum(a.answers for a in sites)
        spikes = sum(sum(a.spikes) for a in sites)
        tables = {id(t): len(t) for a in sites if (t := a.neuron.target.table) is not None}
        stored = [*snn.parameters(), *snn.buffers()]
        zeros, weights = (sum(n[i] for n in self._weights.values()) for i in (0, 1))
        width = accumulation_dtype(snn.placed.dtype).itemsize

        def each(acs: float, macs: float) -> Synaptic:
            return Synaptic(acs / samples, macs / samples)

        return Conventions(
            parameter_bytes=sum(x.numel() * x.element_size() for x in stored),
            table_bytes=sum(tables.values()) * ENTRY_BITS // _BYTE,
            state_bytes=state_reads * width,
            connection_sparsity=sparsity(zeros, weights),
            activation_sparsity=sparsity(answers - spikes, answers),
            dense=self._dense / samples,
            effective=each(self._acs, self._graded + self._macs),
            planes=each(self._digits, self._macs),
            by_rates=each(self._by_rates, self._in_floats),
        )
