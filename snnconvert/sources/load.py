"""Turns what the user calls a model (``timm:NAME``, ``hf:...``, a path, ...) into a Source."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from snnconvert.errors import SourceError
from snnconvert.sources.exits import never_exits
from snnconvert.sources.files import Architecture, FileRequest, load_file
from snnconvert.sources.paths import expanded
from snnconvert.sources.source import Source
from snnconvert.sources.trust import Trust
from snnconvert.wording import shown, suggestion

_log = logging.getLogger(__name__)
Loader = Callable[[str, int], Source]  # of a name, with the seed of what is random
ArchitectureLoader = Callable[[str, int, int], Source]  # and, before it, bytes of the weights


def _timm(name: str, seed: int) -> Source:
    from snnconvert.sources.timm_source import timm_model

    return timm_model(name, seed=seed)


def _hf(reference: str, seed: int) -> Source:
    from snnconvert.sources.hf import hf_model

    return hf_model(reference, seed)


def _hf_architecture(reference: str, weights: int, seed: int) -> Source:
    from snnconvert.sources.hf import hf_architecture

    return hf_architecture(reference, weights, seed)


def _whole(load: Loader) -> ArchitectureLoader:
    """A loader for weights of any size: what the user names by itself says how large it is."""
    return lambda name, weights, seed: load(name, seed)


def _hf_tiny(model_type: str, seed: int) -> Source:
    from snnconvert.sources.hf_tiny import tiny_model

    return tiny_model(model_type, seed)


def _demo(name: str, seed: int) -> Source:
    from snnconvert.sources.demo import demo_model

    return demo_model(name)


def _python(reference: str, seed: int) -> Source:
    from snnconvert.sources.factory import factory_model

    return factory_model(reference, seed)


LOADERS: Mapping[str, Loader] = {
    "timm": _timm,
    "hf": _hf,
    "hf-tiny": _hf_tiny,
    "demo": _demo,
    "python": _python,
}
# For weights that come apart from their model: Hugging Face's are built from config.json alone.
ARCHITECTURES: Mapping[str, ArchitectureLoader] = {
    **{prefix: _whole(load) for prefix, load in LOADERS.items()},
    "hf": _hf_architecture,
}

_PREFIX = re.compile(r"([A-Za-z][\w-]+):(.*)", re.DOTALL)  # one letter would be a drive
ALLOWED = (
    "timm:NAME, hf:DIRECTORY_OR_ID, hf-tiny:TYPE, demo:NAME, python:package.module:factory, or "
    "the path of a file or directory"
)


@never_exits
def load_source(
    reference: str | os.PathLike[str],
    *,
    arch: str | None = None,
    allow: Sequence[str] = (),
    trust_pickle: bool = False,
    seed: int = 0,
) -> Source:
    """Loads the model that ``reference`` names, in eval mode, with example inputs.

    Arguments:
        reference: ``timm:NAME``, ``hf:DIRECTORY_OR_ID``, ``hf-tiny:TYPE``, ``demo:NAME``,
            ``python:package.module:factory`` (which runs that code), or a path to an exported
            program, a saved module, a state dict or a Hugging Face directory.
        arch: for a state dict, the model it belongs to, as a reference of one of these kinds.
        allow: packages whose ``nn.Module`` classes a pickled module may use; they are imported.
        trust_pickle: load a pickle without checking it, which lets the file run any code.
        seed: of random weights, and of example inputs that are drawn.

    Raises:
        SourceError: nothing is there, it cannot be read, or it asks for more than is trusted.
        DependencyError: an optional package is missing.
    """
    _log.debug("loading %s", reference)
    trust = Trust(_packages(allow), trust_pickle)
    architecture = None if arch is None else _architecture(arch, seed)
    path = expanded(reference)
    match = _PREFIX.fullmatch(os.fspath(reference))
    if match and match[1] in LOADERS and not match[2].strip():
        raise SourceError(f"{shown(reference)} needs a name after it; allowed are {ALLOWED}")
    if match and match[1] in LOADERS:
        if arch is not None:
            raise SourceError(
                f"{shown(reference)}: arch= (--arch) is for files that hold weights only"
            )
        return LOADERS[match[1]](match[2], seed)
    if path.is_dir():
        if arch is not None:
            raise SourceError(f"{path}: is a directory; with arch= (--arch) give the weights' file")
        return _hf(str(path), seed)
    if path.exists():
        return load_file(path, FileRequest(str(reference), architecture, trust, seed))
    if match:
        raise SourceError(
            f"{shown(reference)}: unknown kind of source {match[1]!r}"
            f"{suggestion(match[1], LOADERS, f'allowed are {ALLOWED}')}"
        )
    raise SourceError(f"{shown(reference)}: no such file{_nearby(path, f'allowed are {ALLOWED}')}")


def _packages(allow: Sequence[str]) -> tuple[str, ...]:
    if isinstance(allow, str):
        raise SourceError(f"allow: give a sequence of package names, not the text {allow!r}")
    return tuple(allow)


def _architecture(reference: str, seed: int) -> Architecture:
    match = _PREFIX.fullmatch(reference)
    if match is None or match[1] not in ARCHITECTURES:
        known = ", ".join(f"{prefix}:" for prefix in ARCHITECTURES)
        raise SourceError(
            f"arch {shown(reference)}: write a name with one of the prefixes {known} for example "
            "timm:resnet18"
        )
    loader, name = ARCHITECTURES[match[1]], match[2]
    return lambda weights: loader(name, weights, seed)


def _nearby(path: Path, then: str) -> str:
    """The names beside ``path`` that are close to it, and a hint where it looks like a model's."""
    try:
        names = [shown(entry.name) for entry in path.parent.iterdir()]
    except OSError:
        return f" (there is no directory {shown(path.parent)}); {then}"
    bare = not path.suffix and not path.parent.name
    hint = f"a timm model is timm:{shown(path.name)}; " if bare else ""
    return suggestion(path.name, names, hint + then)
