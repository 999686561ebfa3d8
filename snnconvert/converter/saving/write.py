"""Writing a conversion: the traced program and the resolved rules, and no code.

A saved file is an exported program (``torch.export.save``) with two texts beside it: the rules as
they were resolved, and a manifest. Loading converts the program again by these rules.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.export import ExportedProgram

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.file import dump_calibration
from snnconvert.converter.reports.equivalence import EquivalenceReport
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
from snnconvert.converter.tracing.traced import TracedInput, TracedModel
from snnconvert.errors import InputError, SavedFileError, first_line
from snnconvert.ops.sequence import is_number
from snnconvert.sources.programs import unreadable
from snnconvert.sources.trees import tree_problem
from snnconvert.torch_private import pytree, set_constants, set_guards, set_ranges, set_state
from snnconvert.version import __version__
from snnconvert.wording import PATH_LENGTH, listed, shown


def refuse_without_folder(path: str | os.PathLike[str]) -> None:
    """Raise InputError where a file has no folder to be written to, or is none."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"a conversion is saved to a path; received {type(path).__name__}. dumps() returns "
            "its bytes"
        )
    if os.path.isdir(path):
        raise InputError(
            f"{shown(os.fspath(path), PATH_LENGTH)}: is a folder; name a file in it to save to"
        )
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise InputError(
            f"{shown(os.fspath(path), PATH_LENGTH)}: there is no folder "
            f"{shown(folder, PATH_LENGTH)} to save to; make it first"
        )


@exclusive
def dump_conversion(
    conversion: Conversion,
    current: Mapping[str, Tensor],
    dtypes: Mapping[torch.dtype, torch.dtype],
    report: EquivalenceReport | None,
) -> bytes:
    """Return a conversion as the content of a file.

    Args:
        conversion: what was converted.
        current: the module's tensors by name: training changes weights and thresholds.
        dtypes: what became of those of its tensors since it was traced.
        report: of its last verification.

    Raises:
        SavedFileError: the module was cast to another dtype, or holds what ``torch.export``
            cannot write or loading would not read.
    """
    if dtypes:
        own = conversion.source.dtype
        own, now = (own, dtypes[own]) if own in dtypes else next(iter(dtypes.items()))
        raise SavedFileError(
            f"the model was traced in {own} and cast to {now}, which its saved program would "
            f"not follow; save it before, or convert model.to({now})"
        )
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "notes": conversion.notes,
        "report": None if report is None else report.to_dict(),
        **_said_of_inputs(conversion.source),
    }
    program = _program_now(conversion, current)
    manifest[SHARED] = _shared(program.state_dict)
    extra = {
        MANIFEST: json.dumps(manifest),
        RULES: conversion.rules.to_yaml(),
    }
    if absorbed := conversion.absorbed:
        tensors = {name: current[name].detach().contiguous() for name in absorbed}
        extra[ABSORBED] = _as_text(save_tensors(tensors))
    if conversion.neurons:
        extra[NEURONS] = _as_text(dump_calibration(_calibration_now(conversion, current)))
    return _written(program, extra)


def _program_now(conversion: Conversion, current: Mapping[str, Tensor]) -> ExportedProgram:
    """Return the traced program with the tensors of now: a copy of a conversion has its own."""
    program = copy.copy(conversion.source.program)
    set_guards(program, conversion.source.conditions)
    # The range of a size that is twice another follows from that of the other; reading refuses it.
    ranges = program.range_constraints.items()
    set_ranges(program, {size: limits for size, limits in ranges if size.is_Symbol})
    absorbed = conversion.absorbed
    state = {
        name: tensor if name in absorbed else current.get(name, tensor)
        for name, tensor in program.state_dict.items()
    }
    set_state(program, state)
    constants = program.constants
    set_constants(program, {name: current.get(name, value) for name, value in constants.items()})
    return program


def _shared(state: Mapping[str, Any]) -> list[list[str]]:
    """Return the names that several names of one tensor are, as tied weights have them."""
    names: dict[int, list[str]] = {}
    for name, tensor in state.items():
        names.setdefault(id(tensor), []).append(name)
    return [several for several in names.values() if len(several) > 1]


def _written(program: ExportedProgram, extra: dict[str, str]) -> bytes:
    """Return a program as a file, after asking whether it could be read.

    Raises:
        SavedFileError: it could not be written or read.
    """
    buffer = io.BytesIO()
    try:
        _refuse_outputs(program)
        torch.export.save(program, buffer, extra_files=extra)
        data = buffer.getvalue()
        problems = unreadable(data, program)
    except NotImplementedError as error:
        raise SavedFileError(
            f"torch.export cannot write this model's inputs or outputs: {error} Return a tuple or "
            "a dict instead, for example tuple(x.topk(2))"
        ) from error
    except Exception as error:  # torch writes what it knows, and raises anything for the rest
        raise SavedFileError(
            f"torch.export cannot write this model ({type(error).__name__}: "
            f"{first_line(error)}); the conversion runs, but cannot be saved. Convert the model "
            "anew where it is needed, or write it without what is named here"
        ) from error
    if problems:
        raise SavedFileError(
            "a file of this model could not be read back: "
            f"{'; '.join(shown(problem, 300) for problem in problems[:3])}. The conversion runs, "
            "but cannot be saved; convert the model anew where it is needed"
        )
    return data


def _said_of_inputs(traced: TracedModel) -> dict[str, Any]:
    """Return what an exported program does not say of its inputs."""
    floats = [g for g in traced.inputs if g.role == "held" and is_number(g.example)]
    return {
        HELD: [given.name for given in floats],
        BATCH: {
            g.name: g.batch_dim
            for g in traced.inputs
            if g.role != "constant" and not _is_multiple(g)
        },
        NOT_SINGLE: traced.not_single,
    }


def _is_multiple(given: TracedInput) -> bool:
    """Tell whether the batch of an input follows from that of another: it has twice its size."""
    return given.batch_dim is not None and not given.sizes[given.batch_dim].is_Symbol


def _refuse_outputs(program: ExportedProgram) -> None:
    """Refuse inputs and outputs of classes that loading would not accept, and texts in them."""
    for spec in (program.call_spec.in_spec, program.call_spec.out_spec):
        if problem := tree_problem(pytree.treespec_dumps(spec)):
            raise NotImplementedError(f"{problem}.")
    found = [spec.arg for spec in program.graph_signature.output_specs]
    if texts := [one.value for one in found if isinstance(getattr(one, "value", None), str)]:
        raise NotImplementedError(f"an output is the text {listed([*map(repr, texts)])}.")


def _calibration_now(conversion: Conversion, current: Mapping[str, Tensor]) -> Calibration:
    """Return the calibration with the thresholds and rests that the neurons have now."""
    fitted = dict(conversion.calibration.fitted)
    for node, path in conversion.neurons.items():
        name = conversion.sited.sites[node].name
        threshold, rest = (current[f"{path}.{own}"].detach().cpu() for own in _OF_NEURONS)
        fitted[name] = replace(fitted[name], v_threshold=threshold, rest=rest)
    return replace(conversion.calibration, fitted=fitted)


_OF_NEURONS = ("v_threshold", "rest")


def _as_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
