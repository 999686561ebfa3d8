"""Writing a conversion: the traced program and the resolved rules, and no code.

A saved file is an exported program (``torch.export.save``) with two texts beside it: the rules as
they were resolved, and a manifest. Loading converts the program again by these rules.
"""

from __future__ import annotations

import base64
import copy
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.file import dump_calibration
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.saving.format import (
    BATCH,
    FOLDED,
    FORMAT,
    HELD,
    MANIFEST,
    NEURONS,
    NOT_SINGLE,
    RULES,
)
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.traced import TracedModel, floating_dtype
from snnconvert.errors import SavedFileError
from snnconvert.sources.trees import tree_problem
from snnconvert.torch_private import pytree, set_guards, set_state
from snnconvert.version import __version__


@exclusive
def dump_conversion(
    conversion: Conversion,
    current: Mapping[str, Tensor],
    dtype: torch.dtype,
    report: EquivalenceReport | None,
) -> bytes:
    """Return a conversion as the content of a file.

    Args:
        conversion: what was converted.
        current: the module's tensors by name: training changes weights and thresholds.
        dtype: that of the module now.
        report: of its last verification.

    Raises:
        SavedFileError: the module was cast to another dtype, or has outputs of a type that
            ``torch.export`` cannot write.
    """
    own = floating_dtype(conversion.source)
    if dtype != own:
        raise SavedFileError(
            f"the model was traced in {own} and cast to {dtype}, which its saved program would "
            f"not follow; save it before, or convert model.to({dtype})"
        )
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "notes": conversion.notes,
        "report": None if report is None else report.to_dict(),
        **_said_of_inputs(conversion.source),
    }
    extra = {
        MANIFEST: json.dumps(manifest),
        RULES: conversion.rules.to_yaml(),
    }
    program = copy.copy(conversion.source.program)
    set_guards(program, conversion.source.conditions)
    absorbed = conversion.absorbed
    # A copy of a conversion has tensors of its own.
    state = {
        name: tensor if name in absorbed or name not in current else current[name]
        for name, tensor in program.state_dict.items()
    }
    set_state(program, state)
    if absorbed:
        tensors = {name: current[name].detach().contiguous() for name in absorbed}
        extra[FOLDED] = _as_text(save_tensors(tensors))
    if conversion.neurons:
        extra[NEURONS] = _as_text(dump_calibration(_calibration_now(conversion, current)))
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


def _said_of_inputs(traced: TracedModel) -> dict[str, Any]:
    """Return what an exported program does not say of its inputs."""
    floats = [g for g in traced.inputs if g.role == "held" and g.example.is_floating_point()]
    return {
        HELD: [given.name for given in floats],
        BATCH: {g.name: g.batch_dim for g in traced.inputs if g.role != "constant"},
        NOT_SINGLE: traced.not_single,
    }


def _refuse_trees(conversion: Conversion) -> None:
    """Refuse inputs and outputs of classes that loading would not accept."""
    for spec in (conversion.source.in_spec, conversion.source.out_spec):
        if problem := tree_problem(pytree.treespec_dumps(spec)):
            raise NotImplementedError(f"{problem}.")


def _calibration_now(conversion: Conversion, current: Mapping[str, Tensor]) -> Calibration:
    """Return the calibration with the thresholds that the neurons have now."""
    fitted = dict(conversion.calibration.fitted)
    for node, path in conversion.neurons.items():
        name = conversion.sited.sites[node].name
        threshold = current[f"{path}.v_threshold"].detach().cpu()
        fitted[name] = replace(fitted[name], v_threshold=threshold)
    return replace(conversion.calibration, fitted=fitted)


def _as_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
