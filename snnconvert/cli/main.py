"""The command ``snnconvert``: which command is meant, and how it ends."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

from snnconvert.cli import check, convert, explain, rules
from snnconvert.cli.exits import BROKEN_PIPE, DEFECT, INTERRUPTED, MEND
from snnconvert.errors import SnnconvertError
from snnconvert.wording import quoted, suggestion

COMMANDS: Mapping[str, Callable[[], argparse.ArgumentParser]] = {
    "explain": explain.parser,
    "rules": rules.parser,
    "check": check.parser,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing but argparse's own exits escapes."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _parse(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()  # a reader that has gone away shows here, not at the interpreter's end
        return code
    except SnnconvertError as error:
        return _tell(error, options.debug, str(error), MEND)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:  # a full disk, a file that vanished
        return _tell(error, options.debug, str(error), MEND)
    except KeyboardInterrupt as error:
        return _tell(error, options.debug, "interrupted", INTERRUPTED)
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        hint = "this is a defect of snnconvert; --debug shows where it happened"
        return _tell(error, options.debug, f"{what}; {hint}", DEFECT)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    first = arguments[0] if arguments else ""
    if first in COMMANDS:
        return COMMANDS[first]().parse_args(arguments[1:])
    parser = convert.parser()
    close = suggestion(first, COMMANDS)
    if close and len(arguments) > 1 and not os.path.exists(first):
        parser.error(f"there is no command or file {quoted(first)}{close}")
    return parser.parse_args(arguments)


def _tell(error: BaseException, debug: bool, message: str, code: int) -> int:
    if debug:
        traceback.print_exception(error)
    print(f"snnconvert: error: {message}", file=sys.stderr)
    return code
