"""Options that several commands have, and the values that they take."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from snnconvert.cli.commands.parsing import kept
from snnconvert.cli.logs import LEVELS
from snnconvert.wording import shown

MODEL_HELP = """\
MODEL is one of
  timm:NAME                      a timm model with random weights     timm:resnet18
  hf:DIRECTORY_OR_ID             a Hugging Face checkpoint            hf:./MiniLM
  hf-tiny:TYPE                   a tiny random Hugging Face model     hf-tiny:llama
  demo:NAME                      a model that comes with snnconvert   demo:digits-vit
  python:package.module:factory  what your own function returns       python:mynet:build
  FILE                           .pt2, .pt or .safetensors; weights alone need --arch"""
PREFIXES = ("timm:", "hf:", "hf-tiny:", "demo:digits-vit", "python:")
MAX_TIME_STEPS = 1024
TIME_STEPS = 8
"""Of a converted model whose rule file says none."""
INCREMENTS = 4
"""Time steps of the random increments that conversions are verified on."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Decorator = Callable[[Decorated], Decorated]


class Value(click.ParamType):  # type: ignore[type-arg]  # older clicks have no type here
    """What an option takes."""


class WholeNumber(Value):
    """A whole number within bounds."""

    name = "number"

    def __init__(self, at_least: int, at_most: int = 10**6) -> None:
        self.at_least, self.at_most = at_least, at_most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read digits, with a sign where there is one."""
        text = str(value)
        fits = re.fullmatch(r"-?\d{1,10}", text, re.ASCII)
        if not fits or not self.at_least <= int(text) <= self.at_most:
            self.fail(
                f"a whole number from {self.at_least} to {self.at_most} is needed, received "
                f"{shown(text, 50)!r}",
                param,
                ctx,
            )
        return int(text)


class Positive(Value):
    """A finite number above zero."""

    name = "number"
    largest, said = math.inf, "a number above 0"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (0 < number <= self.largest and number < math.inf):
            self.fail(f"{self.said} is needed, received {shown(value, 50)!r}", param, ctx)
        return number


class Share(Positive):
    """A share of a whole, above zero."""

    largest, said = 1.0, "a share above 0 and up to 1"


class Named(Value):
    """Text that is one of a few names, or the path of a file; completed as either."""

    name = "text"

    def __init__(self, names: Callable[[], tuple[str, ...]]) -> None:
        self.names = names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the names that begin so, and files."""
        named = [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]
        return [*named, CompletionItem(incomplete, type="file")]


FILE = Named(lambda: ())


def bundled() -> tuple[str, ...]:
    from snnconvert.rules import bundled_rules

    return bundled_rules()


def bundled_costs() -> tuple[str, ...]:
    from snnconvert.costs.models import bundled_costs

    return bundled_costs()


def every(*decorators: Callable[[Any], Any]) -> Decorator[Any]:
    """Apply decorators so that help shows their options in this order."""

    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _kept(*names: str, **settings: Any) -> Callable[[Any], Any]:
    return click.option(*names, expose_value=False, callback=kept, **settings)


JSON = click.option("--json", "as_json", is_flag=True, help="print JSON to stdout instead of text")
ALLOW = click.option(
    "--allow",
    metavar="PACKAGE",
    multiple=True,
    help="a package whose classes and functions pickled models, rule files and python: models of "
    "check lists may use; may be repeated",
)
FORCE = click.option("--force", is_flag=True, help="overwrite files that exist")
SEED = click.option(
    "--seed",
    metavar="N",
    type=WholeNumber(0, 2**31 - 1),
    default=0,
    help="of random increments, and of random weights and inputs (default: 0)",
)
EXAMPLE = click.option(
    "--input",
    "example",
    metavar="SHAPE_OR_FILE",
    type=FILE,
    help="example inputs, batch first: shapes such as 2,3,224,224 or int:2,16 (several with ';' "
    "between them), or a .pt, .npy or .safetensors file; default: the model's own",
)
DEVICE = click.option(
    "--device",
    metavar="D",
    default="cpu",
    help="where the model and its inputs are put, such as cuda or cuda:1 (default: cpu)",
)
TALK = every(
    _kept("-v", "--verbose", count=True, help="log what is done; -vv: in detail"),
    _kept("--log-level", type=click.Choice(LEVELS), help="of the log on stderr (default: warning)"),
    _kept("--debug", is_flag=True, help="show tracebacks and other libraries' warnings"),
)
_LOADED = (
    click.argument("model", metavar="MODEL", type=Named(lambda: PREFIXES)),
    click.option(
        "--arch",
        metavar="MODEL",
        type=Named(lambda: PREFIXES),
        help="the model that a file of weights belongs to: timm:NAME, hf:DIRECTORY or python:...",
    ),
    EXAMPLE,
    click.option(
        "--held",
        metavar="NAME",
        multiple=True,
        help="a floating-point input that is the same at every step (a mask, boxes, timesteps), by "
        "the name of forward's parameter; may be repeated",
    ),
    click.option(
        "--batch-dim",
        metavar="D",
        type=WholeNumber(0, 7),
        help="the dimension of the inputs that is the batch (default: found, 0 first)",
    ),
    click.option(
        "--trust-pickle",
        is_flag=True,
        help="load pickles without checking them: such a file can run any code",
    ),
    ALLOW,
)
_RULES = "a bundled rule file's name ('snnconvert rules list') or a path"
MODEL = every(
    *_LOADED,
    click.option("--rules", metavar="R", type=Named(bundled), help=f"{_RULES} (default: default)"),
    SEED,
    DEVICE,
)
MODEL_BY_SEVERAL_RULES = every(
    *_LOADED,
    click.option(
        "--rules",
        metavar="R",
        multiple=True,
        type=Named(bundled),
        help=f"{_RULES}, timed beside the exact conversion; may be repeated (default: spiking)",
    ),
    SEED,
    DEVICE,
)
CALIBRATION = click.option(
    "--calibration",
    metavar="FILE",
    type=FILE,
    help="inputs that thresholds of neurons are found from: a .pt, .npy or .safetensors file "
    "of tensors, samples first (default: the model's own, or its example inputs)",
)
