"""The samples that a conversion and its source are both run on, and calls of either."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.running.encoded import at_step, encoded, for_coded
from snnconvert.converter.running.layout import fold
from snnconvert.converter.tracing.batches import leaves_of_call
from snnconvert.converter.tracing.inputs import example_of
from snnconvert.converter.tracing.sizes import check_sizes
from snnconvert.converter.tracing.traced import TracedModel, sizes_of_batch
from snnconvert.errors import ArgumentError, InputError
from snnconvert.ops.encoding import Constant
from snnconvert.speed.rounds import Call
from snnconvert.torch_private import pytree

Run = Callable[..., object]
_COPIES = 3


@dataclass(frozen=True)
class Samples:
    """Inputs of ``B`` samples, and what becomes of them over time.

    Attributes:
        traced: the source, which says what each input is.
        leaves: the inputs as the source takes them.
        batch: ``B``.
    """

    traced: TracedModel
    leaves: Sequence[Any]
    batch: int

    @property
    def tokens(self) -> int | None:
        """Return how many ids a sample has of the first input of integers; None where numbers are
        coded, or there are no ids."""
        if any(given.role == "coded" for given in self.traced.inputs):
            return None
        counts = (x.numel() for x in self.leaves if isinstance(x, Tensor) and _holds_ids(x))
        count = next(counts, None)
        return None if count is None else count // self.batch

    def one_run(self, run: Run) -> Call:
        """Return a run of the source on the ``B`` samples."""
        return self._call(run, self.leaves)

    def simulated(self, snn: ConvertedModule) -> Call:
        """Return a run of a conversion on these, for as many steps as its rules say, by their
        encoding."""
        return self._call(snn.simulate, self.leaves)

    def increments(self, snn: ConvertedModule) -> Call:
        """Return a run of a conversion on increments: an equal share of the inputs at each step."""
        steps = snn.time_steps
        shares = for_coded(
            lambda x, i: Constant().increments(x, steps, i.name), self.leaves, self.traced.inputs
        )
        return self._call(snn, shares)

    def same(self, run: Run, steps: int) -> Call:
        """Return a run of the source on the ``T * B`` samples that these increments add up to.

        They are one batch, or, where the source takes batches of one size alone, ``T`` batches.

        Args:
            run: calls the source.
            steps: ``T``.
        """
        given = self.traced.inputs
        over_time = encoded(Constant(), self.leaves, given, steps)
        batch = self._as_one_batch(over_time, steps)
        if batch is not None:
            return self._call(run, batch)
        calls = [self._call(run, at_step(t, over_time, given)) for t in range(steps)]
        return lambda: [call() for call in calls]

    def _as_one_batch(self, over_time: Sequence[Any], steps: int) -> list[Any] | None:
        """Return inputs of ``[T, B, ...]`` with time in their batch; None where that cannot be."""
        given = self.traced.inputs
        if not self.traced.batch or any(i.role == "coded" and i.batch_dim is None for i in given):
            return None
        folded = []
        for x, i in zip(over_time, given, strict=True):
            if isinstance(x, Tensor) and i.batch_dim is not None:
                x = fold(x if i.role == "coded" else x.expand(steps, *x.shape), i.batch_dim)
            folded.append(x)
        try:
            check_sizes(self.traced, [x.shape if isinstance(x, Tensor) else () for x in folded])
        except InputError:
            return None
        return folded

    def _call(self, run: Run, leaves: Sequence[Any]) -> Call:
        """Return a call on inputs that lie elsewhere each time: how long it takes depends on that,
        by up to a tenth."""
        copies = [
            pytree.tree_unflatten(
                [x.clone() if isinstance(x, Tensor) else x for x in leaves], self.traced.in_spec
            )
            for _ in range(_COPIES)
        ]
        following = itertools.cycle(copies)

        def call() -> object:
            args, kwargs = next(following)
            return run(*args, **kwargs)

        return call


def samples_of(
    traced: TracedModel, args: Sequence[Any], kwargs: Mapping[str, Any], batch: int | None = None
) -> Samples:
    """Return the samples to run on.

    Args:
        traced: the source.
        args, kwargs: inputs as it takes them; none: those that it was traced on.
        batch: ``B``: so many samples, repeated from the first where there are fewer; None: as many
            as there are.

    Raises:
        InputError: the inputs do not fit, or the source does not take so many samples.
    """
    given, named = (tuple(args), dict(kwargs)) if args or kwargs else example_of(traced)
    leaves = leaves_of_call(traced, given, named, None)
    pairs = list(zip(leaves, traced.inputs, strict=True))
    sizes = [x.shape[i.batch_dim] for x, i in pairs if i.batch_dim is not None]
    first = (len(x) for x in leaves if isinstance(x, Tensor) and x.dim())  # where none is open
    own = min(sizes) if sizes else next(first, 1)
    if batch is None or batch == own:
        return Samples(traced, leaves, own)
    if not traced.batch:
        raise ArgumentError(
            "batch",
            batch,
            f"the model takes batches of {own} alone, as its trace has it; leave it out, or give "
            "example inputs of that many samples",
        )
    found = []
    for x, i in pairs:
        if isinstance(x, Tensor):
            for dim, size in enumerate(sizes_of_batch(i, traced.batch, batch)):
                if _follows(i.sizes[dim], traced):
                    x = x.index_select(dim, torch.arange(size, device=x.device) % x.shape[dim])
        found.append(x)
    check_sizes(traced, [x.shape if isinstance(x, Tensor) else () for x in found])
    return Samples(traced, found, batch)


def _follows(size: Any, traced: TracedModel) -> bool:
    """Tell whether a size of an input is given by that of the batch."""
    return not isinstance(size, int) and bool(size.free_symbols & traced.batch)


def _holds_ids(x: Tensor) -> bool:
    return not (x.is_floating_point() or x.is_complex() or x.dtype is torch.bool)
