"""The options that benchmarks have in common."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

NOTHING_FOUND = (
    "there is nothing to write a page of: no run that is named was kept, and none was measured; "
    "measure some without --kept"
)


def parser(module: str, described: str) -> argparse.ArgumentParser:
    """Return the parser of ``python -m MODULE``, whose help is a docstring's first line."""
    return argparse.ArgumentParser(f"python -m {module}", description=described.splitlines()[0])


def add_threads(to: argparse.ArgumentParser, default: int) -> None:
    """Add the number of threads, which `started` sets."""
    to.add_argument("--threads", type=int, default=default, help=f"of torch (default: {default})")


def add_out(to: argparse.ArgumentParser, default: Path) -> None:
    """Add the page to write."""
    to.add_argument("--out", type=Path, default=default, help="the page to write")


def add_choice(to: argparse.ArgumentParser, named: str) -> None:
    """Add what to measure of runs that are kept.

    Args:
        to: the parser.
        named: what runs can be named by.
    """
    to.add_argument("--only", nargs="+", default=[], metavar="WHAT", help=named)
    to.add_argument("--again", action="store_true", help="measure anew what was kept")
    to.add_argument("--kept", action="store_true", help="measure nothing; write the page")


def started(of: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the options and prepare the process for a run without a network."""
    options = of.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if "threads" in options:
        torch.set_num_threads(options.threads)
    return options
