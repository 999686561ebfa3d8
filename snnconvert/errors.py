"""The errors of snnconvert: each says where, what was received, what is allowed, and what to do.

All of them derive from :class:`SnnconvertError`, so ``except snnconvert.SnnconvertError`` catches
everything that a user can mend; anything else that escapes is a defect of the library.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from pathlib import Path

_LONGEST = 60  # characters of a value that are shown


class SnnconvertError(Exception):
    """Base class of all errors that the user can mend."""


class InputError(SnnconvertError, ValueError):
    """A tensor, shape or argument handed to an operator or a converted module does not fit."""


class ArgumentError(InputError):
    """An argument is out of its range.

    Attributes:
        argument: its name.
        value: as it was received.
        problem: what is wrong, what is allowed, what to do.
    """

    def __init__(self, argument: str, value: object, problem: str) -> None:
        self.argument, self.value, self.problem = argument, value, problem
        text = repr(value)
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        super().__init__(f"{argument}={text}: {problem}")

    def __reduce__(self) -> tuple[type[ArgumentError], tuple[str, object, str]]:
        return type(self), (self.argument, self.value, self.problem)


class StateError(SnnconvertError, RuntimeError):
    """A stateful call (``step``) does not fit the state that earlier steps left behind."""


class SourceError(SnnconvertError):
    """A model, checkpoint or example input cannot be found, read or trusted."""


class DependencyError(SnnconvertError, ImportError):
    """An optional package is missing; the message names the extra that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed; "
            f"install it with: pip install 'snnconvert[{extra}]'"
        )


class TraceError(SnnconvertError):
    """``torch.export`` could not turn the model into a graph."""


class DocumentError(SnnconvertError):
    """A YAML file cannot be read or says what it may not; all that is wrong is told at once.

    Attributes:
        problems: each as ``file:line: what is wrong, what is allowed``.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[DocumentError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class RuleError(DocumentError):
    """Problems of a rule file, or of rules that do not fit the network."""


class CostModelError(DocumentError):
    """Problems of a file that says what operations cost."""


class CheckListError(DocumentError):
    """Problems of a list of models to check."""


class ConversionError(SnnconvertError):
    """A rule cannot be applied to the node that it matched."""


class CalibrationError(SnnconvertError):
    """Thresholds cannot be found from the calibration data."""


class VerificationError(SnnconvertError):
    """The equivalence check cannot be made (for example because the outputs are degenerate)."""


class SourceFailsError(VerificationError):
    """The source does not run on random increments in the dtype of a check."""


class SavedFileError(SnnconvertError):
    """A saved conversion is damaged, incomplete or written by another version."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message that is not empty, or the error's name."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__


def warn_caller(message: str, category: type[Warning]) -> None:
    """Give a warning that points at the line outside this package that called it."""
    own = str(Path(__file__).parent)
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(own):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
