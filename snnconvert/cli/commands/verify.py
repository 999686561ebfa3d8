"""The options of ``snnconvert verify``."""

from __future__ import annotations

from typing import Any

import click

from snnconvert.cli.commands.comparison import COSTS, DATA, HOW, REPORT, TOLD, UNTIL
from snnconvert.cli.commands.options import (
    ALLOW,
    DEVICE,
    EXAMPLE,
    FILE,
    INCREMENTS,
    JSON,
    MAX_TIME_STEPS,
    SEED,
    TALK,
    WholeNumber,
)
from snnconvert.cli.commands.parsing import Command, Session
from snnconvert.cli.exits import FAULTS
from snnconvert.cli.options import VerifyOptions

_HELP = """\
Verify a saved conversion (what --out wrote) again, whatever the report that it brings along claims.

It is built anew from the source, the rules and the thresholds that are saved in the file, and
compared with that source at every time step on random signed increments; one with neurons is run
on data too, or else on the inputs that it was traced with."""
_EPILOG = f"""\
Examples:
  snnconvert verify resnet18.snn
  snnconvert verify vit.snn --data held-out.safetensors --report vit.md

Exit code:
  0  equivalent
  1  not equivalent
{FAULTS}
"""


@click.command(
    cls=Command,
    usage="snnconvert verify FILE [options]",
    help=_HELP,
    epilog=_EPILOG,
    short_help="verify a saved conversion again",
)
@click.argument("model", metavar="FILE", type=FILE)
@EXAMPLE
@ALLOW
@SEED
@DEVICE
@REPORT
@click.option(
    "--time-steps",
    metavar="T",
    type=WholeNumber(2, MAX_TIME_STEPS),
    help=f"time steps of random increments (default: {INCREMENTS}); spikes have those of the file",
)
@HOW
@DATA
@UNTIL
@COSTS
@TOLD
@JSON
@TALK
@click.pass_obj
def verify(session: Session, /, **given: Any) -> int:
    """Verify one saved conversion."""
    from snnconvert.cli.verify import run

    return run(VerifyOptions(**given, debug=session.debug, command=session.command))
