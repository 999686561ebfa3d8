"""Options of the commands that compare a conversion with its source and write a report of it."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from snnconvert.cli.commands.options import (
    FILE,
    FORCE,
    Named,
    Positive,
    Value,
    WholeNumber,
    bundled_costs,
    every,
)

DTYPES = {"float64": 1e-9, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-1}
"""What can be verified in, and the largest relative error that passes there."""
SPIKING_TOLERANCE = 0.1
"""The largest relative error of a network on spikes that passes."""
SETTLED = "settled"
_MAX_DIMS = 8


class _Output(Value):
    """An output of a model: its name, or its number."""

    name = "output"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        """Read a number where there are digits alone, as those of a tuple's outputs are."""
        text = str(value)
        if not text:
            self.fail("the name or number of an output is needed, received nothing", param, ctx)
        return int(text) if text.isascii() and text.isdigit() else text


class _End(Positive):
    """When a sample is done: a word, or a margin."""

    name, said = "until", "settled, or a number above 0,"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the word, or a number."""
        return SETTLED if value == SETTLED else super().convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the word."""
        return [CompletionItem(SETTLED)] if SETTLED.startswith(incomplete) else []


SPIKING = click.option(
    "--spiking-tolerance",
    metavar="X",
    type=Positive(),
    help="largest relative error that passes of the outputs of a network on spikes at its last "
    f"step (default: {SPIKING_TOLERANCE})",
)
HOW = every(
    click.option(
        "--tolerance",
        metavar="X",
        type=Positive(),
        help="largest relative error that passes without spikes, with every neuron replaced by "
        "what it follows: what exact means; default: "
        + ", ".join(f"{x:.0e} in {name}" for name, x in DTYPES.items()),
    ),
    SPIKING,
    click.option(
        "--dtype",
        type=click.Choice(list(DTYPES)),
        help="of the verification without spikes (default: float64); spikes run in the dtype of "
        "the model",
    ),
)
READ = every(
    click.option(
        "--output",
        metavar="NAME",
        type=_Output(),
        help="the output whose classes are compared on data, by its name, or its number from 0; "
        "default: the one that the labels fit, or 'logits', or the first that has classes",
    ),
    click.option(
        "--classes",
        metavar="D",
        type=WholeNumber(-_MAX_DIMS, _MAX_DIMS - 1),
        help="the dimension of that output that holds the classes, -1 being the last; default: "
        "the last of [B, C] and [B, L, C], 1 of [B, C, H, W]",
    ),
)
DATA = every(
    click.option(
        "--data",
        metavar="FILE",
        type=FILE,
        help="held-out inputs to run the converted network on: a .pt, .npy or .safetensors file "
        "of tensors, samples first; a tensor named 'labels' holds the right answers",
    ),
    READ,
)
UNTIL = click.option(
    "--until",
    metavar="settled|MARGIN",
    type=_End(),
    help="run each sample on spikes until nothing in it changes any more, or until its largest "
    "class score leads by MARGIN, and count its operations up to then (default: all steps)",
)
COSTS = click.option(
    "--costs",
    metavar="F",
    multiple=True,
    type=Named(bundled_costs),
    help="price the operations of a network on spikes by this cost model too, beside the bundled "
    "ones (snnconvert costs; may be given several times)",
)
REPORT = click.option(
    "--report",
    metavar="F",
    type=FILE,
    help="write the report to F.html (a page with plots), F.md, F.json or F.xml (JUnit); -: print "
    "it as Markdown",
)
TOLD = every(
    click.option(
        "-q", "--quiet", is_flag=True, help="print nothing unless it is not equivalent; no bars"
    ),
    FORCE,
)
