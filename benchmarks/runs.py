"""Running a conversion in the place of its source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snnconvert import ConvertedModule
from snnconvert.torch_private import pytree

Call = Callable[..., Any]


def at_last_step(snn: ConvertedModule, time_steps: int, encoding: str | None = None) -> Call:
    """Return a call as of the source, whose answer is the conversion's after all its time steps.

    Args:
        snn: the conversion.
        time_steps: ``T`` of each call.
        encoding: of `ConvertedModule.simulate`; None: its own.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        y = snn.simulate(*args, time_steps=time_steps, encoding=encoding, **kwargs)
        return pytree.tree_map(lambda leaf: leaf[-1], y)

    return call
