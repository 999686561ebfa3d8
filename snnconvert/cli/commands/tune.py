"""The options of ``snnconvert tune``."""

from __future__ import annotations

from typing import Any

import click

from snnconvert.cli.commands.comparison import READ
from snnconvert.cli.commands.options import (
    FILE,
    FORCE,
    JSON,
    MAX_TIME_STEPS,
    MODEL,
    MODEL_HELP,
    TALK,
    Share,
    WholeNumber,
)
from snnconvert.cli.commands.parsing import Command, Session
from snnconvert.cli.exits import FAULTS
from snnconvert.cli.options import TuneOptions

COSTS = ("energy", "bits", "spikes")
_HELP = """\
Search for the cheapest rules that keep a network's predictions.

One run over one half of the data shows for each neuron how near each number of answers, levels and
levels per octave comes, and one run for each neuron what that adds to the outputs; the cheapest
mixture that keeps the predictions there becomes a rule file with comments that say why. How it does
on the other half, on which nothing was chosen, is said too. Nothing is trained, and nothing is
random."""
_EPILOG = f"""\
{MODEL_HELP}

Examples:
  snnconvert tune net.pt --input 2,1,28,28 --calibration train.npy --out tuned.yaml
  snnconvert net.pt --input 2,1,28,28 --calibration train.npy --rules tuned.yaml --data test.npy

Exit code:
  0  found
  1  fewer predictions are kept than asked for, whatever was tried
{FAULTS}
"""


@click.command(
    cls=Command,
    usage="snnconvert tune MODEL --calibration FILE [options]",
    help=_HELP,
    epilog=_EPILOG,
    short_help="the cheapest rules that keep the predictions",
)
@MODEL
@click.option("-o", "--out", metavar="F", type=FILE, help="write the rules to F.yaml")
@click.option(
    "--calibration",
    metavar="FILE",
    type=FILE,
    required=True,
    help="inputs that thresholds of neurons are found from: a .pt, .npy or .safetensors file of "
    "tensors, samples first",
)
@click.option(
    "--data",
    metavar="FILE",
    type=FILE,
    help="inputs to tune on, half of which are held back (default: half of --calibration)",
)
@READ
@click.option(
    "--keep",
    metavar="X",
    type=Share(),
    default=0.99,
    help="share of the source's predictions to keep (default: 0.99)",
)
@click.option(
    "--cost",
    type=click.Choice(COSTS),
    default="energy",
    help="what is made small: energy by the cost model 'arithmetic', bits of spikes, or spikes "
    "(default: energy)",
)
@click.option(
    "--budget",
    metavar="N",
    type=WholeNumber(1, 10**9),
    help="most runs with one neuron alone on spikes, but at least one for each (default: two for "
    "each, the second by what was chosen for it)",
)
@click.option(
    "--exact",
    is_flag=True,
    help="layers may also do without neurons, where floats cost less",
)
@click.option(
    "--time-steps",
    metavar="N",
    multiple=True,
    type=WholeNumber(1, MAX_TIME_STEPS),
    help="number of time steps; given several times, the cheapest is taken (default: as the rules "
    "say)",
)
@click.option(
    "--journal",
    metavar="F",
    type=FILE,
    help="keep runs in F as they are done, and go on from those that it holds; F is removed at the "
    "end",
)
@FORCE
@JSON
@TALK
@click.pass_obj
def tune(session: Session, /, **given: Any) -> int:
    """Tune the rules of one model."""
    from snnconvert.cli.tune import run

    return run(TuneOptions(**given, debug=session.debug))
