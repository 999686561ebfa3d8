"""The options of ``snnconvert check``."""

from __future__ import annotations

import re
from typing import Any

import click

from snnconvert.cli.commands.comparison import SPIKING
from snnconvert.cli.commands.options import (
    ALLOW,
    FILE,
    FORCE,
    INCREMENTS,
    JSON,
    MAX_TIME_STEPS,
    SEED,
    TALK,
    Positive,
    Value,
    WholeNumber,
)
from snnconvert.cli.commands.parsing import Command
from snnconvert.cli.exits import FAULTS
from snnconvert.cli.options import CheckOptions
from snnconvert.wording import shown

_HELP = """\
Convert and verify many models, each in float64 at a relative tolerance of 1e-9, and what rules put
on spikes as it is, too.

One line for each model as it is done: PASS, FAIL (not equivalent), SKIP, or ERROR (cannot be
loaded, traced or compared, takes too long, or its process died), its worst relative error, its
seconds, and why it did not pass, or how it ran on spikes where its rules ask for some. Models with
random weights (timm:, hf-tiny:) first get random values for the weights that are all zero or all
one, because those would hide faults.

With --report F, results are also kept in F.partial as they come in, until F is written. A check
that was stopped goes on from there with --resume, which says of each result that it is remembered.
Results count for the same content of all files (models, weights, inputs, rules) and the same
versions of snnconvert, torch, timm and transformers. Models of the hub are always run again."""
_EPILOG = f"""\
The file:
  version: 1
  rules: default                  # optional: for all models
  models:
    - timm:resnet18
    - model: checkpoints/net.pt2  # paths are relative to this file
      rules: my-rules.yaml        # optional
    - model: weights.safetensors
      arch: timm:deit_tiny_patch16_224
      input: 2,3,224,224          # optional: example inputs
      calibration: train.npy      # optional, for all models too: inputs for thresholds,
      data: test.safetensors      # held-out inputs and their labels,
      tolerance: 1.0e-8           # the largest relative error that passes without spikes,
      spiking_tolerance: 0.2      # the largest one that passes with spikes (else 0.1),
      time_steps: 8               # the steps of random increments,
      spiking_time_steps: 2       # and T of spikes, in the place of the rule file's
      output: logits              # optional: where predictions on data are read,
      classes: 1                  # and the dimension of the classes
    - python:mynets:build         # runs code: refused without --allow mynets
    - model: hf-tiny:longformer
      skip: its shapes depend on data

In JSON (--json, --report F.json) each model is an object of
  name, status (passed, failed, skipped, error), seconds, reason (empty: it passed), notes
  max_rel_error   worst relative error in float64, without spikes
  remembered      whether it is the result of an earlier run
  rules, degree   rule file; exact, some maps, maps or all: how much is on spikes
  spiking         null without spikes; at the last step on the data, else on the example inputs:
    time_steps, bursts              T, K
    samples, data                   how many, and their file (null: the example inputs)
    rel_error, tolerance            of the outputs, and the largest that passes
    agreement                       share of predictions that are the source's (null: no classes)
    accuracy, source_accuracy       share of labels that are predicted (null: no labels)
    equal                           share of integers and truth values that are the source's
    spikes_per_value                of a neuron, over all steps
    bits_per_spike                  of the neurons with most distinct spikes

Examples:
  snnconvert check models.yaml
  snnconvert check models.yaml --jobs 4 --timeout 600 --report results.md
  snnconvert check models.yaml --report results.md --resume
  snnconvert check models.yaml --shard 2/3      # the second third of the models
  snnconvert check models.yaml --rules spiking

Exit code:
  0  all models passed or were skipped
  1  at least one failed or had an error
{FAULTS}
"""


class Shard(Value):
    """``I/N``: every N-th from the I-th on."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Read two whole numbers."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(value), re.ASCII)
        index, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= index <= count:
            self.fail(
                f"I/N with 1 <= I <= N is needed, such as 2/3; received {shown(value, 50)!r}",
                param,
                ctx,
            )
        return index, count


@click.command(
    cls=Command,
    usage="snnconvert check FILE.yaml [options]",
    help=_HELP,
    epilog=_EPILOG,
    short_help="many models, as a gate for CI",
)
@click.argument("file", metavar="FILE.yaml", type=FILE)
@click.option(
    "--rules",
    metavar="RULES",
    help="bundled name or file, for the models that name none, in the place of the list's own",
)
@click.option(
    "--jobs",
    metavar="N",
    type=WholeNumber(1),
    default=1,
    help="processes that work at the same time; with several, on one thread each (default: 1)",
)
@click.option(
    "--shard",
    metavar="I/N",
    type=Shard(),
    default=(1, 1),
    help="check every N-th model from the I-th on; the N shards share the list out",
)
@click.option("--timeout", metavar="SECONDS", type=Positive(), help="of one model (default: none)")
@click.option(
    "--time-steps",
    metavar="T",
    type=WholeNumber(2, MAX_TIME_STEPS),
    default=INCREMENTS,
    help=f"time steps of random increments (default: {INCREMENTS}); spikes have those of the rule "
    "file",
)
@SPIKING
@SEED
@click.option(
    "--report", metavar="F", type=FILE, help="write the results to F.json, F.md or F.xml (JUnit)"
)
@click.option(
    "--resume", is_flag=True, help="go on from the results that a stopped check kept (--report)"
)
@FORCE
@click.option(
    "-q", "--quiet", is_flag=True, help="print only what does not pass, and the summary; no bars"
)
@ALLOW
@JSON
@TALK
def check(**given: Any) -> int:
    """Check the models of one list."""
    from snnconvert.cli.check import run

    return run(CheckOptions(**given))
