"""Runs of a conversion: which program computes them, and how many steps at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from snnconvert.converter.building.at_once import at_once
from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.deciding.streams import random_nodes
from snnconvert.converter.graph.literals import with_literals
from snnconvert.converter.running.chunks import lengths_of, run_chunks
from snnconvert.converter.running.encoded import Inputs, arriving, at_step, for_coded
from snnconvert.converter.running.layout import fold, time_dims
from snnconvert.converter.running.memory import Need, need_of, values_of
from snnconvert.converter.running.online import RunGraph
from snnconvert.converter.running.program import Program, program_of
from snnconvert.converter.running.settling import all_steady, neurons_of
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Encoding


@dataclass
class Runner:
    """Runs a conversion; its programs are compiled when they are first asked for.

    Attributes:
        conversion: what is run.
        converted: the graph of cumulative values in the dtypes of the trace.
        dtypes, device: what is named in their place; None: nothing was followed.
    """

    conversion: Conversion
    converted: fx.Graph
    dtypes: Mapping[torch.dtype, torch.dtype] | None = None
    device: torch.device | None = None
    programs: dict[bool, Program | None] = field(default_factory=dict)

    @cached_property
    def graph(self) -> fx.Graph:
        """The graph of any run, in the dtypes and on the device of now."""
        return self._followed(self.converted)

    @cached_property
    def need(self) -> Need:
        """What a run takes of memory."""
        return need_of(self.converted, self.conversion.source.inputs)

    @cached_property
    def draws(self) -> bool:
        """Whether a run draws random numbers."""
        return bool(random_nodes(self.conversion.sited.traced.graph))

    def _followed(self, graph: fx.Graph) -> fx.Graph:
        return graph if self.dtypes is None else with_literals(graph, self.dtypes, self.device)

    def program(self, tree: nn.Module) -> Program:
        """Return what computes any run."""
        found = self.programs.get(False)
        if found is None:
            found = program_of(self.graph, tree, time_dims(self.conversion))
            self.programs[False] = found
        return found

    def program_of(self, tree: nn.Module, encoding: Encoding) -> Program:
        """Return what computes a run of inputs that arrive so, with least work."""
        if not encoding.at_first:
            return self.program(tree)
        if True not in self.programs:
            found = at_once(self.conversion, self.converted)
            self.programs[True] = found and program_of(
                self._followed(found[0]), tree, time_dims(self.conversion, found[1])
            )
        return self.programs[True] or self.program(tree)

    def begin(self, tree: nn.Module, leaves: Sequence[Any], encoding: Encoding) -> RunGraph:
        """Begin a run: return what computes the output leaves of folded inputs.

        Args:
            tree: what graphs refer to.
            leaves: inputs as the source takes them.
            encoding: how they arrive.
        """
        return self.program_of(tree, encoding).begin(tree, leaves)

    def simulate(
        self, tree: nn.Module, leaves: Sequence[Any], clock: Clock, chunk: int | None
    ) -> list[Any]:
        """Return cumulative output leaves ``[T, ...]`` of inputs that the clock's encoding spreads.

        Args:
            tree: what graphs refer to.
            leaves: inputs as the source takes them.
            clock: the run.
            chunk: how many steps are run at once; None: by what they take of memory.
        """
        program = self.program_of(tree, clock.encoding)
        inputs = arriving(clock.encoding, leaves, self.conversion.source.inputs, clock.total)
        lengths = self._lengths(program, tree, leaves, clock, chunk)
        ends = len(lengths) > 1 and self._may_end(tree, leaves, clock.encoding)
        run = program.begin(tree, leaves)
        folded = self._folded(program, inputs)
        return run_chunks(run, folded, clock, lengths, program.dims, ends=ends)

    def run(
        self,
        tree: nn.Module,
        leaves: Sequence[Any],
        inputs: Inputs,
        clock: Clock,
        chunk: int | None = None,
    ) -> list[Any]:
        """Return cumulative output leaves ``[T, ...]``.

        Args:
            tree: what graphs refer to.
            leaves: input leaves, of which coded ones are ``[T, B, ...]``.
            inputs: makes cumulative ones of them; asked for all steps in order.
            clock: the run.
            chunk: as of `simulate`.
        """
        program, one = self.program(tree), at_step(0, leaves, self.conversion.source.inputs)
        lengths = self._lengths(program, tree, one, clock, chunk)
        run, folded = program.begin(tree, one), self._folded(program, inputs)
        return run_chunks(run, folded, clock, lengths, program.dims)

    def _folded(self, program: Program, inputs: Inputs) -> Inputs:
        """Return what makes inputs with their time in front of the batch, where any is read."""
        given = self.conversion.source.inputs
        if not program.moving:
            return lambda start, steps: []
        return lambda start, steps: for_coded(
            lambda x, i: fold(x, i.batch_dim or 0), inputs(start, steps), given
        )

    def _lengths(
        self,
        program: Program,
        tree: nn.Module,
        leaves: Sequence[Any],
        clock: Clock,
        chunk: int | None,
    ) -> list[int]:
        """Return the numbers of steps that are run at once (arguments as `simulate`)."""
        total = clock.steps
        if not program.changes:
            return [total]
        if self.conversion.step_by_step:
            return lengths_of(total, 1)
        if chunk is not None or total == 1 or _is_recorded(tree, leaves):
            return lengths_of(total, chunk)  # what is recorded stays, whatever is run at once
        given = self.conversion.source.inputs
        device = next((x.device for x in leaves if isinstance(x, Tensor)), torch.device("cpu"))
        most = self.need.chunk(values_of(given, leaves), total, device)
        return lengths_of(total, most, looks=self._may_end(tree, leaves, clock.encoding))

    def _may_end(self, tree: nn.Module, leaves: Sequence[Any], encoding: Encoding) -> bool:
        """Tell whether a run is known as a whole once a call has changed no state: nothing arrives
        after the first step, neurons do the same at each, and no gradient passes through them."""
        return (
            encoding.at_first
            and not self.draws
            and not _is_recorded(tree, leaves)
            and all_steady(neurons_of(self.converted, tree))
        )


def _is_recorded(tree: nn.Module, leaves: Sequence[Any]) -> bool:
    """Tell whether a run is recorded, for gradients or as a graph."""
    if torch.compiler.is_compiling() or get_proxy_mode() is not None:
        return True
    if not torch.is_grad_enabled():
        return False
    tensors = (x for x in leaves if isinstance(x, Tensor))
    return any(x.requires_grad for x in chain(tree.parameters(), tensors))
