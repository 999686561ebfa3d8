"""The options of ``snnconvert MODEL``."""

from __future__ import annotations

from typing import Any

import click

from snnconvert.cli.commands.comparison import COSTS, DATA, HOW, REPORT, TOLD, UNTIL
from snnconvert.cli.commands.options import (
    CALIBRATION,
    FILE,
    INCREMENTS,
    JSON,
    MAX_TIME_STEPS,
    MODEL,
    MODEL_HELP,
    TALK,
    TIME_STEPS,
    WholeNumber,
)
from snnconvert.cli.commands.parsing import Command, Session
from snnconvert.cli.exits import FAULTS
from snnconvert.cli.options import ConvertOptions

_HELP = """\
Turn a trained network into a spiking one and prove how close the two are.

The model is traced, converted by the rules of a rule file, and compared with the source at every
time step on random signed increments. A table says, for each op kind, how many nodes there are,
which rule took them and their worst relative error; then comes the verdict."""
_EPILOG = f"""\
{MODEL_HELP}

Other commands (each has its own --help):
  snnconvert verify FILE       a saved conversion (what --out wrote), verified again
  snnconvert explain MODEL     which rule takes which node, and why
  snnconvert analyze MODEL     what each neuron adds to the error, and costs
  snnconvert tune MODEL        the cheapest rules that keep the predictions
  snnconvert bench MODEL       how long a conversion takes beside its source, and its memory
  snnconvert rules ...         list, show and validate rule files
  snnconvert costs ...         list and show what operations cost
  snnconvert check FILE.yaml   many models, as a gate for CI
  (a model file with such a name is reached as ./check)

Examples:
  snnconvert demo:digits-vit
  snnconvert timm:resnet18 --out resnet18.snn --report resnet18.md
  snnconvert verify resnet18.snn
  snnconvert weights.safetensors --arch timm:deit_tiny_patch16_224 --dtype float32
  snnconvert net.pt --allow mypackage --input 2,1,28,28 --rules my-rules.yaml

Exit code:
  0  equivalent
  1  not equivalent
{FAULTS}
"""


@click.command(cls=Command, usage="snnconvert MODEL [options]", help=_HELP, epilog=_EPILOG)
@MODEL
@click.option("-o", "--out", metavar="F", type=FILE, help="write the converted model to this file")
@REPORT
@click.option(
    "--time-steps",
    metavar="T",
    type=WholeNumber(1, MAX_TIME_STEPS),
    help="time steps of the converted model, and so of its spikes (default: the rule file's, "
    f"{TIME_STEPS} where it says none), and of the random increments that it is verified on "
    f"(default: {INCREMENTS}; at least 2)",
)
@HOW
@CALIBRATION
@click.option(
    "--calibration-in", metavar="F", type=FILE, help="take thresholds from a file instead"
)
@click.option("--calibration-out", metavar="F", type=FILE, help="write thresholds to F.safetensors")
@DATA
@UNTIL
@COSTS
@click.option(
    "--strict",
    is_flag=True,
    help="a rule of your own that takes nothing is an error, and so are rules, bundled ones too, "
    "that ask for spikes and place no neuron or spiking cell",
)
@TOLD
@click.option("--no-verify", is_flag=True, help="convert only")
@JSON
@TALK
@click.pass_obj
def convert(session: Session, /, **given: Any) -> int:
    """Convert one model."""
    from snnconvert.cli.convert import run

    return run(ConvertOptions(**given, debug=session.debug, command=session.command))
