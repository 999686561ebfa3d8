"""Calibrations as files: thresholds as safetensors, all else as JSON in its metadata."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.errors import CalibrationError
from snnconvert.files import write_atomically
from snnconvert.ops.layouts import Drives
from snnconvert.ops.neurons import NEURONS
from snnconvert.ops.targets import DRIVE, NO_LIMITS, Target, clip

FORMAT = 2  # 1: limits among the arguments, as bounds
_KEY = "snnconvert_calibration"
_REST = ".rest"
_NUMBERS = ("error", "saturated", "rate", "dead")
_FACTS = ("type", "axis", "arguments", "statistic", *_NUMBERS)


def save_calibration(calibration: Calibration, path: str | os.PathLike[str]) -> None:
    """Write a calibration to a ``.safetensors`` file; an existing file is replaced in one step."""
    write_atomically(path, dump_calibration(calibration))


def load_calibration(path: str | os.PathLike[str]) -> Calibration:
    """Read what `save_calibration` wrote.

    Raises:
        CalibrationError: the file is missing, damaged, or of a newer format.
    """
    where = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CalibrationError(f"{where}: cannot be read: {error.strerror}") from error
    return parse_calibration(data, where)


def dump_calibration(calibration: Calibration) -> bytes:
    """Return a calibration as the content of a file."""
    sites = {
        name: {fact: getattr(fitted, fact) for fact in _FACTS} | _target_as_data(fitted.target)
        for name, fitted in calibration.fitted.items()
    }
    facts = {"format": FORMAT, "sites": sites, "notes": calibration.notes}
    tensors = {name: f.v_threshold for name, f in calibration.fitted.items()}
    tensors |= {f"{name}{_REST}": f.rest for name, f in calibration.fitted.items()}
    # Neurons that were given one threshold to train share its memory.
    apart = {n: x.detach().clone(memory_format=torch.contiguous_format) for n, x in tensors.items()}
    return save(apart, metadata={_KEY: json.dumps(facts)})


def parse_calibration(data: bytes, where: str) -> Calibration:
    """Return the calibration that `dump_calibration` wrote (errors as `load_calibration`)."""
    try:
        tensors = load(data)
        facts = _metadata(data)
        if facts["format"] > FORMAT:
            raise CalibrationError(
                f"{where}: was written in format {facts['format']}; this snnconvert reads up to "
                f"format {FORMAT}. Upgrade snnconvert, or calibrate again"
            )
        fitted = {
            name: _checked(site, tensors[name], tensors[f"{name}{_REST}"], f"{where}: '{name}'")
            for name, site in facts["sites"].items()
        }
        return Calibration(fitted, tuple(map(str, facts["notes"])))
    except (
        *(SafetensorError, KeyError, TypeError, ValueError, AttributeError),
        RecursionError,
    ) as error:
        raise CalibrationError(
            f"{where}: is not a calibration that snnconvert wrote, or is damaged ({error}); "
            "write one with --calibration-out"
        ) from error


def _target_as_data(target: Target) -> dict[str, Any]:
    """Return a target as plain data; a table is made again, of what it was made of."""
    found, table = asdict(replace(target, table=None)), target.table
    del found["table"]
    if table is not None:
        drives = asdict(table.drives)
        found["table"] = {"error": table.error, "margin": table.margin, "drives": drives}
    return {"target": found}


def _target(found: dict[str, Any]) -> Target:
    table = found.get("table")
    parameters = tuple((str(name), value) for name, value in found.get("parameters", ()))
    target = Target(**{**found, "parameters": parameters, "table": None})
    if table is None:
        return target
    drives = Drives(**table["drives"])
    numbers = (table["error"], table["margin"], *astuple(drives))
    if not all(_is_number(x, int, float) and x == x for x in numbers):
        raise ValueError("a table is made of numbers")
    return target.tabulated(drives, table["error"], table["margin"])


def _metadata(data: bytes) -> dict[str, Any]:
    # The library gives metadata of files on disk alone; the header is a length and JSON.
    size = int.from_bytes(data[:8], "little")
    found: dict[str, Any] = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_KEY])
    return found


def _checked(site: dict[str, Any], threshold: Tensor, rest: Tensor, where: str) -> Fitted:
    """Return the neuron of a site after making it once, so that a damaged one is told here."""
    arguments = dict(site["arguments"])
    if "target" in site:
        target = _target(site["target"])
    else:
        low, high = arguments.pop("bounds", NO_LIMITS)
        target = clip(low, high, DRIVE.name)
    known = (
        site["type"] in NEURONS
        and bool(torch.isfinite(threshold).all())
        and (site["axis"] is None or _is_number(site["axis"], int))
        and all(_is_number(site[fact], int, float) for fact in _NUMBERS)
    )
    if not known:
        raise ValueError(f"{where} is no neuron")
    fitted = Fitted(
        **{**site, "arguments": arguments, "target": target}, v_threshold=threshold, rest=rest
    )
    fitted.neuron()
    return fitted


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
