"""The command ``snnconvert``: which command is meant, and how it ends."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence

import click
from click.shell_completion import shell_complete

from snnconvert.cli.commands.parsing import Session
from snnconvert.cli.commands.root import root
from snnconvert.cli.exits import BROKEN_PIPE, DEFECT, INTERRUPTED, MEND
from snnconvert.cli.terminal import escaped
from snnconvert.errors import ArgumentError, SnnconvertError
from snnconvert.wording import quoted, shown, suggestion

COMPLETION = "_SNNCONVERT_COMPLETE"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; no exception escapes."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None and (instruction := os.environ.get(COMPLETION)):
        return shell_complete(root, {}, "snnconvert", COMPLETION, instruction)
    session = Session(shlex.join(["snnconvert", *arguments]))
    try:
        code = _run(arguments, session)
        sys.stdout.flush()  # a reader that has gone away shows here, not at the interpreter's end
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        return _tell(error, session.debug)
    except KeyboardInterrupt as error:
        return _tell(error, session.debug)


def _run(arguments: list[str], session: Session) -> int:
    try:
        with root.make_context("snnconvert", arguments, obj=session) as context:
            code: int = root.invoke(context)
            return code
    except click.exceptions.Exit as end:  # after help and version
        return end.exit_code


def _tell(error: BaseException, debug: bool) -> int:
    """Say on stderr what went wrong; return the exit code."""
    if debug:
        traceback.print_exception(error)
    kind = next(kind for kind in _ENDS if isinstance(error, kind))
    code, describe = _ENDS[kind]
    first, *more = describe(error)
    print(f"snnconvert: error: {escaped(first)}", file=sys.stderr)
    for line in more:
        print(escaped(line), file=sys.stderr)
    return code


def _of_usage(error: click.UsageError) -> list[str]:
    if error.ctx is not None:
        print(error.ctx.get_usage(), file=sys.stderr)
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        known = [name for option in error.ctx.command.params for name in option.opts]
        close = suggestion(error.option_name, [name for name in known if name.startswith("--")])
        return [f"No such option {quoted(error.option_name)}{close or '; --help lists them'}"]
    if isinstance(error, click.MissingParameter):
        return [f"{error.format_message().rstrip('.')}; --help says what is needed"]
    return [error.format_message()]


def _to_mend(error: SnnconvertError) -> list[str]:
    """The problems of an error, a line each; what it says below its first line is indented.

    A name that holds a newline then begins no line of its own.
    """
    problems = getattr(error, "problems", None)
    if problems:
        return list(problems)
    if isinstance(error, ArgumentError) and error.argument in _OPTIONS:
        option = f"{_OPTIONS[error.argument]} {shown(error.value)}"
        return [f"{option}: {error.problem}"]
    first, *more = str(error).split("\n")
    return [first, *(line if line.startswith("  ") else f"  {line}" for line in more)]


def _defect(error: BaseException) -> list[str]:
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return [f"{what}; this is a defect of snnconvert; --debug shows where it happened"]


_OPTIONS = {
    "batch": "--batch",
    "batch_dims": "--batch-dim",
    "classes": "--classes",
    "output": "--output",
}
"""The options that arguments of the library are here."""
_ENDS: dict[type[BaseException], tuple[int, Callable[..., list[str]]]] = {
    SnnconvertError: (MEND, _to_mend),
    click.UsageError: (MEND, _of_usage),
    OSError: (MEND, lambda error: [str(error)]),  # a full disk, a file that vanished
    KeyboardInterrupt: (INTERRUPTED, lambda error: ["interrupted"]),
    BaseException: (DEFECT, _defect),
}
