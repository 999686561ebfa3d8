"""A single sample: models may treat it otherwise (``squeeze()``), and a trace cannot see it.

``torch.export`` takes a size of 1 for a fixed one, so a graph is traced on two samples at least.
Whether it is right of one is tried: on the first sample of the example, beside the source.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.tracing.outputs_differ import outputs_differ
from snnconvert.converter.tracing.source_runs import SourceRun, run_source
from snnconvert.converter.tracing.traced import TracedModel, sizes_of_batch
from snnconvert.errors import first_line


def one_sample(traced: TracedModel) -> list[Any] | None:
    """Return the first sample of the example; None where one cannot be had."""
    found = []
    for given in traced.inputs:
        if given.role == "constant":
            found.append(given.example)
            continue
        sizes = sizes_of_batch(given, traced.batch, 1)
        if any(size < 1 for size in sizes):
            return None
        found.append(given.example[tuple(slice(size) for size in sizes)])
    return found


def why_not_single(model: nn.Module, traced: TracedModel, ran: SourceRun) -> str:
    """Return how a model and its graph differ on a single sample; empty where they do not.

    Args:
        model: the source.
        traced: its graph.
        ran: the model's run on the sample.

    Raises:
        Exception: the model does not run on it again.
    """
    try:
        with torch.no_grad():
            made = _Shaped(traced).run(*ran.leaves)
    except _OtherShape as other:
        return str(other)
    except Exception as error:  # as a graph that was traced on several may
        return f"the graph does not run on it ({first_line(error)})"
    difference = outputs_differ(made, ran.answer)
    if difference and outputs_differ(run_source(model, ran.leaves, ran.spec), ran.answer):
        return ""  # a model that draws random numbers differs from itself
    return difference


class _OtherShape(Exception):
    """A value has not the shape that it was traced with."""


class _Shaped(fx.Interpreter):
    """Runs a graph on one sample and asks each value for the shape that one of several has.

    A ``squeeze()`` that is right of one sample is not right of the steps of one sample in a batch.
    """

    def __init__(self, traced: TracedModel) -> None:
        super().__init__(traced.root, graph=traced.graph)
        self.extra_traceback = False
        self.batch = traced.batch

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        traced = n.meta.get("val")
        if (
            isinstance(value, Tensor)
            and isinstance(traced, Tensor)
            and not self._fits(value, traced)
        ):
            several = ", ".join(str(self._size(size)) for size in traced.shape)
            raise _OtherShape(
                f"'{n.name}' is then of shape {list(value.shape)} and not [{several}]"
            )
        return value

    def _fits(self, value: Tensor, traced: Tensor) -> bool:
        if value.dim() != traced.dim():
            return False
        sizes = zip(value.shape, map(self._size, traced.shape), strict=True)
        return all(wanted in (size, "?") for size, wanted in sizes)

    def _size(self, size: Any) -> int | str:
        """Return a size of one sample; "?" where it is more than a number or the batch."""
        if isinstance(size, int):
            return size
        return 1 if size.node.expr in self.batch else "?"
