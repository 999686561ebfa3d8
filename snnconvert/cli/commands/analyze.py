"""The options of ``snnconvert analyze``."""

from __future__ import annotations

from typing import Any

import click

from snnconvert.cli.commands.comparison import DATA
from snnconvert.cli.commands.options import (
    CALIBRATION,
    JSON,
    MAX_TIME_STEPS,
    MODEL,
    MODEL_HELP,
    TALK,
    WholeNumber,
)
from snnconvert.cli.commands.parsing import Command, Session
from snnconvert.cli.exits import FAULTS
from snnconvert.cli.options import AnalyzeOptions

_HELP = """\
Say for every neuron of a network on spikes what it adds to the error, and what it costs.

The network runs with each site alone on spikes, all others exact, and with all sites but it. Rules
that ask for spikes are needed (default: spiking); a few batches of --data are enough, as each of S
sites takes two runs."""
_EPILOG = f"""\
{MODEL_HELP}

Examples:
  snnconvert analyze demo:digits-vit
  snnconvert analyze net.pt --input 2,1,28,28 --calibration train.npy --data held-out.npy

Exit code:
  0  analyzed
{FAULTS}
"""


@click.command(
    cls=Command,
    usage="snnconvert analyze MODEL [options]",
    help=_HELP,
    epilog=_EPILOG,
    short_help="what each neuron adds to the error, and costs",
)
@MODEL
@click.option(
    "--time-steps",
    metavar="T",
    type=WholeNumber(1, MAX_TIME_STEPS),
    help="time steps of the spikes (default: the rule file's)",
)
@CALIBRATION
@DATA
@JSON
@TALK
@click.pass_obj
def analyze(session: Session, /, **given: Any) -> int:
    """Analyze one model."""
    from snnconvert.cli.analyze import run

    return run(AnalyzeOptions(**given, debug=session.debug))
