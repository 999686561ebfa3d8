"""A model that is called again on the same inputs, and answers otherwise.

It keeps values from call to call (a hidden state, the last output, a counter), as a converted
module does not: its graph has those that the model held when it was traced.
"""

from __future__ import annotations

from torch import nn

from snnconvert.converter.tracing.outputs_differ import outputs_differ
from snnconvert.converter.tracing.source_runs import SourceRun, run_alike


def said_of_repeated_calls(model: nn.Module, ran: SourceRun) -> str:
    """Say that a model keeps values from call to call; empty where its answers do not show it.

    Args:
        model: the source.
        ran: a run of it that was `run_alike`; it is called again on the same inputs.
    """
    again = run_alike(model, ran.leaves, ran.spec)
    return _SAID if outputs_differ(again.answer, ran.answer) else ""


_SAID = (
    "the model answers otherwise when it is called again on the same inputs, as it keeps values "
    "from call to call; the conversion answers at every step from those that it held when it was "
    "converted. For a state that goes on, make it an input and an output of forward"
)
