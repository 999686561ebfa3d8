"""A model that is called again on the same inputs, and answers otherwise.

It keeps values from call to call (a hidden state, the last output, a counter), as a converted
module does not: its graph has those that the model held when it was traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from snnconvert.converter.tracing.outputs_differ import outputs_differ
from snnconvert.converter.tracing.source_runs import run_source
from snnconvert.torch_private import pytree


def said_of_repeated_calls(model: nn.Module, leaves: Sequence[Any], spec: pytree.TreeSpec) -> str:
    """Say that a model keeps values from call to call; empty where its answers do not show it.

    Args:
        model: the source, which runs on the inputs.
        leaves, spec: of the example inputs, as of `run_source`.
    """
    first, second = (_answer(model, leaves, spec) for _ in range(2))
    return _SAID if outputs_differ(second, first) else ""


def _answer(model: nn.Module, leaves: Sequence[Any], spec: pytree.TreeSpec) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # what draws numbers draws the same ones
        return run_source(model, leaves, spec)


_SAID = (
    "the model answers otherwise when it is called again on the same inputs, as it keeps values "
    "from call to call; the conversion answers at every step from those that it held when it was "
    "converted. For a state that goes on, make it an input and an output of forward"
)
