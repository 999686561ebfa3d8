"""The converted module: a cumulative graph with increments at its boundary."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.building.tree import Container, device_of
from snnconvert.converter.reports.equivalence import EquivalenceReport, kind_rows, unverified
from snnconvert.converter.reports.paragraphs import as_text
from snnconvert.converter.running.calls import replaced
from snnconvert.converter.running.casts import after_cast, by_parts
from snnconvert.converter.running.chunks import checked_chunk
from snnconvert.converter.running.encoded import cumulative, summed
from snnconvert.converter.running.layout import apart
from snnconvert.converter.running.online import Online, difference
from snnconvert.converter.running.recorded_run import places_of
from snnconvert.converter.running.recording import Recording, Recordings, record
from snnconvert.converter.running.runner import Runner
from snnconvert.converter.running.tree_module import TreeModule
from snnconvert.converter.running.until import Settled, Until, run_until, until_of
from snnconvert.converter.saving.write import dump_conversion, refuse_without_folder
from snnconvert.converter.tracing.inputs import (
    TensorOptions,
    bind_inputs,
    checked_time_steps,
    refuse_names,
)
from snnconvert.errors import InputError, SavedFileError
from snnconvert.files import write_atomically
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Encoding, encoding_named
from snnconvert.ops.temporal_difference import TDOperator
from snnconvert.torch_private import pytree

if TYPE_CHECKING:
    from typing_extensions import Self


class ConvertedModule(TreeModule):
    """A source network as a network on increments, equal to it at every time step.

    With coded inputs ``x_t`` and cumulative values ``X_t = x_0 + ... + x_t``, the output at step
    ``t`` is ``y_t = Y_t - Y_{t-1}``, where ``Y_t`` is the graph's value on ``X_t``: the source's
    output on ``X_t`` where every rule is TD. Floating-point inputs are coded; integers and bools
    are held, that is, the same at every step. Outputs keep the source's structure.

    The parameters are those of the source, under its names.

    Attributes:
        conversion: what was traced and decided.
        converted: the graph of cumulative values in the dtype of the source when it was traced.
        graph: the graph that every call runs: that one in the dtype and on the device of now.
        tree: the modules and tensors that the graph refers to; this module's own.
        placed: the dtypes and device of its floating-point tensors.
        report: the :class:`EquivalenceReport` of the last verification, or None.
    """

    report: EquivalenceReport | None
    placed: TensorOptions
    _own = TreeModule._own.union(
        "conversion converted graph report placed _runner _online _recordings".split()
    )

    def __init__(self, conversion: Conversion, tree: Container, graph: fx.Graph) -> None:
        super().__init__()
        self._adopt(tree)
        self.conversion = conversion
        self.converted = self.graph = graph
        self.report = None
        self.placed = TensorOptions(conversion.source.dtype, device_of(tree))
        self._runner = Runner(conversion, graph)
        self._online: Online | None = None
        self._recordings = Recordings()

    @property
    def time_steps(self) -> int:
        """Number of time steps of a run that does not say otherwise."""
        return self.conversion.rules.time_steps

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run a whole sequence of increments from rest.

        Args:
            *args, **kwargs: the source's inputs, coded ones as increments ``[T, B, ...]``, held
                ones as the source takes them. Where nothing is coded, the sequence has the rule
                file's ``time_steps``. Constants of the trace may be left out.

        Returns:
            The source's output structure; each tensor ``[T, ...]`` holds increments, those of
            integers in int64, which add up. (Truth values have no difference and are returned as
            they are at each step.)

        Raises:
            InputError: an input does not fit, or time lengths differ.
        """
        leaves, clock = self._timed(args, kwargs)
        return self._structured(self.propagate(leaves, clock))

    def propagate(self, leaves: list[Any], clock: Clock) -> list[Any]:
        """Return the increments of the output leaves for bound input leaves (see `forward`)."""
        sums = summed(leaves, self.conversion.source.inputs, clock.start)
        return [difference(y) for y in self._runner.run(self.tree, leaves, sums, clock)]

    def cumulative(self, *args: Any, **kwargs: Any) -> Any:
        """Return cumulative outputs ``Y_t``, ``[T, ...]``, of cumulative inputs ``X_t``."""
        leaves, clock = self._timed(args, kwargs)
        return self._structured(list(map(apart, self.run_cumulative(leaves, clock))))

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """Take one increment of each coded input, ``[B, ...]``, and return the output's increment.

        State: cumulative inputs, held inputs and last outputs are carried until `reset`.

        Raises:
            StateError: a shape, or a held input, differs from those of the earlier steps.
        """
        leaves, _ = self._bind(args, kwargs, timed=False)
        online = self._online
        if online is None:
            online = Online(Clock(1, total=self.time_steps, encoding=self._encoding))
        given = self.conversion.source.inputs
        seen = self._recordings.go_on(self.conversion, leaves, online.run, online.clock.start)
        begin = partial(self._runner.program(self.tree).begin, self.tree)
        # What is carried becomes the state at the very end: an exception leaves it as it was.
        after, increments = online.advanced(leaves, given, begin, seen)
        self._online = after
        return self._structured(increments)

    def reset(self) -> None:
        """Forget all earlier steps: the next `step` is a first step."""
        self._online = None

    @overload
    def simulate(
        self,
        *args: Any,
        time_steps: int | None = None,
        encoding: str | Encoding | None = None,
        chunk: int | None = None,
        until: None = None,
        **kwargs: Any,
    ) -> Any: ...
    @overload
    def simulate(
        self,
        *args: Any,
        time_steps: int | None = None,
        encoding: str | Encoding | None = None,
        chunk: int | None = None,
        until: str | float,
        output: str | int | None = None,
        classes: int | None = None,
        **kwargs: Any,
    ) -> Settled: ...
    def simulate(
        self,
        *args: Any,
        time_steps: int | None = None,
        encoding: str | Encoding | None = None,
        chunk: int | None = None,
        until: str | float | None = None,
        output: str | int | None = None,
        classes: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode the source's inputs, run, and return cumulative outputs.

        Where all arrives at the first step, what no neuron stands before is computed once, and a
        run of 16 steps or more, or in chunks, ends once a step has changed no state: all later ones
        are that one.

        Args:
            *args, **kwargs: inputs as the source takes them, ``[B, ...]``.
            time_steps: ``T``; None: that of the rule file.
            encoding: ``at_once`` (all at the first step), ``constant`` (1/T at each step) or an
                :class:`~snnconvert.ops.encoding.Encoding`; None: that of the rule file.
            chunk: number of steps that are run at once; None: all, or as many as a budget of memory
                allows. What neurons carry from one chunk to the next is kept in between, and
                values are the same but where kernels round more samples otherwise than fewer.
            until: when a sample is done; None: all run for ``T`` steps. ``settled``: after the
                first whole step that changed no neuron's state, with all of its inputs arrived, so
                that nothing in it can change any more. A number: after the first step by whose
                end its largest class score leads by so much, at every position.
            output, classes: where class scores are, as of `snnconvert.verify`.

        Returns:
            The source's output structure; each tensor is ``[T, ...]`` and holds at ``t`` what the
            network has answered by the end of step ``t``. With ``until``, a :class:`Settled` of
            these outputs, each sample's repeated from its last step on, and of the ``steps`` that
            each took. Steps run one after the other, and no more once all are done; kernels may
            round ``B`` samples otherwise than the ``T * B`` of a run without ``until``.

        Raises:
            InputError: an input does not fit, or has the name of an argument of `simulate`; or
                samples cannot be told apart, or have no class scores.
        """
        names = ("time_steps", "encoding", "chunk", "until", "output", "classes")
        refuse_names(self.conversion.source, names, "simulate")
        steps = checked_time_steps(self.time_steps if time_steps is None else time_steps)
        chosen = self._encoding if encoding is None else encoding_named(encoding)
        end = until_of(until, output, classes)
        chunk = checked_chunk(chunk)
        if chunk is not None and end is not None:
            raise InputError("until= runs one step after the other; leave chunk= out")
        leaves, _ = self._bind(args, kwargs, timed=False)
        seen = self._recordings.begin(self.conversion, leaves)
        clock = Clock(steps, total=steps, encoding=chosen, last=True, recorders=seen)
        if end is not None:
            found = self.run_until(end, leaves, clock)
            return found._replace(outputs=self._structured(found.outputs))
        outputs = self._runner.simulate(self.tree, leaves, clock, chunk)
        return self._structured(list(map(apart, outputs)))

    def record(
        self, sites: str | Iterable[str] = "*", what: str | Iterable[str] = "spikes"
    ) -> Recording:
        """Return what keeps, while it is entered, what neurons do in the last run::

            with snn.record("blocks.*", what=("spikes", "membrane")) as seen:
                snn.simulate(images, time_steps=8)
            seen.spikes["blocks.0.fc1.input_neuron"]  # [T, B, ...]

        No output changes; nothing that was not asked for is kept.

        Args:
            sites: globs on names of sites, the paths of neurons.
            what: of ``spikes``, ``counts``, ``membrane`` and ``drive`` (:class:`Recording`).

        Raises:
            InputError: a glob matches no site, there is no such kind, or there are no neurons.
        """
        return record(places_of(self.graph, self.tree), sites, what, self._recordings)

    def summary(self) -> str:
        """Return the conversion as text: per op kind how many nodes, which rule, worst error."""
        if self.report is not None:
            return str(self.report)
        return as_text(unverified(kind_rows(self.conversion, {})))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversion, with its parameters as they are now, to a file that
        `snnconvert.load` reads; no code is pickled, and an existing file is replaced in one step.

        Args:
            path: by custom with the suffix ``.snn``.

        Raises:
            InputError: there is no such folder.
            SavedFileError: the conversion was cast to another dtype, had layers replaced, or
                holds what ``torch.export`` cannot write or `snnconvert.load` would not read.
        """
        refuse_without_folder(path)
        write_atomically(path, self.dumps())

    def dumps(self) -> bytes:
        """Return the conversion as the content of a file (errors as `save`)."""
        if changed := replaced(self.graph, self.tree):
            raise SavedFileError(
                f"the layers {', '.join(changed)} were replaced after the conversion, and a saved "
                "conversion holds its source; replace them in the source, and convert it again"
            )
        # Also what a state_dict leaves out: a copy has buffers and constants of its own.
        current: dict[str, Tensor] = dict(self.tree.named_parameters(remove_duplicate=False))
        current |= self.tree.named_buffers(remove_duplicate=False)
        return dump_conversion(self.conversion, current, self.placed.dtypes, self.report)

    def _bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], *, timed: bool
    ) -> tuple[list[Any], int | None]:
        source = self.conversion.source
        return bind_inputs(source, args, kwargs, timed=timed, options=self.placed)

    def _timed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Clock]:
        """Return the leaves of a call on a whole sequence, and its run."""
        leaves, steps = self._bind(args, kwargs, timed=True)
        steps = self.time_steps if steps is None else steps
        seen, how = self._recordings.begin(self.conversion, leaves, timed=True), self._encoding
        return leaves, Clock(steps, total=steps, encoding=how, last=True, recorders=seen)

    @property
    def _encoding(self) -> Encoding:
        return encoding_named(self.conversion.rules.encoding)

    def _structured(self, leaves: list[Any]) -> Any:
        return pytree.tree_unflatten(leaves, self.conversion.source.out_spec)

    def run_cumulative(
        self, leaves: list[Any], clock: Clock, chunk: int | None = None
    ) -> list[Any]:
        """Return the cumulative output leaves of cumulative input leaves (as in `propagate`)."""
        inputs = cumulative(leaves, self.conversion.source.inputs, clock.start)
        return self._runner.run(self.tree, leaves, inputs, clock, chunk)

    def run_until(self, until: Until, leaves: list[Any], clock: Clock) -> Settled:
        """Run each sample until it is done (leaves as the source takes them and gives them)."""
        of = (self.conversion, self.graph, self.tree)
        run = self._runner.begin(self.tree, leaves, clock.encoding)
        return run_until(until, run, of, leaves, clock)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        after, fn = after_cast(self.conversion.source, self.placed, fn), by_parts(fn)
        super()._apply(fn, recurse)
        if after != self.placed:
            # The graph names dtypes and devices of the tensors that it creates.
            self.follow_dtypes(after.dtypes, after.device)
            self.placed = after
        if self._online is not None:
            self._online = self._online.mapped(fn)
        return self

    def follow_dtypes(
        self, dtypes: Mapping[torch.dtype, torch.dtype], device: torch.device | None = None
    ) -> None:
        """Replace the dtypes (and the device) that the graph and its operators name.

        Args:
            dtypes: by those of the source when it was traced, whatever was followed since.
            device: None: those of the trace.
        """
        self._runner = Runner(self.conversion, self.converted, dtypes, device)
        self.graph = self._runner.graph
        for operator in self.modules():
            if isinstance(operator, TDOperator):
                operator.follow_dtypes(dtypes)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new = type(self).__new__(type(self))
        nn.Module.__init__(new)
        memo[id(self)] = new
        new._adopt(copy.deepcopy(self.tree, memo))
        for name in self._own - {"tree", "_online", "_recordings"} | {"training"}:
            setattr(new, name, getattr(self, name))
        new._recordings = Recordings()
        # The state is copied without its autograd history, which cannot be copied.
        new._online = self._online and self._online.mapped(lambda x: x.detach().clone())
        return new
