"""Loads a model file, whatever its kind: its content says which loader reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file as load_safetensors
from torch import nn

from snnconvert.errors import SourceError
from snnconvert.sources.budget import check_memory
from snnconvert.sources.examples import example_inputs
from snnconvert.sources.formats import (
    EXPORTED_PROGRAM,
    GGUF,
    SAFETENSORS,
    TORCH_SAVE,
    Content,
    read_content,
    recognise,
)
from snnconvert.sources.modules import checked_module
from snnconvert.sources.names import PATH, first_problem
from snnconvert.sources.pickles import load_pickle
from snnconvert.sources.programs import load_program
from snnconvert.sources.source import Source
from snnconvert.sources.state_dicts import load_state, unwrap
from snnconvert.sources.trust import Trust
from snnconvert.wording import shown

Architecture = Callable[[int], Source]
"""Builds a model for weights of so many bytes in float32."""


@dataclass(frozen=True)
class FileRequest:
    """A file to load, under the name that the user gave it.

    Arguments:
        name: how the user referred to it.
        architecture: builds the model that a state dict belongs to, where one was named.
        trust: what the user trusts.
        seed: of example inputs that are drawn.
    """

    name: str
    architecture: Architecture | None
    trust: Trust
    seed: int = 0


def load_file(path: Path, request: FileRequest) -> Source:
    """Loads an exported program, a saved module, or a state dict into its architecture."""
    content = read_content(path)
    return _LOADERS[recognise(content)](content, request)


def _from_program(content: Content, request: FileRequest) -> Source:
    _refuse_architecture(request, EXPORTED_PROGRAM)
    program = load_program(content.data, request.name, request.trust)
    args, kwargs = program.example_inputs or ((), {})
    return Source(request.name, program, tuple(args), dict(kwargs))


def _from_torch_save(content: Content, request: FileRequest) -> Source:
    loaded = load_pickle(content.data, request.name, request.trust)
    found, notes = unwrap(loaded, request.name)
    if isinstance(found, nn.Module):
        _refuse_architecture(request, "a whole model")
        model, mode = checked_module(found, len(content.data), request.name)
        args, kwargs, lacking = example_inputs(model, request.seed)
        note = "; ".join(filter(None, [*notes, mode, lacking]))
        return Source(request.name, model, args, kwargs, note)
    check_memory(found.values(), len(content.data), request.name)
    return _into_architecture(found, notes, request)


def _from_safetensors(content: Content, request: FileRequest) -> Source:
    try:
        state = load_safetensors(content.path)
    except (SafetensorError, OSError, ValueError) as error:
        raise SourceError(
            f"{request.name}: truncated or damaged safetensors file ({shown(error)})"
        ) from None
    return _into_architecture(state, (), request)


def _from_gguf(content: Content, request: FileRequest) -> Source:
    from snnconvert.sources.hf import hf_model

    _refuse_architecture(request, GGUF)
    return replace(hf_model(str(content.path), request.seed), name=request.name)


def _refuse_architecture(request: FileRequest, what: str) -> None:
    """Say that a file needs no architecture, rather than leave unsaid that it was not used."""
    if request.architecture is not None:
        raise SourceError(
            f"{shown(request.name)}: is {what}, which has its own architecture; arch= (--arch) is "
            "for files that hold weights only: leave it out"
        )


def _into_architecture(
    state: Mapping[str, Any], notes: tuple[str, ...], request: FileRequest
) -> Source:
    if request.architecture is None:
        raise SourceError(
            f"{request.name}: holds weights only ({len(state)} tensors, for example "
            f"{shown(next(iter(state), 'none'))}); name the architecture that they belong to with "
            "arch= (--arch): timm:NAME, hf:DIRECTORY or python:package.module:factory"
        )
    if problem := first_problem(PATH, state):
        raise SourceError(f"{request.name}: {problem}")
    source = request.architecture(sum(4 * tensor.numel() for tensor in state.values()))
    if not isinstance(source.model, nn.Module):
        raise SourceError(f"{source.name}: an architecture must be an nn.Module")
    notes += load_state(source.model, state, request.name)
    note = "; ".join([f"weights of {request.name} in {source.name}", *notes])
    return replace(source, name=request.name, note=note)


_LOADERS: Mapping[str, Callable[[Content, FileRequest], Source]] = {
    EXPORTED_PROGRAM: _from_program,
    TORCH_SAVE: _from_torch_save,
    SAFETENSORS: _from_safetensors,
    GGUF: _from_gguf,
}
