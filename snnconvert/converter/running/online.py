"""What is carried from one time step to the next when a conversion is run step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from weakref import ReferenceType, ref

import torch
from torch import Tensor

from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.errors import StateError
from snnconvert.ops.clock import Clock, Recorder
from snnconvert.ops.sequence import accumulation_dtype, increments_of, signed, subtract
from snnconvert.torch_private import version_of

RunGraph: TypeAlias = Callable[[list[Any], Clock], list[Any]]


@dataclass(frozen=True)
class Online:
    """What `ConvertedModule.step` carries: the run, cumulative inputs, the last outputs, which
    tensors the inputs of the last step were, and what this run is known by.

    Its tensors are its own: no caller holds one of them, and none is written to.
    """

    clock: Clock
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    seen: tuple[Seen | None, ...] = ()
    run: object = field(default_factory=object)

    def advanced(
        self,
        leaves: list[Any],
        given: Sequence[TracedInput],
        begin: Callable[[list[Any]], RunGraph],
        recorders: tuple[Recorder, ...] = (),
    ) -> tuple[Online, list[Any]]:
        """Return what is carried after one more step, and the increments of the output leaves.

        Args:
            leaves: the step's inputs: increments of coded ones.
            given: what they are.
            begin: begins a run of input leaves: returns what computes the cumulative output leaves
                of cumulative input leaves.
            recorders: see this step.

        Raises:
            StateError: a shape, or a held input, differs from those of the earlier steps.
        """
        before, seen = (was or (None,) * len(leaves) for was in (self.inputs, self.seen))
        totals = tuple(map(carried, before, leaves, given, seen))
        # The graph gets tensors of its own: it may return its inputs as they are.
        inputs = [
            total.to(now.dtype, copy=True) if isinstance(total, Tensor) else total
            for total, now in zip(totals, leaves, strict=True)
        ]
        clock = replace(self.clock, state=dict(self.clock.state), recorders=recorders)
        outputs = tuple(begin(inputs)(inputs, clock))
        earlier = self.outputs or (None,) * len(outputs)
        increments = list(map(change, earlier, outputs))
        for recorder in recorders:
            recorder.end(1)
        clock = replace(clock, start=clock.start + 1, recorders=())
        return Online(clock, totals, outputs, tuple(map(seen_of, leaves)), self.run), increments

    def mapped(self, fn: Callable[[Tensor], Tensor]) -> Online:
        """Return the state with ``fn`` applied to each of its tensors."""

        def leaf(x: Any) -> Any:
            return fn(x) if isinstance(x, Tensor) else x

        state = {key: fn(x) for key, x in self.clock.state.items()}
        clock = replace(self.clock, state=state)
        inputs, outputs = (tuple(map(leaf, values)) for values in (self.inputs, self.outputs))
        return Online(clock, inputs, outputs, run=self.run)


@dataclass(frozen=True)
class Seen:
    """A tensor of the caller's on a device of its own, known again without a look at its values,
    which the device would have to be waited for. (Memory of the CPU may be others' too, of NumPy or
    behind ``.data``, whose writes nobody counts.)

    Attributes:
        tensor: the tensor, for as long as the caller has it.
        version: how often it had been written to.
    """

    tensor: ReferenceType[Tensor]
    version: int

    def is_as_before(self, x: Tensor) -> bool:
        """Tell whether a tensor is that one, with the same values."""
        return self.tensor() is x and version_of(x) == self.version


def seen_of(x: Any) -> Seen | None:
    """Return a tensor as seen now; None where its values are to be looked at."""
    if not isinstance(x, Tensor) or x.device.type == "cpu" or x.is_inference():
        return None
    return Seen(ref(x), version_of(x))


def carried(before: Any, now: Any, given: TracedInput, seen: Seen | None) -> Any:
    """Return what an input has come to after one more step; half types are summed in float32.

    Args:
        before: what it had come to; None: nothing.
        now: of this step.
        given: what it is.
        seen: the tensor of the step before.

    Raises:
        StateError: the shape, dtype or device has changed, or the value of a held input.
    """
    if not isinstance(now, Tensor):
        return now
    name, coded = given.name, given.role == "coded"
    wide = now.to(accumulation_dtype(now.dtype)) if coded else now
    if before is None:
        return wide.clone()
    if before.shape != now.shape or before.dtype != wide.dtype or before.device != now.device:
        raise StateError(
            f"input '{name}' is {now.dtype} {tuple(now.shape)} on {now.device} at this step and "
            f"was {before.dtype} {tuple(before.shape)} on {before.device} before; call reset() "
            "before another sequence"
        )
    if coded:
        return before + wide
    if (seen is None or not seen.is_as_before(now)) and not torch.equal(before, now):
        raise StateError(
            f"held input '{name}' changed between steps; held inputs are the same at every step. "
            "Call reset() before another sequence"
        )
    return before


def difference(cumulative: Any) -> Any:
    """Return the increments ``[T, ...]`` of cumulative values, those of integers in int64; truth
    values have none."""
    if not isinstance(cumulative, Tensor) or cumulative.dtype is torch.bool:
        return cumulative
    return increments_of(cumulative)


def change(before: Any, now: Any) -> Any:
    """Return the increment from one step to the next; None stands for no step before.

    Raises:
        StateError: the shape has changed.
    """
    if not isinstance(now, Tensor):
        return now
    if before is None or now.dtype is torch.bool:
        return signed(now).clone()  # the state keeps the other
    if before.shape != now.shape:
        raise StateError(
            f"an output has shape {tuple(now.shape)} at this step and had {tuple(before.shape)} "
            "before; call reset() before a sequence with other shapes"
        )
    return subtract(now, before)
