"""Saved conversions: the traced program and the resolved rules, and no code.

A saved file is an exported program (``torch.export.save``) with two texts beside it: the rules as
they were resolved, and a manifest. Loading converts the program again by these rules.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.utils._pytree as pytree
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from snnconvert.converter.atomic import write_atomically
from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.file import dump_calibration, parse_calibration
from snnconvert.converter.convert import convert_traced
from snnconvert.converter.converted import Conversion, ConvertedModule
from snnconvert.converter.exclusive import exclusive
from snnconvert.converter.trace import floating_dtype, traced_from
from snnconvert.converter.verification.report import EquivalenceReport
from snnconvert.errors import CalibrationError, SavedFileError, SourceError
from snnconvert.rules import parse_rules
from snnconvert.sources.archives import open_archive
from snnconvert.sources.program_text import tree_problem
from snnconvert.sources.programs import load_program
from snnconvert.sources.trust import Trust
from snnconvert.version import __version__

FORMAT = 1
_MANIFEST, _RULES = "snnconvert.json", "snnconvert.yaml"
_NEURONS, _FOLDED = "snnconvert.neurons", "snnconvert.folded"  # safetensors, as base64


def save(snn: ConvertedModule, path: str | os.PathLike[str]) -> None:
    """Write a conversion to a file; an existing file is replaced in one step.

    Args:
        snn: the conversion; its parameters are written as they are now.
        path: by custom with the suffix ``.snn``.

    Raises:
        SavedFileError: the conversion was cast to another dtype, or has outputs of a type that
            ``torch.export`` cannot write.
    """
    write_atomically(path, dumps(snn))


@exclusive
def dumps(snn: ConvertedModule) -> bytes:
    """Return a conversion as the content of a file."""
    conversion = snn.conversion
    own = floating_dtype(conversion.source)
    if snn.placed.dtype != own:
        raise SavedFileError(
            f"the model was traced in {own} and cast to {snn.placed.dtype}, which its saved "
            f"program would not follow; save it before, or convert model.to({snn.placed.dtype})"
        )
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "notes": conversion.notes,
        "report": None if snn.report is None else snn.report.to_dict(),
    }
    extra = {
        _MANIFEST: json.dumps(manifest),
        _RULES: conversion.rules.to_yaml(),
    }
    program = copy.copy(conversion.source.program)
    # A copy of a conversion has tensors of its own; training changes weights and thresholds.
    current = snn.state_dict(keep_vars=True)
    folded = conversion.folded
    program._state_dict = {
        name: tensor if name in folded or name not in current else current[name]
        for name, tensor in program.state_dict.items()
    }
    if folded:
        tensors = {name: current[name].detach().contiguous() for name in folded}
        extra[_FOLDED] = _as_text(save_tensors(tensors))
    if conversion.neurons:
        extra[_NEURONS] = _as_text(dump_calibration(_current_calibration(snn)))
    buffer = io.BytesIO()
    try:
        _refuse_trees(conversion)
        torch.export.save(program, buffer, extra_files=extra)
    except NotImplementedError as error:
        raise SavedFileError(
            f"torch.export cannot write this model's inputs or outputs: {error} Return a tuple or "
            "a dict instead, for example tuple(x.topk(2))"
        ) from error
    return buffer.getvalue()


def _refuse_trees(conversion: Conversion) -> None:
    """Refuse inputs and outputs of classes that loading would not accept."""
    for spec in (conversion.source.in_spec, conversion.source.out_spec):
        if problem := tree_problem(pytree.treespec_dumps(spec)):
            raise NotImplementedError(f"{problem}.")


def _current_calibration(snn: ConvertedModule) -> Calibration:
    """Return the calibration with the thresholds that the neurons have now."""
    conversion = snn.conversion
    fitted = dict(conversion.calibration.fitted)
    for node, path in conversion.neurons.items():
        name = conversion.decided.sites[node].name
        threshold = snn.tree.get_submodule(path).v_threshold
        assert isinstance(threshold, Tensor)
        fitted[name] = replace(fitted[name], v_threshold=threshold.detach().cpu())
    return replace(conversion.calibration, fitted=fitted)


def _as_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def load(path: str | os.PathLike[str], *, allow: Sequence[str] = ()) -> ConvertedModule:
    """Read a conversion that `ConvertedModule.save` wrote; no code in the file is run.

    Args:
        path: the file.
        allow: packages whose operators or classes the conversion may use.

    Raises:
        SavedFileError: the file is missing, damaged, or of a newer format.
    """
    where = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SavedFileError(f"{where}: cannot be read: {error.strerror}") from error
    return loads(data, where, allow=allow)


@exclusive
def loads(data: bytes, where: str = "<bytes>", *, allow: Sequence[str] = ()) -> ConvertedModule:
    """Return the conversion that `dumps` wrote (arguments and errors as `load`)."""
    try:
        manifest, rules = _texts(data, where)
        calibration, folded = _tensors(data, where)
        program = load_program(data, where, Trust(tuple(allow)))
    except (SourceError, CalibrationError) as error:
        raise SavedFileError(str(error)) from error
    rule_set = parse_rules(rules, origin=f"{where}: rules", allow=allow)
    traced = traced_from(program)
    snn = convert_traced(replace(traced, notes=()), rule_set, calibration=calibration)
    _restore(snn, folded, where)
    try:
        snn.conversion = replace(snn.conversion, notes=tuple(map(str, manifest["notes"])))
        if manifest["report"] is not None:
            snn.report = EquivalenceReport.from_dict(manifest["report"])
    except (KeyError, TypeError, AttributeError) as error:
        raise SavedFileError(f"{where}: its report is damaged: {error!r}") from error
    return snn


def _tensors(data: bytes, where: str) -> tuple[Calibration | None, dict[str, Tensor]]:
    """Return the neurons and the folded weights of a saved conversion, where it has any."""
    archive = open_archive(data, where)

    def read(member: str) -> bytes | None:
        name = f"extra/{member}"
        if name not in archive.names:
            return None
        try:
            return base64.b64decode(archive.read(name), validate=True)
        except ValueError as error:
            raise SavedFileError(f"{where}: its {member} is damaged: {error}") from error

    neurons, folded = read(_NEURONS), read(_FOLDED)
    try:
        weights = {} if folded is None else load_tensors(folded)
    except SafetensorError as error:
        raise SavedFileError(f"{where}: its folded weights are damaged: {error}") from error
    return (None if neurons is None else parse_calibration(neurons, where)), weights


def _restore(snn: ConvertedModule, folded: dict[str, Tensor], where: str) -> None:
    """Put back folded weights as they were saved: training may have changed them."""
    own = snn.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, tensor in folded.items():
            if name not in own or own[name].shape != tensor.shape:
                raise SavedFileError(f"{where}: its folded weights do not fit: '{name}'")
            own[name].copy_(tensor)


def _texts(data: bytes, where: str) -> tuple[dict[str, Any], str]:
    archive = open_archive(data, where)
    names = [f"extra/{_MANIFEST}", f"extra/{_RULES}"]
    missing = [name for name in names if name not in archive.names]
    if missing:
        raise SavedFileError(
            f"{where}: is not a saved conversion: {', '.join(missing)} is missing. "
            "Write one with snn.save(path) or --out; a model is converted with snnconvert.convert"
        )
    try:
        manifest = json.loads(archive.read(names[0]))
        found = manifest["format"]
        if not isinstance(found, int) or not {"notes", "report"} <= manifest.keys():
            raise ValueError("it is incomplete")
        rules = archive.read(names[1]).decode()
    except (ValueError, KeyError, TypeError) as error:
        raise SavedFileError(f"{where}: its manifest or its rules are damaged: {error}") from error
    if found > FORMAT:
        raise SavedFileError(
            f"{where}: was written in format {found} by snnconvert {manifest.get('version')}; this "
            f"is snnconvert {__version__}, which reads up to format {FORMAT}. Upgrade snnconvert"
        )
    return manifest, rules
