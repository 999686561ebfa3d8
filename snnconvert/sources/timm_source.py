"""Models of timm, with example inputs of the size that each was made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from snnconvert.errors import DependencyError, SourceError
from snnconvert.sources.source import Source
from snnconvert.wording import shown, suggestion

_BATCH = 2


def timm_model(
    name: str,
    *,
    pretrained: bool = False,
    checkpoint: str | Path | None = None,
    image_size: int | None = None,
    seed: int = 0,
) -> Source:
    """Creates a timm model in eval mode, and an example batch of two images.

    Args:
        name: as in ``timm.list_models()``, optionally with a tag (``resnet18.a1_in1k``).
        pretrained: download the weights that timm knows for this name.
        checkpoint: a file of weights (``.pth``, ``.safetensors``) to load instead.
        image_size: side of the input in pixels, for the models that allow a choice.
        seed: of the random weights and of the example images.

    Errors:
        ``DependencyError`` without timm; ``SourceError`` for an unknown name, an image size that
        the model does not take, or weights that cannot be loaded.
    """
    timm = _import_timm()
    _check_name(timm, name)
    options: dict[str, Any] = {"pretrained": pretrained}
    if checkpoint is not None:
        options["checkpoint_path"] = str(checkpoint)
    if image_size is not None:
        options["img_size"] = image_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = timm.create_model(name, **options).eval()
        except (RuntimeError, ValueError, TypeError, OSError, AssertionError) as error:
            raise SourceError(f"timm:{name}: timm cannot create this model: {error}") from error
        images = torch.randn(_BATCH, *input_size(timm, model, image_size))
    loaded = pretrained or checkpoint is not None
    return Source(
        name=f"timm:{name}", model=model, args=(images,), note="" if loaded else "random weights"
    )


def input_size(timm: Any, model: Any, image_size: int | None = None) -> tuple[int, int, int]:
    """Channels, height and width that the model's own configuration asks for."""
    channels, height, width = timm.data.resolve_model_data_config(model)["input_size"]
    if image_size is not None:
        height = width = image_size
    return channels, height, width


def _check_name(timm: Any, name: str) -> None:
    architecture = name.partition(".")[0]
    if timm.is_model(architecture):
        return
    close = suggestion(architecture, timm.list_models())
    raise SourceError(f"timm:{shown(name)}: timm has no model of this name{close}")


def _import_timm() -> Any:
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise DependencyError("timm", "timm", "a timm model") from error
    return timm
