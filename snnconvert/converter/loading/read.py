"""Reading a saved conversion: its program is converted again by the rules that it carries.

No code in the file is run.
"""

from __future__ import annotations

import base64
import copyreg
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor
from torch.export import ExportedProgram

from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.file import parse_calibration
from snnconvert.converter.convert import convert_traced
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.saving.format import (
    ABSORBED,
    BATCH,
    FORMAT,
    HELD,
    MANIFEST,
    NEURONS,
    NOT_SINGLE,
    RULES,
    SHARED,
)
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.from_program import traced_from
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import (
    InputError,
    SavedFileError,
    SnnconvertError,
    SourceError,
)
from snnconvert.files import read_whole
from snnconvert.rules import RuleSet, parse_rules
from snnconvert.sources.archives import open_archive
from snnconvert.sources.formats import CONVERSION_MEMBER
from snnconvert.sources.pickles import ZIP_MAGIC
from snnconvert.sources.programs import load_program, parsed
from snnconvert.sources.trust import Trust
from snnconvert.torch_private import set_state
from snnconvert.version import __version__
from snnconvert.wording import shown


def load(path: str | os.PathLike[str], *, allow: Sequence[str] = ()) -> ConvertedModule:
    """Read a conversion that `ConvertedModule.save` wrote; no code in the file is run.

    Args:
        path: the file.
        allow: packages whose operators or classes the conversion may use.

    Raises:
        InputError: it is no path.
        SavedFileError: the file is missing, damaged, or of a newer format; or its rules name code
            that is not allowed, or not there.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"a conversion is loaded from a path; received {type(path).__name__}; "
            "write its bytes to a file"
        )
    where = os.fspath(path)
    try:
        data = read_whole(path)
    except (OSError, ValueError) as error:  # ValueError: a null byte
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SavedFileError(f"{where}: cannot be read: {why}") from error
    return loads(data, where, allow=allow)


def is_saved(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a saved conversion, by the names in it; it is not read further."""
    try:
        if not os.path.isfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(f"/{CONVERSION_MEMBER}") for name in archive.namelist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


@exclusive
def loads(data: bytes, where: str = "<bytes>", *, allow: Sequence[str] = ()) -> ConvertedModule:
    """Return the conversion that `ConvertedModule.dumps` wrote (arguments and errors as `load`)."""
    if not data.startswith(ZIP_MAGIC[:2]):
        raise SavedFileError(
            f"{where}: is no saved conversion, which snn.save() and --out write; a model is "
            "converted with snnconvert.convert()"
        )
    try:
        return _converted_again(data, where, allow)
    except SavedFileError:
        raise
    except SnnconvertError as error:
        # Also of rules that name a class or function that is not allowed, or not there.
        said = str(error)
        raise SavedFileError(said if said.startswith(where) else f"{where}: {said}") from error


def _converted_again(data: bytes, where: str, allow: Sequence[str]) -> ConvertedModule:
    manifest, rules = _texts(data, where)
    report = _report(manifest, where)
    program = load_program(data, where, Trust(tuple(allow), offered=False))
    rule_set = parse_rules(rules, origin=f"{where}: rules", allow=allow)
    calibration, absorbed = _tensors(data, where, rule_set)
    try:
        _tie(program, manifest.get(SHARED) or [], where)
        traced = _traced(program, manifest, where)
        snn = convert_traced(replace(traced, notes=()), rule_set, calibration=calibration)
    except SnnconvertError:
        raise
    except Exception as error:  # a program of a file can be wrong in ways that only show here
        raise SavedFileError(
            f"{where}: its program cannot be converted again ({type(error).__name__}: "
            f"{shown(error, 300)})"
        ) from error
    _restore(snn, absorbed, where)
    notes = tuple(shown(note, 1000) for note in manifest["notes"])
    snn.conversion = replace(snn.conversion, notes=notes)
    snn.report = report
    return snn


def _traced(program: ExportedProgram, manifest: dict[str, Any], where: str) -> TracedModel:
    """Return the saved program with what its manifest says of its inputs."""
    held, dims, reason = (manifest.get(key) for key in (HELD, BATCH, NOT_SINGLE))
    names = held or []
    known = (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and (dims is None or (isinstance(dims, dict) and all(map(_is_dim, dims.values()))))
        and (reason is None or isinstance(reason, str))
    )
    if not known:
        raise SavedFileError(f"{where}: what it says of its inputs is damaged")
    try:
        return traced_from(program, held=names, batch_dims=dims, not_single=reason)
    except InputError as error:
        raise SavedFileError(f"{where}: what it says of its inputs is damaged: {error}") from error


def _tie(program: ExportedProgram, shared: Any, where: str) -> None:
    """Make one tensor again of what was one under several names, such as tied weights."""
    state = dict(program.state_dict)
    for names in shared if isinstance(shared, list) else [None]:
        known = isinstance(names, list) and all(isinstance(n, str) and n in state for n in names)
        group: list[str] = [*names] if known and names else []
        if len({(type(state[n]), state[n].shape, state[n].dtype) for n in group}) != 1:
            raise SavedFileError(f"{where}: what it says of tensors with several names is damaged")
        state |= dict.fromkeys(group, state[group[0]])
    set_state(program, state)


def _is_dim(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _report(manifest: dict[str, Any], where: str) -> EquivalenceReport | None:
    """Return the report that a file brings along, marked as its own claim."""
    notes, report = manifest["notes"], manifest["report"]
    try:
        if not isinstance(notes, list):
            raise TypeError(f"{shown(notes)} is not a list of notes")
        if report is None:
            return None
        if not isinstance(report, dict):
            raise TypeError(f"{shown(report)} is not a report")
        return EquivalenceReport.from_dict(report, recorded_in=where)
    except (TypeError, ValueError) as error:
        raise SavedFileError(f"{where}: its report is damaged: {shown(error, 300)}") from error


def _tensors(
    data: bytes, where: str, rules: RuleSet
) -> tuple[Calibration | None, dict[str, Tensor]]:
    """Return the neurons and the absorbed weights of a saved conversion, where it has any."""
    archive = open_archive(data, where)

    def read(member: str) -> bytes | None:
        name = f"extra/{member}"
        if name not in archive.names:
            return None
        try:
            return base64.b64decode(archive.read(name), validate=True)
        except ValueError as error:
            raise SavedFileError(f"{where}: its {member} is damaged: {error}") from error

    neurons, absorbed = read(NEURONS), read(ABSORBED)
    try:
        weights = {} if absorbed is None else load_tensors(absorbed)
    except SafetensorError as error:
        raise SavedFileError(f"{where}: its absorbed weights are damaged: {error}") from error
    return (None if neurons is None else parse_calibration(neurons, where, rules)), weights


def _restore(snn: ConvertedModule, absorbed: dict[str, Tensor], where: str) -> None:
    """Put back absorbed weights as they were saved: training may have changed them."""
    own = snn.state_dict(keep_vars=True)
    expected = set(snn.conversion.absorbed)
    with torch.no_grad():
        for name, tensor in absorbed.items():
            fits = name in expected and (own[name].shape, own[name].dtype) == (
                tensor.shape,
                tensor.dtype,
            )
            if not fits:
                raise SavedFileError(
                    f"{where}: its absorbed weights do not fit: '{shown(name)}' is not a weight "
                    "that these rules change, or has another shape or dtype"
                )
            own[name].copy_(tensor)


def _texts(data: bytes, where: str) -> tuple[dict[str, Any], str]:
    archive = open_archive(data, where)
    names = [f"extra/{MANIFEST}", f"extra/{RULES}"]
    missing = [name for name in names if name not in archive.names]
    if missing:
        raise SavedFileError(
            f"{where}: is not a saved conversion: {', '.join(missing)} is missing. "
            "Write one with snn.save(path) or --out; a model is converted with snnconvert.convert"
        )
    try:
        manifest = parsed(archive, names[0], where)
        found = manifest["format"]
        if type(found) is not int or not {"notes", "report"} <= manifest.keys():
            raise ValueError("it is incomplete")
        rules = archive.read(names[1]).decode()
    except (ValueError, KeyError, TypeError, SourceError) as error:
        raise SavedFileError(
            f"{where}: its manifest or its rules are damaged: {shown(error, 300)}"
        ) from error
    if found > FORMAT:
        raise SavedFileError(
            f"{where}: was written in format {found} by snnconvert "
            f"{shown(manifest.get('version'))}; this is snnconvert {__version__}, which reads up "
            f"to format {FORMAT}. Upgrade snnconvert"
        )
    return manifest, rules


def _reduce(snn: ConvertedModule) -> tuple[Callable[[bytes], ConvertedModule], tuple[bytes]]:
    return loads, (snn.dumps(),)


# The module knows how it is written; only here is known how it is read.
copyreg.pickle(ConvertedModule, _reduce)
