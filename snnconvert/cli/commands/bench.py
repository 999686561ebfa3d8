"""The options of ``snnconvert bench``."""

from __future__ import annotations

from typing import Any

import click

from snnconvert.cli.commands.comparison import REPORT
from snnconvert.cli.commands.options import (
    CALIBRATION,
    FORCE,
    JSON,
    MAX_TIME_STEPS,
    MODEL_BY_SEVERAL_RULES,
    MODEL_HELP,
    TALK,
    WholeNumber,
)
from snnconvert.cli.commands.parsing import Command, Session
from snnconvert.cli.exits import FAULTS
from snnconvert.cli.options import BenchOptions

ROUNDS = 10
_HELP = """\
Time a network beside its conversions, exact and by rules, and measure their memory.

Of each conversion two runs are timed: T increments of B samples, against the source on the same
T * B samples, and one answer after T steps, against one run of the source on B. Both sides take
turns, and the first run of each does not count; said are the median ratio of their times with
its quartiles, samples (or tokens) a second, and the most memory of tensors that a run holds at
once beyond the network and its inputs. Nothing is verified."""
_EPILOG = f"""\
{MODEL_HELP}

Examples:
  snnconvert bench demo:digits-vit
  snnconvert bench timm:resnet18 --rules spiking --rules fully_spiking --batch 4 --threads 1
  snnconvert bench net.pt --input 2,1,28,28 --time-steps 8 --device cuda --report net.json

Exit code:
  0  timed
{FAULTS}
"""


@click.command(
    cls=Command,
    usage="snnconvert bench MODEL [options]",
    help=_HELP,
    epilog=_EPILOG,
    short_help="how long a conversion takes beside its source, and its memory",
)
@MODEL_BY_SEVERAL_RULES
@click.option(
    "--time-steps",
    metavar="T",
    type=WholeNumber(1, MAX_TIME_STEPS),
    help="time steps of all conversions (default: of each those of its rules)",
)
@click.option(
    "--batch",
    metavar="B",
    type=WholeNumber(1),
    help="samples of a run; example inputs are repeated where there are fewer (default: as many "
    "as the example inputs hold)",
)
@click.option(
    "--rounds",
    metavar="N",
    type=WholeNumber(2),
    default=ROUNDS,
    help=f"how often each side is timed (default: {ROUNDS})",
)
@click.option(
    "--threads", metavar="N", type=WholeNumber(1, 1024), help="of torch (default: as it chooses)"
)
@CALIBRATION
@REPORT
@FORCE
@JSON
@TALK
@click.pass_obj
def bench(session: Session, /, **given: Any) -> int:
    """Time one model."""
    from snnconvert.cli.bench import run

    return run(BenchOptions(**given, debug=session.debug))
