"""What every source hands to the tracer: a model and example inputs that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram


@dataclass(frozen=True)
class Source:
    """A loaded model with example inputs.

    Args:
        name: the reference that the user gave, e.g. ``"timm:resnet18"``.
        model: the network in eval mode, or a program that was exported earlier.
        args: positional example inputs.
        kwargs: keyword example inputs; what is not a tensor is a constant of the trace.
        note: what a reader of the report should know, e.g. ``"random weights"``.
        calibration: batches of inputs to find thresholds from, or thresholds that were found.
        held: names or positions of floating-point inputs that are the same at every step.
        batch_dims: which dimension of the inputs is the batch (see `trace`); None: it is found.
    """

    name: str
    model: nn.Module | ExportedProgram
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    calibration: Any = None
    held: tuple[str | int, ...] = ()
    batch_dims: int | Mapping[str | int, int | None] | None = None
