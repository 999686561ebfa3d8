"""Hugging Face models from a local directory, a GGUF file in it, or an id on the hub.

Code that comes with a checkpoint never runs (``trust_remote_code=False``), and configurations
that ask for kernels from the hub are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnconvert.errors import DependencyError, SourceError
from snnconvert.files import LARGEST_JSON, opened, read_whole
from snnconvert.sources.archives import allowed_bytes
from snnconvert.sources.examples import hf_inputs
from snnconvert.sources.formats import describe_directory
from snnconvert.sources.hf_config import config_problem, parameters_problem, shards_problem
from snnconvert.sources.modules import module_problem
from snnconvert.sources.paths import expanded
from snnconvert.sources.source import Source
from snnconvert.wording import listed, shown

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_CLASS = re.compile(r"[A-Z]\w*", re.ASCII)


def hf_model(reference: str, seed: int = 0) -> Source:
    """The model of ``hf:DIRECTORY_OR_ID`` with its weights in float32, and example inputs."""
    transformers = _transformers()
    place, gguf = _located(reference)
    config = _configuration(transformers, place, gguf, reference)
    chosen = _model_class(transformers, config, bool(gguf))
    try:
        _check_size(chosen, config, _weight_bytes(Path(place)), reference)
        with _quiet(transformers):
            model, loading = chosen.from_pretrained(
                place,
                config=config,
                dtype=torch.float32,
                trust_remote_code=False,
                output_loading_info=True,
                **gguf,
            )
    except SourceError:
        raise
    except ImportError as error:
        raise SourceError(f"hf:{reference}: needs another package: {shown(error, 300)}") from None
    except Exception as error:
        raise SourceError(
            f"hf:{reference}: the weights cannot be loaded "
            f"({type(error).__name__}: {shown(error, 300)})"
        ) from None
    return _source(reference, model, _missing_note(reference, model, loading), seed)


def hf_architecture(reference: str, weights: int, seed: int = 0) -> Source:
    """The model of ``hf:DIRECTORY_OR_ID``'s configuration, with random weights.

    Arguments:
        reference: the directory or id.
        weights: bytes of the weights that it is built for, in float32.
        seed: of the random weights.
    """
    transformers = _transformers()
    place, gguf = _located(reference)
    config = _configuration(transformers, place, gguf, reference)
    chosen = _model_class(transformers, config, bool(gguf))
    try:
        _check_size(chosen, config, weights, reference)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = _built(chosen, config)
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(
            f"hf:{reference}: its configuration cannot be built "
            f"({type(error).__name__}: {shown(error, 300)})"
        ) from None
    return _source(reference, model, "random weights", seed)


def _source(reference: str, model: nn.Module, note: str, seed: int) -> Source:
    if problem := module_problem(model):
        raise SourceError(f"hf:{reference}: {problem}")
    model = model.eval()
    try:
        inputs = hf_inputs(model, seed)
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(
            f"hf:{reference}: its configuration says of no example inputs that can be made "
            f"({type(error).__name__}: {shown(error, 300)})"
        ) from None
    return Source(f"hf:{reference}", model, (), inputs, note)


def _built(chosen: Any, config: Any) -> nn.Module:
    return getattr(chosen, "from_config", chosen)(config).float()


def _check_size(chosen: Any, config: Any, weights: int, reference: str) -> None:
    """Refuses a configuration that asks for much more memory than the weights take."""
    if weights == 0:  # of the hub: the library gets the weights
        return
    from transformers import initialization

    with initialization.meta_device_safe_creation_ops():
        problem = parameters_problem(lambda: _built(chosen, config), allowed_bytes(weights))
    if problem:
        raise SourceError(f"hf:{reference}: {problem}")


def _weight_bytes(place: Path) -> int:
    """Bytes that the weights in a directory may take in float32: half of it may be of 16 bits."""
    if not place.is_dir():
        return 0
    endings = (".safetensors", ".bin", ".pt", ".pth")
    found = sum(file.stat().st_size for file in place.iterdir() if file.name.endswith(endings))
    packed = sum(file.stat().st_size for file in place.iterdir() if file.name.endswith(".gguf"))
    return 2 * found + 16 * packed


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise DependencyError("transformers", "hf", "a Hugging Face model") from error
    return transformers


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bars and warnings of the library: what matters is said in the source's note."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _located(reference: str) -> tuple[str, dict[str, str]]:
    """Where to load from, and the ``gguf_file`` argument for a GGUF file."""
    path = expanded(reference)
    if path.is_file() and path.suffix.lower() == ".gguf":
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise SourceError(f"{reference}: {describe_directory(path)}")
        return str(path), {}
    if path.exists():
        raise SourceError(
            f"hf:{reference}: is a file; give the directory that holds config.json, a .gguf file, "
            "or the weights as FILE with arch='hf:DIRECTORY' (--arch)"
        )
    if not _HUB_ID.fullmatch(reference):
        raise SourceError(f"hf:{reference}: no such directory")
    return reference, {}


def _configuration(transformers: Any, place: str, gguf: Mapping[str, str], reference: str) -> Any:
    try:
        if not gguf:
            _check_texts(Path(place), reference)
            raw, _ = transformers.PreTrainedConfig.get_config_dict(place)
            if problem := config_problem(raw) or _shards_problem(Path(place)):
                raise SourceError(f"hf:{reference}: {problem}")
        return transformers.AutoConfig.from_pretrained(place, trust_remote_code=False, **gguf)
    except SourceError:
        raise
    except ImportError as error:
        raise SourceError(f"hf:{reference}: needs another package: {shown(error, 300)}") from None
    except Exception as error:
        raise SourceError(
            f"hf:{reference}: no usable configuration: neither a local directory with config.json "
            "nor a model of the hub that is cached or reachable, of a type that the installed "
            f"transformers knows ({type(error).__name__}: {shown(error, 300)})"
        ) from None


def _check_texts(place: Path, reference: str) -> None:
    """Refuses what a directory holds in the place of texts of JSON, before anyone parses them.

    Raises:
        SourceError: one is no regular file, or too large.
    """
    for path in (place / "config.json", place / "generation_config.json", *_lists_in(place)):
        try:
            if path.exists():
                opened(path, LARGEST_JSON).close()
        except OSError as error:
            raise SourceError(f"hf:{reference}: {path.name}: {error.strerror or error}") from None


def _lists_in(place: Path) -> list[Path]:
    """The lists of weights in a directory; of the hub, the library gets them."""
    return sorted(place.glob("*.index.json")) if place.is_dir() else []


def _shards_problem(place: Path) -> str:
    """Why the lists of weights in a directory are refused."""
    lists = (json.loads(read_whole(path, LARGEST_JSON)) for path in _lists_in(place))
    return next(filter(None, map(shards_problem, lists)), "")


def _model_class(transformers: Any, config: Any, is_gguf: bool) -> Any:
    """The class that the configuration names, if transformers has it; else its base model.

    GGUF names no class; it holds language models.
    """
    for name in getattr(config, "architectures", None) or ():
        found = getattr(transformers, name, None) if _CLASS.fullmatch(str(name)) else None
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
    return transformers.AutoModelForCausalLM if is_gguf else transformers.AutoModel


def _missing_note(reference: str, model: nn.Module, loading: Mapping[str, Any]) -> str:
    """Names the parameters that the checkpoint lacks and that are random therefore."""
    missing = sorted(loading.get("missing_keys", ()))
    if not missing:
        return ""
    if len(missing) >= len(list(model.parameters())):
        raise SourceError(
            f"hf:{reference}: none of the checkpoint's weights fit {type(model).__name__}"
        )
    return f"{len(missing)} weights are not in the checkpoint and random: {listed(missing)}"
