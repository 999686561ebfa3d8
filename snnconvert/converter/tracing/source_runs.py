"""Runs of the source itself, on copies of its inputs: a model may write to what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snnconvert.torch_private import pytree


class WithoutFastPaths(TorchFunctionMode):
    """Keeps this thread's transformers of ``torch.nn`` from their fast path.

    A trace does not take it, and it returns zeros where tokens are padded. `torch.backends.mha`
    has a switch, which is that of all threads.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def copies(leaves: Iterable[Any]) -> list[Any]:
    """Return input leaves that may be written to."""
    return [x.detach().clone() if isinstance(x, Tensor) else x for x in leaves]


def run_source(model: nn.Module, leaves: Sequence[Any], spec: pytree.TreeSpec) -> Any:
    """Return the output of a model on copies of input leaves.

    Args:
        model: the source; some cannot be copied, and what a run changes is put back elsewhere.
        leaves: of the inputs.
        spec: tree of ``(args, kwargs)``.

    Raises:
        Exception: the model does not run on them.
    """
    args, kwargs = pytree.tree_unflatten(copies(leaves), spec)
    with torch.no_grad(), WithoutFastPaths():
        return model(*args, **kwargs)


@dataclass(frozen=True)
class SourceRun:
    """A run of the source: input leaves, the tree of ``(args, kwargs)``, and what it answered."""

    leaves: Sequence[Any]
    spec: pytree.TreeSpec
    answer: Any


def run_alike(model: nn.Module, leaves: Sequence[Any], spec: pytree.TreeSpec) -> SourceRun:
    """Run a model as `run_source` does; what draws numbers draws the same ones in every such run,
    and leaves the caller's generator where it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return SourceRun(leaves, spec, run_source(model, leaves, spec))
