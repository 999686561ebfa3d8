"""Files that a command writes: whether they can be written is known before the work starts."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from snnconvert.cli.terminal import say
from snnconvert.errors import InputError, SourceError
from snnconvert.sources.paths import expanded
from snnconvert.wording import PATH_LENGTH, shown


def check_outputs(
    asked: Mapping[str, str | None],
    force: bool,
    inputs: Iterable[Path] = (),
    continued: Collection[str] = (),
) -> dict[str, Path | None]:
    """Return the paths of the files to write, by the options that name them.

    Args:
        asked: names of files by option.
        force: whether files that exist may be replaced.
        inputs: files that the command reads.
        continued: options of files that are added to, and so may exist.

    Raises:
        InputError: one exists and is not to be overwritten, is no regular file, is also an input
            or another output, or there is no place for it.
    """
    paths = {
        option: _checked(option, name, force or option in continued)
        for option, name in asked.items()
    }
    _refuse_inputs({option: path for option, path in paths.items() if path}, inputs)
    return paths


def say_written(path: Path, quiet: bool) -> None:
    """Say on stderr that a file was written, where nothing asks for quiet."""
    if not quiet:
        say(f"wrote {shown(path, PATH_LENGTH)}", error=True)


def check_suffix(report: str | None, suffixes: Collection[str]) -> None:
    """Refuse a report whose suffix does not say in which form it is written."""
    if report is not None and Path(report).suffix.lower() not in suffixes:
        raise InputError(
            f"--report {shown(report)}: a report is written as {' or '.join(suffixes)}; name the "
            "file so"
        )


def _checked(option: str, name: str | None, force: bool) -> Path | None:
    if name is None:
        return None
    label = f"{option} {shown(name)}"
    try:
        path = expanded(name)
    except SourceError as error:
        raise InputError(f"{option} {error}") from None
    mode = _mode(label, path)
    if mode is not None and stat.S_ISDIR(mode):
        raise InputError(f"{label}: is a directory; give the name of a file")
    if mode is not None and not stat.S_ISREG(mode):
        raise InputError(
            f"{label}: is no regular file but a device, pipe or socket, or a link to one; give "
            "the name of a file"
        )
    if mode is not None and not force:
        raise InputError(f"{label}: the file exists; --force overwrites it")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise InputError(f"{label}: there is no directory {shown(path.parent)}; make it first")
    if not os.access(path if mode is not None else folder, os.W_OK):
        raise InputError(f"{label}: no permission to write there")
    return path


def _mode(label: str, path: Path) -> int | None:
    """Return what a path leads to; None where nothing is there."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # a circle of links, a null byte
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{label}: cannot be written: {why}") from None


def _refuse_inputs(paths: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    """Refuse two names of one file, whether by links or by case."""
    taken = {identity: shown(path) for path in inputs for identity in _identities(path)}
    outputs: dict[object, str] = {}
    for option, path in paths.items():
        for identity in _identities(path):
            if identity in taken:
                raise InputError(
                    f"{option} {shown(path)}: is the same file as {taken[identity]}, which is "
                    "read; give another name"
                )
            if identity in outputs:
                raise InputError(
                    f"{outputs[identity]} and {option} name the same file, {shown(path)}; give "
                    "each a name of its own"
                )
        outputs |= dict.fromkeys(_identities(path), option)


def _identities(path: Path) -> list[object]:
    """What two names of one file have in common: the real path, and the file where it is there."""
    try:
        found = os.stat(path)
    except OSError:
        return [os.path.realpath(path)]
    return [os.path.realpath(path), (found.st_dev, found.st_ino)]
