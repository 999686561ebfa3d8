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

import torch
import torch.utils._pytree as pytree
from safetensors.torch import save as save_tensors
from torch import Tensor

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.file import dump_calibration
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.saving.format import FOLDED, FORMAT, MANIFEST, NEURONS, RULES
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.traced import floating_dtype
from snnconvert.errors import SavedFileError
from snnconvert.sources.trees import tree_problem
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
    }
    extra = {
        MANIFEST: json.dumps(manifest),
        RULES: conversion.rules.to_yaml(),
    }
    program = copy.copy(conversion.source.program)
    folded = conversion.folded
    # A copy of a conversion has tensors of its own.
    program._state_dict = {
        name: tensor if name in folded or name not in current else current[name]
        for name, tensor in program.state_dict.items()
    }
    if folded:
        tensors = {name: current[name].detach().contiguous() for name in folded}
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


def _refuse_trees(conversion: Conversion) -> None:
    """Refuse inputs and outputs of classes that loading would not accept."""
    for spec in (conversion.source.in_spec, conversion.source.out_spec):
        if problem := tree_problem(pytree.treespec_dumps(spec)):
            raise NotImplementedError(f"{problem}.")


def _calibration_now(conversion: Conversion, current: Mapping[str, Tensor]) -> Calibration:
    """Return the calibration with the thresholds that the neurons have now."""
    fitted = dict(conversion.calibration.fitted)
    for node, path in conversion.neurons.items():
        name = conversion.decided.sites[node].name
        threshold = current[f"{path}.v_threshold"].detach().cpu()
        fitted[name] = replace(fitted[name], v_threshold=threshold)
    return replace(conversion.calibration, fitted=fitted)


def _as_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
