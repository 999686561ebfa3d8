"""How arguments are read: options stand anywhere, and what names no command is a model.

Nothing here, nor in the other modules of this folder, imports torch: help, version, completion
and bad options do not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from snnconvert.cli.logs import logging_to_stderr
from snnconvert.version import __version__
from snnconvert.wording import quoted, suggestion

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass
class Session:
    """What a command says, how much, and how it was called."""

    command: str = ""
    debug: bool = False
    verbose: int = 0
    log_level: str | None = None

    @property
    def level(self) -> str:
        """Return the lowest level of what is logged."""
        return self.log_level or ("warning", "info", "debug")[min(self.verbose, 2)]


def kept(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Put the value of an option into the session."""
    setattr(ctx.ensure_object(Session), str(parameter.name), value)


class Command(click.Command):
    """A command with laid-out help, whose own usage line is given."""

    def __init__(self, name: str, usage: str, **settings: Any) -> None:
        super().__init__(name, context_settings=_SETTINGS, **settings)
        self.usage = usage
        self.params.append(_version())

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage line."""
        formatter.write(f"Usage: {self.usage}\n")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command is for, laid out as it stands."""
        formatter.write(f"\n{self.help or ''}\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples and exit codes, laid out as they stand."""
        formatter.write(f"\n{self.epilog or ''}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with its logs on stderr."""
        with logging_to_stderr(ctx.ensure_object(Session).level):
            return super().invoke(ctx)


class Group(click.Group):
    """Commands whose name may stand after options.

    Args:
        name: of the group.
        usage: the usage line.
        commands: by name.
        default: runs where the first argument that is no option names no command; None: such an
            argument is an error.
    """

    def __init__(
        self,
        name: str,
        usage: str,
        commands: Mapping[str, click.Command],
        default: click.Command | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, commands=dict(commands), context_settings=_SETTINGS, **settings)
        self.usage, self.default = usage, default
        self.params.append(_version())
        self.no_args_is_help = False

    format_usage = Command.format_usage
    format_help_text = Command.format_help_text
    format_epilog = Command.format_epilog

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command's name first, as click wants it."""
        place = next(_positions(args, _takes_value(self)), None)
        if place is not None and args[place] in self.commands:
            args = [args[place], *args[:place], *args[place + 1 :]]
        elif self.default is not None and not (ctx.resilient_parsing and not args):
            if not ctx.resilient_parsing:
                self._refuse_mistyped(ctx, args)
            args = [_DEFAULT, *args]
        elif place is not None:
            args = [*args[place:], *args[:place]]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `parse_args` has put first."""
        if args[0] == _DEFAULT:
            return "", self.default, args[1:]
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, and what the default command takes."""
        found = super().shell_complete(ctx, incomplete)
        if self.default is None:
            return found
        with self.default.make_context("", [], parent=ctx, resilient_parsing=True) as inner:
            params = self.default.params
            argument = next(p for p in params if isinstance(p, click.Argument))
            known = {item.value for item in found}
            options = self.default.shell_complete(inner, incomplete)
            found += [item for item in options if item.value not in known]
            if not incomplete.startswith("-"):
                found += argument.shell_complete(inner, incomplete)
        return found

    def _refuse_mistyped(self, ctx: click.Context, args: Sequence[str]) -> None:
        """Say which command may be meant, where a model is followed by something else."""
        places = [n for n in _positions(args, _takes_value(self)) if n >= 0]
        first = args[places[0]] if places else ""
        close = suggestion(first, self.commands)
        if len(places) > 1 and close and not os.path.exists(first):
            ctx.fail(f"there is no command or file {quoted(first)}{close}")


_DEFAULT = "\0"  # no argument of a process holds it


def _version() -> click.Option:
    def tell(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            click.echo(f"snnconvert {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=tell,
        help="show the version and exit",
    )


def _takes_value(command: click.Command) -> dict[str, bool]:
    """Tell of each option of a command, and of those below it, whether a value follows it."""
    below = [*command.commands.values()] if isinstance(command, Group) else []
    if isinstance(command, Group) and command.default is not None:
        below.append(command.default)
    takes: dict[str, bool] = {}
    for inner in below:
        takes |= _takes_value(inner)
    for option in command.params:
        if isinstance(option, click.Option):
            takes |= dict.fromkeys(option.opts, not (option.is_flag or option.count))
    return takes


def _positions(args: Sequence[str], takes_value: Mapping[str, bool]) -> Iterator[int]:
    """Yield the places of the arguments that are neither options nor values of options."""
    value = False
    for place, argument in enumerate(args):
        if value:
            value = False
        elif argument == "--":
            return  # what follows is never a command
        elif argument.startswith("--"):
            value = takes_value.get(argument, False)
        elif argument.startswith("-") and argument != "-":
            value = _ends_open(argument[1:], takes_value)
        else:
            yield place


def _ends_open(letters: str, takes_value: Mapping[str, bool]) -> bool:
    """Tell whether short options, as in ``-qo``, end in one whose value is the next argument."""
    for place, letter in enumerate(letters):
        if takes_value.get(f"-{letter}", False):
            return place == len(letters) - 1
    return False
