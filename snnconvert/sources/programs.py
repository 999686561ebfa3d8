"""Loads exported programs (``torch.export.save``) without running code from the file.

``torch.export.load`` unpickles example inputs and constants without restriction and evaluates text
of the file, so everything that it would read is checked first, on the very bytes that it then gets.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch.export import ExportedProgram

from snnconvert.errors import SourceError
from snnconvert.sources.archives import Archive, open_archive
from snnconvert.sources.modules import check_memory
from snnconvert.sources.pickles import check_tensors_only
from snnconvert.sources.program_text import problems_of
from snnconvert.sources.trust import TRUST_MEANING, Trust
from snnconvert.torch_private import forget_guards, guards_of
from snnconvert.wording import listed, shown

CONDITIONS = "size_conditions"
"""Attribute of a loaded program: what its export found out of sizes of inputs, as text."""
_MODEL = "models/model.json"
_SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_CONFIGS = {
    "data/weights/model_weights_config.json": "data/weights/",
    "data/constants/model_constants_config.json": "data/constants/",
}
_RECORD = re.compile(
    r"archive_format|archive_version|byteorder|\.data/[\w.]+|models/model\.json"
    r"|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt|extra/[^/]+",
    re.ASCII,
)
_PAYLOAD = re.compile(r"(weight|tensor)_\d+", re.ASCII)


def load_program(data: bytes, where: str, trust: Trust) -> ExportedProgram:
    """The program in ``data``, with what it holds checked unless ``trust`` says otherwise."""
    if not trust.any_pickle:
        _check(open_archive(data, where), where, trust)
    try:
        program = torch.export.load(io.BytesIO(data))
    except Exception as error:
        raise SourceError(
            f"{where}: cannot be loaded as an exported program "
            f"({type(error).__name__}: {shown(error, 300)})"
        ) from None
    # Text that module(check_guards=True) would execute; as text it can still be read.
    program.__dict__[CONDITIONS] = tuple(guards_of(program))
    forget_guards(program)
    tensors = [*program.state_dict.values(), *program.constants.values()]
    check_memory((t for t in tensors if isinstance(t, torch.Tensor)), len(data), where)
    return program


def _check(archive: Archive, where: str, trust: Trust) -> None:
    unknown = sorted(name for name in archive.names if not _RECORD.fullmatch(name))
    if unknown or _MODEL not in archive.names:
        raise SourceError(
            f"{where}: is not an exported program that can be checked "
            f"({'unknown members: ' + listed(unknown) if unknown else 'it holds no model'}); save "
            "it with the torch.export.save() of this PyTorch, one program without custom objects"
        )
    for name in _pickled(archive, where):
        check_tensors_only(archive.read(name), f"{where}: {name}")
    problems = problems_of(_parsed(archive, _MODEL, where), trust.allow)
    if problems:
        raise SourceError(
            f"{where}: the exported program is refused:\n"
            + "\n".join(f"  {problem}" for problem in problems[:20])
            + "\nOperator libraries of a package are accepted with allow=('PACKAGE',) "
            f"(--allow PACKAGE); {TRUST_MEANING}."
        )


def _pickled(archive: Archive, where: str) -> Iterator[str]:
    """The names of all records that ``torch.export.load`` would unpickle."""
    if _SAMPLE_INPUTS in archive.names and archive.read(_SAMPLE_INPUTS):
        yield _SAMPLE_INPUTS
    for config, folder in _CONFIGS.items():
        if config not in archive.names:
            continue
        for payload in _payloads(_parsed(archive, config, where), f"{where}: {config}"):
            name = payload.get("path_name")
            if not isinstance(name, str) or not _PAYLOAD.fullmatch(name):
                raise SourceError(f"{where}: {config} names the payload {shown(name)}")
            if payload.get("use_pickle") and folder + name in archive.names:
                yield folder + name


def _payloads(config: Any, where: str) -> list[dict[str, Any]]:
    entries = config.get("config") if isinstance(config, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise SourceError(f"{where}: is not a table of tensors")
    return list(entries.values())


def _parsed(archive: Archive, name: str, where: str) -> Any:
    try:
        return json.loads(archive.read(name).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where}: {name} is damaged ({shown(error)})") from None
