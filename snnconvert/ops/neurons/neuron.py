"""A neuron in all its forms: on sequences, step by step, on cumulative drives, inside a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from snnconvert.ops.clock import Clock, by_steps
from snnconvert.ops.neurons.alphabet import Alphabet
from snnconvert.ops.neurons.blocks import State, by_blocks
from snnconvert.ops.neurons.checks import (
    check_state,
    checked_bursts,
    checked_rest,
    checked_threshold,
    needs_derivative,
    shown,
    sizes_around,
)
from snnconvert.ops.neurons.digits import digits_of
from snnconvert.ops.neurons.options import NeuronOptions
from snnconvert.ops.neurons.spike import Straight
from snnconvert.ops.neurons.watched import watched
from snnconvert.ops.sequence import (
    accumulate,
    accumulation_dtype,
    check_increments,
    check_time,
    subtract,
)
from snnconvert.ops.state import StepState
from snnconvert.ops.surrogate import Surrogate, surrogate_named
from snnconvert.ops.targets import DRIVE, NO_LIMITS, Target

if TYPE_CHECKING:
    from typing_extensions import Self


class Neuron(nn.Module):
    """A neuron that follows a target: the base of all neurons.

    With the cumulative drive ``X_t`` and its target ``A_t``, the neuron's spikes add up to the
    reconstruction ``R_t``, from ``R_{-1} = rest`` on. Within a step it answers up to ``bursts``
    times, each time what the answers before left. A subclass gives its equation: `_scan` takes
    steps, `_emit` gives one answer, `_nearest` says which spike a change of ``R`` was.

    Args:
        v_threshold: in the unit of the activation: a number, or ``[C]``; a Parameter is shared and
            can be trained.
        target: what it follows; its limits hold for ``R`` too, at every step.
        rest: ``R_{-1}``, in the unit of the activation, a number or ``[C]``: what the drive is
            without news. It is a constant, which enters the operator behind the neuron once.
            None: the value nearest to 0 within the limits.
        bursts: ``K``: how often it may answer within a step before what stands behind reads.
        axis: dimension of one step's drive ``[B, ...]`` that ``[C]`` lies along.
        surrogate: of the gradient, see :mod:`snnconvert.ops.surrogate`.

    Shapes: `forward` and `cumulative` ``[T, B, ...]`` to ``[T, B, ...]``, `step` ``[B, ...]`` to
    ``[B, ...]``. `forward` and `step` take increments of the drive and return spikes;
    `cumulative` takes ``X_t`` and returns ``R_t``.

    State: `step` keeps ``X`` and ``R`` until `reset`. The state follows ``.to()`` and is not in
    the ``state_dict``; ``v_threshold`` and ``rest`` are. `forward` and `cumulative` start from
    rest.

    What a type says of itself, for rule files, calibration and reports:

    Attributes:
        Options: its options in rule files, with their defaults.
        candidates: by option, the values that ``auto`` chooses from.
        signed: whether it has negative spikes.
        graded: whether its spikes have any size, so that each costs a multiplication.
        can_rest: whether it may rest at the mean of its drive.

    Raises:
        InputError: a threshold is not positive, or an increment does not fit.
        StateError: shape, dtype or device of a step differ from those of earlier steps.
    """

    Options: ClassVar[type[NeuronOptions]] = NeuronOptions
    candidates: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    signed: ClassVar[bool] = True
    graded: ClassVar[bool] = False
    can_rest: ClassVar[bool] = False
    state_names: ClassVar[tuple[str, ...]] = ("R",)

    v_threshold: Tensor
    rest: Tensor

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        target: Target = DRIVE,
        rest: float | Tensor | None = None,
        bursts: int = 1,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__()
        where = type(self).__name__
        self.target, self.axis = target, axis
        self.bursts = checked_bursts(where, bursts)
        threshold = checked_threshold(where, v_threshold, axis)
        if isinstance(v_threshold, nn.Parameter):
            self.v_threshold = v_threshold
        else:
            self.register_buffer("v_threshold", threshold)
        rest = target.at_rest if rest is None else rest
        found = checked_rest(where, rest, axis, self.v_threshold, target.limits)
        self.register_buffer("rest", found)
        self.surrogate = surrogate_named(surrogate)
        self._state, self._steps = StepState(), 0

    @classmethod
    def thresholds_of_range(cls, options: Any, target: Target, time_steps: int) -> float:
        """Return how many thresholds make up the largest value that a neuron is made for.

        Args:
            options: of the type's `Options`.
            target: what it follows.
            time_steps: ``T`` of the run.
        """
        raise NotImplementedError(f"{cls.__name__} must define thresholds_of_range()")

    @classmethod
    def arguments_of(cls, options: Any, target: Target) -> dict[str, Any]:
        """Return the arguments of the constructor that follow from options (as above), besides
        threshold, target, rest and axis."""
        return dict(options)

    @property
    def alphabet(self) -> Alphabet:
        """Which spikes it has."""
        return Alphabet()

    @property
    def steady(self) -> bool:
        """Whether it is known to do the same at every step, on the same drive and state."""
        return False

    def advance(self, drive: Tensor, state: State, start: int) -> Tensor:
        """Return ``R`` of steps ``start, start + 1, ...``, ``[T, B, ...]``.

        Args:
            drive: ``X_t`` of these steps, ``[T, B, ...]``.
            state: of the step before; replaced by that of the last step.
            start: index of the first step in the run.

        Raises:
            InputError: the drive is not ``[T, B, ...]`` in floating point, or does not fit.
            StateError: the state is of other shape, dtype or device.
        """
        return self._advanced(drive, state, start, 1).squeeze(1)

    def answers(self, drive: Tensor, state: State, start: int) -> Tensor:
        """Return ``R`` after each answer, ``[T, bursts, B, ...]``; the last of a step is its ``R``.

        Args and errors: as `advance`.
        """
        return self._advanced(drive, state, start, self.bursts)

    def _advanced(self, drive: Tensor, state: State, start: int, kept: int) -> Tensor:
        """Return the last answers of each step, as many as are to be kept."""
        where, dtype = type(self).__name__, accumulation_dtype(drive.dtype)
        check_increments(where, [drive])
        check_time(where, [drive])
        check_state(where, state, drive[0], dtype)
        time_steps, *shape = drive.shape
        self._sizes(shape)
        if "R" not in state:
            # Also where it is 0: to ask for a value would stop on the meta device and in export.
            state["R"] = self._laid(self.rest.to(dtype), len(shape)).expand(shape)
        scan = self._recorded if self._needs_gradient(drive, *state.values()) else self._scan
        return scan(drive, state, start, kept).reshape(time_steps, kept, *shape)

    def _sizes(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Return the sizes of one step's drive before, along and behind the threshold's axis."""
        features = max(self.v_threshold.numel(), self.rest.numel())
        return sizes_around(type(self).__name__, shape, self.axis, features)

    def _recorded(self, drive: Tensor, state: State, start: int, kept: int) -> Tensor:
        """Take all steps with a gradient, one after the other (arguments as `_scan`)."""
        shape, sizes = drive.shape[1:], self._sizes(drive.shape[1:])
        carried = {name: x.reshape(sizes) for name, x in state.items()}
        threshold = self.v_threshold.to(state["R"].dtype).reshape(-1, 1)
        answers = [
            answer
            for t, x in enumerate(drive.reshape(len(drive), *sizes).unbind(0))
            for answer in self._burst(x.to(threshold.dtype), carried, threshold, start + t)[-kept:]
        ]
        state.update({name: x.reshape(shape) for name, x in carried.items()})
        return torch.stack(answers).to(drive.dtype).reshape(len(answers), *shape)

    def _scan(self, drive: Tensor, state: State, start: int, kept: int) -> Tensor:
        """Take all steps without a gradient, and replace the state, which has ``R``.

        Args:
            drive: ``X_t``, ``[T, *shape]``.
            state: of the step before, each tensor of the shape of one step.
            start: index of the first step in the run.
            kept: how many answers of each step to return.

        Returns:
            ``R`` after the last answers of each step, ``[T kept, *shape]``.
        """
        threshold = self.v_threshold.to(state["R"].dtype).reshape(-1, 1)

        def take(steps: Tensor, state: State, out: Tensor) -> None:
            for t, x in enumerate(steps.unbind(0)):
                answers = self._burst(x.to(threshold.dtype), state, threshold, start + t)
                rows = out[t * kept : (t + 1) * kept]
                for row, answer in zip(rows, answers[-kept:], strict=True):
                    row.copy_(answer)

        return by_blocks(take, drive, state, self._sizes(drive.shape[1:]), kept)

    def _burst(self, drive: Tensor, state: State, threshold: Tensor, t: int) -> list[Tensor]:
        """Take one step: replace the state, return ``R`` after each answer."""
        return [self._emit(drive, state, threshold, t, first=not n) for n in range(self.bursts)]

    def _emit(
        self, drive: Tensor, state: State, threshold: Tensor, t: int, *, first: bool
    ) -> Tensor:
        """Give one answer: replace the state, return ``R``."""
        raise NotImplementedError(f"{type(self).__name__} must define _emit()")

    def _nearest(self, change: Tensor, threshold: Tensor, t: int) -> Tensor:
        """Return the spikes of step ``t`` that changed ``R``, in sum: a difference of sums is
        rounded."""
        raise NotImplementedError(f"{type(self).__name__} must define _nearest()")

    def resting(self, drive: Tensor) -> Tensor:
        """Return ``R_{-1}`` in a shape that broadcasts to one step's drive."""
        return self._along(self.rest, drive)

    def _along(self, values: Tensor, drive: Tensor) -> Tensor:
        return self._laid(values.to(drive.dtype), drive.dim())

    def _laid(self, values: Tensor, dims: int) -> Tensor:
        """Return values of features in a shape that broadcasts to one step's of these."""
        if self.axis is None or values.dim() == 0:
            return values
        return values.reshape([-1 if d == self.axis % dims else 1 for d in range(dims)])

    def membrane(self, drive: Tensor, state: State) -> Tensor:
        """Return ``v_t = A_t - R_t``, what is left to be said, by the cumulative drive of one step,
        ``[B, ...]``, and the state after it."""
        return self.target.followed(drive) - state["R"]

    def binary_digits(self, changes: Tensor, t: int) -> Tensor:
        """Return how many binary digits of the size of each spike of step ``t``, by what answers
        changed ``R``, ``[n, B, ...]``, are one, in float32; of no spike none. A size is a whole
        number of the finest that the neuron has, here of ``v_threshold``."""
        return digits_of((changes.abs() / self._along(self.v_threshold, changes[0])).round())

    def forward(self, x_seq: Tensor) -> Tensor:
        """Return the spikes of a sequence of increments, ``[T, B, ...]``, from rest."""
        where = type(self).__name__
        check_increments(where, [x_seq])
        check_time(where, [x_seq])
        drive = accumulate(x_seq).to(accumulation_dtype(x_seq.dtype))
        followed = self.advance(drive, {}, 0)
        first = subtract(followed[:1], self.resting(drive[0]))
        changes = torch.cat([first, subtract(followed[1:], followed[:-1])])
        spikes = [self.spike_of(x, t) for t, x in enumerate(changes.unbind(0))]
        return torch.stack(spikes).to(x_seq.dtype)

    def spike_of(self, change: Tensor, t: int) -> Tensor:
        """Return the spikes of step ``t``, ``[B, ...]``, that changed ``R`` by about ``change``."""
        threshold = self._along(self.v_threshold.detach(), change)
        exact = self._nearest(change.detach(), threshold, t)
        spike: Tensor = Straight.apply(change, exact)
        return spike

    def cumulative(self, x_seq: Tensor) -> Tensor:
        """Return ``R_t`` of cumulative drives ``X_t``, ``[T, B, ...]``, from rest."""
        return self.advance(x_seq, {}, 0)

    def step(self, x_t: Tensor) -> Tensor:
        """Take one increment of the drive, ``[B, ...]``, and return the spikes."""
        where = type(self).__name__
        check_increments(where, [x_t])
        totals = self._state.add([x_t], where)
        drive = totals[0].to(x_t.dtype).to(totals[0].dtype)
        kept = self._state.output or {}
        state: State = {name: x.to(totals[0].dtype) for name, x in kept.items()}
        before = state["R"] if "R" in state else self.resting(drive)
        followed = self.advance(drive.unsqueeze(0), state, self._steps)[0]
        self._state = StepState(totals, (x_t.dtype,), state)
        spike = self.spike_of(subtract(followed, before), self._steps)
        self._steps += 1
        return spike.to(x_t.dtype)

    def reset(self) -> None:
        """Forget all earlier steps: the next `step` is a first step."""
        self._state, self._steps = StepState(), 0

    def track(self, x: Tensor, clock: Clock, key: str, dim: int, outer: int = 1) -> Tensor:
        """Return ``R`` inside a converted graph.

        Args:
            x: the cumulative drive; its dimension ``dim`` holds ``outer * T * B``.
            clock: the run; its state holds the neuron's, under ``key``.
            key: of the neuron in the state of the run.
            dim: the dimension with the folded time.
            outer: how many values of other dimensions enclose the time.
        """
        state = self.state_of(clock.state, key)
        followed = by_steps(
            lambda steps: watched(self, steps, state, clock, key), x, clock, dim, outer
        )
        clock.carry({f"{key}.{name}": value for name, value in state.items()})
        return followed

    def state_of(self, states: Mapping[str, Tensor], key: str) -> State:
        """Return the neuron's own among the states of a run, empty before its first step."""
        found = {name: states.get(f"{key}.{name}") for name in self.state_names}
        return {name: x for name, x in found.items() if x is not None}

    def extra_repr(self) -> str:
        options = [f"v_threshold={shown(self.v_threshold)}", *self._shown_options()]
        if self.bursts > 1:
            options.append(f"bursts={self.bursts}")
        if self.rest.is_meta or bool(self.rest.any()):
            options.append(f"rest={shown(self.rest)}")
        if self.target.limits != NO_LIMITS:
            options.append(f"limits={self.target.limits}")
        if self.target.table is not None:
            options.append(f"table={len(self.target.table)}")
        if self.axis is not None:
            options.append(f"axis={self.axis}")
        return ", ".join(options)

    def _shown_options(self) -> list[str]:
        return []

    def _needs_gradient(self, *tensors: Tensor) -> bool:
        return needs_derivative(*tensors, self.v_threshold)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._state = self._state.moved(fn)
        return self

    def __getstate__(self) -> Mapping[str, Any]:
        return {**self.__dict__, "_state": self._state.detached()}
