"""Options that several commands have, and the values that they take."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from snnconvert.cli.exits import MEND
from snnconvert.sources.request import ModelRequest
from snnconvert.version import __version__

MODEL_HELP = """\
MODEL is one of
  timm:NAME                      a timm model with random weights     timm:resnet18
  hf:DIRECTORY_OR_ID             a Hugging Face checkpoint            hf:./MiniLM
  hf-tiny:TYPE                   a tiny random Hugging Face model     hf-tiny:llama
  demo:NAME                      a model that comes with snnconvert   demo:digits-vit
  python:package.module:factory  what your own function returns       python:mynet:build
  FILE                           .pt2, .pt or .safetensors; weights alone need --arch"""


class Parser(argparse.ArgumentParser):
    """A parser with laid-out help, whose messages all begin with ``snnconvert: error:``."""

    def __init__(self, prog: str, **settings: Any) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, formatter_class=layout, allow_abbrev=False, **settings)
        self.add_argument("--version", action="version", version=f"snnconvert {__version__}")

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong with the arguments and exit with 2."""
        self.exit(MEND, f"{self.format_usage()}snnconvert: error: {message}\n")


def runs(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    """Make ``run`` what a parser's options are for."""
    parser.add_argument(
        "--debug", action="store_true", help="show tracebacks and other libraries' warnings"
    )
    parser.set_defaults(run=run)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model and all that says how to load and run it."""
    parser.add_argument("model", metavar="MODEL", help="what to convert, see below")
    parser.add_argument(
        "--arch",
        metavar="MODEL",
        help="the model that a file of weights belongs to: timm:NAME, hf:DIRECTORY or python:...",
    )
    parser.add_argument(
        "--input",
        metavar="SHAPE_OR_FILE",
        help="example inputs, batch first: shapes such as 2,3,224,224 or int:2,16 (several with "
        "';' between them), or a .pt, .npy or .safetensors file; default: the model's own",
    )
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="load pickles without checking them: such a file can run any code",
    )
    add_allow(parser)


def add_allow(parser: argparse.ArgumentParser) -> None:
    """Add the packages whose code may run."""
    parser.add_argument(
        "--allow",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="a package whose classes pickled models and rule files may use; may be repeated",
    )


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the rule file."""
    parser.add_argument(
        "--rules",
        metavar="R",
        default="default",
        help="a bundled rule file's name ('snnconvert rules list') or a path (default: default)",
    )


def model_request(options: argparse.Namespace) -> ModelRequest:
    """Return the model that the options of `add_model` ask for."""
    return ModelRequest(
        options.model, options.arch, options.input, tuple(options.allow), options.trust_pickle
    )


def whole_number(at_least: int, at_most: int = 10**6) -> Callable[[str], int]:
    """Return the type of an option that takes a whole number within bounds."""

    def parse(text: str) -> int:
        fits = re.fullmatch(r"\d{1,9}", text, re.ASCII) and at_least <= int(text) <= at_most
        if not fits:
            raise argparse.ArgumentTypeError(
                f"a whole number from {at_least} to {at_most} is needed, received {text[:50]!r}"
            )
        return int(text)

    return parse


def positive(text: str) -> float:
    """Read a finite number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, received {text[:50]!r}")
    return number
