"""Calibrations as files: thresholds as safetensors, all else as JSON in its metadata."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, astuple
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.converter.spikes.own_functions import own_targets
from snnconvert.errors import CalibrationError, ConversionError
from snnconvert.files import read_whole, write_atomically
from snnconvert.ops.layouts import Drives
from snnconvert.ops.neurons import NEURONS
from snnconvert.ops.targets import DRIVE, NO_LIMITS, Target, clip
from snnconvert.rules import RuleSet
from snnconvert.sources.budget import MOST_DIMENSIONS
from snnconvert.wording import PATH_LENGTH, shown

FORMAT = 2  # 1: limits among the arguments, as bounds
_KEY = "snnconvert_calibration"
_REST = ".rest"
_NUMBERS = ("error", "saturated", "rate", "dead")
_LONGEST_WORD = 100
_LONGEST_NOTE = 1000
_DAMAGES = (
    *(SafetensorError, KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(ArithmeticError, RecursionError, RuntimeError),
)
_OF_A_TARGET = ("name", "low", "high", "function", "parameters")
_WITHOUT = "without_table"  # which a file of before there was any has not
_FACTS = ("type", "axis", "arguments", "statistic", *_NUMBERS)


def save_calibration(calibration: Calibration, path: str | os.PathLike[str]) -> None:
    """Write a calibration to a ``.safetensors`` file; an existing file is replaced in one step."""
    write_atomically(path, dump_calibration(calibration))


def load_calibration(path: str | os.PathLike[str], rules: RuleSet | None = None) -> Calibration:
    """Read what `save_calibration` wrote.

    Args:
        path: the file.
        rules: those that name the functions of a user's own that its neurons follow, if any do.

    Raises:
        CalibrationError: the file is missing, no regular file, damaged, or of a newer format; or a
            function that the rules name is not there.
    """
    where = shown(os.fspath(path), PATH_LENGTH)
    try:
        data = read_whole(path)
    except (OSError, ValueError) as error:  # ValueError: a null byte
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CalibrationError(f"{where}: cannot be read: {why}") from error
    return parse_calibration(data, where, rules)


def dump_calibration(calibration: Calibration) -> bytes:
    """Return a calibration as the content of a file."""
    sites = {
        name: {fact: getattr(fitted, fact) for fact in _FACTS}
        | ({_WITHOUT: True} if fitted.without_table else {})
        | _target_as_data(fitted.target)
        for name, fitted in calibration.fitted.items()
    }
    facts = {"format": FORMAT, "sites": sites, "notes": calibration.notes}
    tensors = {name: f.v_threshold for name, f in calibration.fitted.items()}
    tensors |= {f"{name}{_REST}": f.rest for name, f in calibration.fitted.items()}
    # Neurons that were given one threshold to train share its memory.
    apart = {n: x.detach().clone(memory_format=torch.contiguous_format) for n, x in tensors.items()}
    return save(apart, metadata={_KEY: json.dumps(facts)})


def parse_calibration(data: bytes, where: str, rules: RuleSet | None = None) -> Calibration:
    """Return the calibration that `dump_calibration` wrote (errors as `load_calibration`)."""
    try:
        own = own_targets(() if rules is None else rules.rules)
        tensors = load(data)
        facts = _metadata(data)
        if not _is_number(facts["format"], int) or facts["format"] < 1:
            raise ValueError("its format is no whole number from 1")
        if facts["format"] > FORMAT:
            raise CalibrationError(
                f"{where}: was written in format {shown(facts['format'])}; this snnconvert reads "
                f"up to format {FORMAT}. Upgrade snnconvert, or calibrate again"
            )
        fitted = {
            name: _checked(
                site, own, tensors[name], tensors[f"{name}{_REST}"], f"{where}: '{shown(name)}'"
            )
            for name, site in facts["sites"].items()
        }
        return Calibration(fitted, _notes(facts["notes"]))
    except ConversionError as error:
        raise CalibrationError(f"{where}: {error}") from error
    except _DAMAGES as error:
        raise CalibrationError(
            f"{where}: is not a calibration that snnconvert wrote, or is damaged "
            f"({shown(error, 300)}); "
            "write one with --calibration-out"
        ) from error


def _target_as_data(target: Target) -> dict[str, Any]:
    """Return a target as plain data; a table is made again, of what it was made of."""
    found = {name: getattr(target, name) for name in _OF_A_TARGET}
    table = target.table
    if table is not None:
        drives = asdict(table.drives)
        found["table"] = {"error": table.error, "margin": table.margin, "drives": drives}
    return {"target": found}


def _target(found: dict[str, Any], own: Mapping[str, Target], where: str) -> Target:
    table = found.get("table")
    parameters = tuple((name, _plain(value)) for name, value in found.get("parameters", ()))
    low, high = (_limit(found.get(end)) for end in ("low", "high"))
    if not _is_word(found["name"]):
        raise ValueError("the name of a target is a word")
    given = {name: value for name, value in found.items() if name != "table"}
    function = found.get("function")
    if given.keys() - set(_OF_A_TARGET):
        raise ValueError(f"a target has {', '.join(_OF_A_TARGET)} and a table")
    if isinstance(function, str) and function in own:
        target = own[function]
    elif isinstance(function, str) and "." in function:
        raise CalibrationError(
            f"{where} follows '{shown(function)}', and no rule names that as its target; use the "
            "rules that it was calibrated with, or calibrate again"
        )
    else:
        target = Target(**{**given, "low": low, "high": high, "parameters": parameters})
    if table is None:
        return target
    drives = Drives(**table["drives"])
    numbers = (table["error"], table["margin"], *astuple(drives))
    if not all(_is_number(x, int, float) and x == x for x in numbers):
        raise ValueError("a table is made of numbers")
    return target.tabulated(drives, table["error"], table["margin"])


def _plain(value: Any) -> Any:
    """A parameter of a function: a text, a truth value, or a finite number as it was."""
    if not isinstance(value, str | bool | int | float) or not math.isfinite(
        0.0 if isinstance(value, str) else value
    ):
        raise ValueError("the parameters of a function are texts and finite numbers")
    return value


def _limit(value: Any) -> Any:
    if value is not None and not (_is_number(value, int, float) and math.isfinite(value)):
        raise ValueError("the limits of a target are finite numbers, or none")
    return value


def _notes(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(note, str) for note in found):
        raise ValueError("its notes are no list of texts")
    return tuple(shown(note, _LONGEST_NOTE) for note in found)


def _metadata(data: bytes) -> dict[str, Any]:
    # The library gives metadata of files on disk alone; the header is a length and JSON.
    size = int.from_bytes(data[:8], "little")
    found: dict[str, Any] = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_KEY])
    return found


def _checked(
    site: dict[str, Any],
    own: Mapping[str, Target],
    threshold: Tensor,
    rest: Tensor,
    where: str,
) -> Fitted:
    """Return the neuron of a site after making it once, so that a damaged one is told here."""
    arguments = dict(site["arguments"])
    if "target" in site:
        target = _target(site["target"], own, where)
    else:
        low, high = arguments.pop("bounds", NO_LIMITS)
        target = clip(low, high, DRIVE.name)
    known = (
        site["type"] in NEURONS
        and bool(torch.isfinite(threshold).all())
        and (site["axis"] is None or _is_axis(site["axis"]))
        and all(_is_number(site[fact], int, float) and float(site[fact]) >= 0 for fact in _NUMBERS)
        and (_is_number(site["dead"], int) and _is_word(site["statistic"]))
        and site.get(_WITHOUT, False) in (True, False)
    )
    if not known:
        raise ValueError(f"{where} is no neuron")
    fitted = Fitted(
        **{**site, "arguments": arguments, "target": target}, v_threshold=threshold, rest=rest
    )
    fitted.neuron()
    return fitted


def _is_word(value: Any) -> bool:
    """Whether a value is a word of the package, as it stands in reports."""
    return isinstance(value, str) and value.isidentifier() and len(value) <= _LONGEST_WORD


def _is_axis(value: Any) -> bool:
    return _is_number(value, int) and -MOST_DIMENSIONS <= value < MOST_DIMENSIONS


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
