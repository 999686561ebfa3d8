"""Loads exported programs (``torch.export.save``) without running code from the file.

``torch.export.load`` unpickles example inputs and constants without restriction and evaluates text
of the file, so everything that it would read is checked first, on the very bytes that it then gets.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.export import ExportedProgram

from snnconvert.errors import SourceError
from snnconvert.sources.archives import Archive, allowed_bytes, open_archive
from snnconvert.sources.budget import check_memory
from snnconvert.sources.names import keyword_problem
from snnconvert.sources.operators import LIBRARIES
from snnconvert.sources.pickles import check_tensors_only, load_tensors
from snnconvert.sources.program_tables import tensor_bytes
from snnconvert.sources.program_text import problems_of, table_problems
from snnconvert.sources.replay import check_run
from snnconvert.sources.trust import TRUST_MEANING, Trust
from snnconvert.torch_private import OpOverload, forget_guards, guards_of, pytree
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
        _check(open_archive(data, where), len(data), where, trust)
    with _reasons() as reasons:
        try:
            program = torch.export.load(io.BytesIO(data))
        except Exception as error:
            reason = next(iter(reasons), error)
            raise SourceError(
                f"{where}: cannot be loaded as an exported program "
                f"({type(reason).__name__}: {shown(reason, 300)})"
            ) from None
    # Text that module(check_guards=True) would execute; as text it can still be read.
    program.__dict__[CONDITIONS] = tuple(guards_of(program))
    forget_guards(program)
    _check_tensors(program, len(data), where)
    check_keywords(program.example_inputs, where)
    if not trust.any_pickle:
        check_run(program, where)
    return program


def _check_tensors(program: ExportedProgram, size: int, where: str) -> None:
    examples = pytree.tree_leaves(program.example_inputs)
    tensors = [*program.state_dict.values(), *program.constants.values(), *examples]
    check_memory((t for t in tensors if isinstance(t, torch.Tensor)), size, where)


@contextmanager
def _reasons() -> Iterator[list[BaseException]]:
    """What torch logs, with the file's own text in a traceback, and does not raise."""
    found: list[BaseException] = []

    def note(record: logging.LogRecord) -> bool:
        found.extend(filter(None, (record.exc_info or ())[1:2]))
        return record.exc_info is None

    log = logging.getLogger(torch.export.__name__)
    log.addFilter(note)
    try:
        yield found
    finally:
        log.removeFilter(note)


def check_keywords(examples: tuple[Any, Mapping[str, Any]] | None, where: str) -> None:
    """Refuses example inputs under names that no keyword may have."""
    kwargs = examples[1] if examples else {}
    if problem := keyword_problem(kwargs) if isinstance(kwargs, Mapping) else "no keywords":
        raise SourceError(f"{where}: its example inputs are refused: {problem}")


def _check(archive: Archive, size: int, where: str, trust: Trust) -> None:
    unknown = sorted(name for name in archive.names if not _RECORD.fullmatch(name))
    if unknown or _MODEL not in archive.names:
        raise SourceError(
            f"{where}: is not an exported program that can be checked "
            f"({'unknown members: ' + listed(unknown) if unknown else 'it holds no model'}); save "
            "it with the torch.export.save() of this PyTorch, one program without custom objects"
        )
    _check_records(archive, size, where, trust)
    _refuse(where, problems_of(parsed(archive, _MODEL, where), trust.allow), trust)


def _check_records(archive: Archive, size: int, where: str, trust: Trust) -> None:
    """Checks all that holds tensors, and is not read as JSON alone."""
    for config in (name for name in _CONFIGS if name in archive.names):
        _check_table(archive, config, size, where, trust)
    if archive.sizes.get(_SAMPLE_INPUTS):
        load_tensors(archive.read(_SAMPLE_INPUTS), f"{where}: {_SAMPLE_INPUTS}")


def unreadable(data: bytes, program: ExportedProgram) -> list[str]:
    """Why a program that was written as ``data`` could not be loaded, even with all its operator
    libraries allowed; one sentence each, empty where it could."""
    calls = (n.target for n in program.graph.nodes if isinstance(n.target, OpOverload))
    libraries = {call.namespace for call in calls} - LIBRARIES.keys()
    archive = open_archive(data, "the file")
    if problems := problems_of(parsed(archive, _MODEL, "the file"), tuple(libraries)):
        return problems
    try:
        _check_records(archive, len(data), "the file", Trust(offered=False))
        _check_tensors(program, len(data), "the file")
        check_run(program, "its program")
    except SourceError as error:
        what, *why = map(str.strip, str(error).splitlines())
        return [" ".join([what, *why[:1]])]  # what could be done on loading is no help here
    return []


def _refuse(where: str, problems: list[str], trust: Trust) -> None:
    if problems:
        raise SourceError(
            f"{where}: the exported program is refused:\n"
            + "\n".join(f"  {problem}" for problem in problems[:20])
            + "\nOperator libraries of a package are accepted with allow=('PACKAGE',) "
            + f"(--allow PACKAGE){f'; {TRUST_MEANING}' if trust.offered else ''}."
        )


def _check_table(archive: Archive, config: str, size: int, where: str, trust: Trust) -> None:
    """Checks a table of tensors, and every record that ``torch.export.load`` would read for it."""
    table = parsed(archive, config, where)
    _refuse(where, table_problems(table), trust)
    claimed = 0
    for name, payload in table["config"].items():
        record, path = payload["path_name"], f"{_CONFIGS[config]}{payload['path_name']}"
        if not _PAYLOAD.fullmatch(record):
            raise SourceError(f"{where}: {config} names the payload {shown(record)}")
        if payload["use_pickle"] and path in archive.names:
            check_tensors_only(archive.read(path), f"{where}: {path}")
        if payload["use_pickle"]:
            continue
        own, needed = tensor_bytes(payload["tensor_meta"])
        claimed += own
        if needed > archive.sizes.get(path, 0) or claimed > allowed_bytes(size):
            raise SourceError(
                f"{where}: the tensor {name} would take {max(own, needed)} bytes, its record has "
                f"{archive.sizes.get(path, 0)}: refused"
            )


def parsed(archive: Archive, name: str, where: str) -> Any:
    """The JSON of a record.

    Raises:
        SourceError: it is none, or is nested too deeply to be read.
    """
    try:
        return json.loads(archive.read(name).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where}: {name} is damaged ({shown(error)})") from None
