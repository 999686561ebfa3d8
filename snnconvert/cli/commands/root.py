"""The one parser of the command line."""

from __future__ import annotations

from snnconvert.cli.commands.analyze import analyze
from snnconvert.cli.commands.bench import bench
from snnconvert.cli.commands.check import check
from snnconvert.cli.commands.convert import convert
from snnconvert.cli.commands.costs import costs
from snnconvert.cli.commands.explain import explain
from snnconvert.cli.commands.parsing import Group
from snnconvert.cli.commands.rules import rules
from snnconvert.cli.commands.tune import tune
from snnconvert.cli.commands.verify import verify

root = Group(
    "snnconvert",
    "snnconvert MODEL [options]",
    {
        "verify": verify,
        "explain": explain,
        "analyze": analyze,
        "tune": tune,
        "bench": bench,
        "rules": rules,
        "costs": costs,
        "check": check,
    },
    default=convert,
)
