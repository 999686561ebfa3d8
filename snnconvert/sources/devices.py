"""Where a model and its inputs are computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from snnconvert.errors import InputError, first_line
from snnconvert.sources.inputs import FileBatches
from snnconvert.sources.source import Source
from snnconvert.torch_private import pytree
from snnconvert.wording import shown


def device_named(name: str) -> torch.device:
    """The device of a name such as ``cpu`` or ``cuda:1``.

    Raises:
        InputError: there is no such device, or it cannot hold values.
    """
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        raise InputError(
            f"device (--device) {shown(name)!r}: cannot be used here "
            f"({shown(first_line(error), 200)}); this machine has {', '.join(_devices())}"
        ) from None
    return device


def _devices() -> list[str]:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ["cpu"]
    return ["cpu", *(f"{accelerator.type}:{n}" for n in range(torch.accelerator.device_count()))]


def moved(value: Any, device: torch.device) -> Any:
    """A structure of tensors and other values with all tensors on a device."""
    return pytree.tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, value)


def on_device(source: Source, device: torch.device) -> Source:
    """The source with its model, example inputs and batches of calibration on a device.

    The model itself is moved; thresholds that were found before stay where they are.
    """
    model = source.model
    return replace(
        source,
        model=model.to(device) if isinstance(model, nn.Module) else _program_on(model, device),
        args=moved(source.args, device),
        kwargs=moved(dict(source.kwargs), device),
        calibration=batches_on(source.calibration, device),
    )


def _program_on(program: ExportedProgram, device: torch.device) -> ExportedProgram:
    """The program on a device; one that is there already is not touched."""
    tensors = [*program.state_dict.values(), *program.constants.values()]
    there = all(x.device == device for x in tensors if isinstance(x, Tensor))
    return program if there else move_to_device_pass(program, device)


def batches_on(batches: Any, device: torch.device) -> Any:
    """Batches that are moved as they are asked for; what holds none is returned as it is."""
    if not isinstance(batches, Iterable):
        return batches
    if isinstance(batches, FileBatches):
        moving, whole = _Batches(batches.batches, device), moved(batches.whole, device)
        return replace(batches, batches=moving, whole=whole)
    return _Batches(batches, device)


@dataclass(frozen=True)
class _Batches:
    batches: Iterable[Any]
    device: torch.device

    def __iter__(self) -> Iterator[Any]:
        return (moved(batch, self.device) for batch in self.batches)
