"""Makers of example inputs (batch size 2), by the name that a Hugging Face model gives them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snnconvert.errors import SourceError
from snnconvert.sources.hf_tiny.shrink import FIRST_TEXT_ID, WIDTH

BATCH = 2
LENGTH = 8
FRAMES = 64
SAMPLES = 4000
_MOST_NUMBERS = 1 << 26
Maker = Callable[["Context"], Any]


class Context:
    """What the makers of inputs look at: the model, its configuration and a source of numbers."""

    def __init__(self, model: nn.Module, seed: int) -> None:
        self.model = model
        self.config: Any = model.config
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*_bounded(shape), generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*_bounded(shape), generator=self.generator)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, _bounded(shape), generator=self.generator)

    def find(self, *names: str, default: Any = None) -> Any:
        """The first of the fields that the configuration or one of its parts has."""
        for config in self.configs():
            for name in names:
                value = getattr(config, name, None)
                if value is not None:
                    return value
        return default

    def configs(self) -> list[Any]:
        found = [self.config]
        for config in found:
            found += [v for v in vars(config).values() if hasattr(v, "model_type")]
        return found


def _bounded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with the batch, where a configuration does not ask for a whole memory of it."""
    count = BATCH * math.prod(shape)
    if count > _MOST_NUMBERS:
        raise SourceError(
            f"its configuration asks for example inputs of {count} numbers, at most "
            f"{_MOST_NUMBERS} are made; give inputs of your own (--input)"
        )
    return (BATCH, *shape)


def ones(length: int) -> Tensor:
    return torch.ones(BATCH, length, dtype=torch.int64)


def token_ids(context: Context, length: int = LENGTH) -> Tensor:
    size = context.find("vocab_size", default=FIRST_TEXT_ID * 2)
    low = FIRST_TEXT_ID if size > FIRST_TEXT_ID else min(3, size - 1)
    return context.integers(low, size, length)


def pixels(context: Context) -> Tensor:
    """Images, or clips of images where the configuration counts frames."""
    channels = context.find("num_channels", "in_channels", "in_chans", default=3)
    frames = context.find("num_frames", "frames_per_clip")
    shape = (channels if isinstance(channels, int) else 3, *image_size(context))
    return context.normal(*((frames, *shape) if frames else shape))


def image_size(context: Context) -> tuple[int, int]:
    size = context.find("image_size", "img_size", "crop_size", "input_size", default=64)
    if isinstance(size, int):
        return size, size
    height, width = size[-2:]
    return height, width


def boxes(context: Context) -> Tensor:
    corner = context.integers(0, 8, LENGTH, 2)
    return torch.cat([corner, corner + context.integers(1, 8, LENGTH, 2)], dim=-1)


def waveform(context: Context) -> Tensor:
    """Raw audio; codecs take it with its channels."""
    channels = context.find("audio_channels")
    if channels or context.find("codebook_size", "upsampling_ratios", "downsampling_ratios"):
        return context.normal(channels or 1, SAMPLES)
    return context.normal(SAMPLES)


def features(context: Context) -> Tensor:
    """Mel features, ``[B, frames, bins]``, or ``[B, bins, frames]`` for Whisper's relatives."""
    bins = context.find(
        "feature_projection_input_dim",
        "input_feat_per_channel",
        "num_mel_bins",
        "feature_size",
        "input_dim",
        default=16,
    )
    positions = context.find("max_source_positions")
    if positions and context.find("num_mel_bins"):
        return context.normal(bins, 2 * positions)
    return context.normal(FRAMES, bins)


MAKERS: dict[str, Maker] = {
    "input_ids": token_ids,
    "attention_mask": lambda c: ones(LENGTH),
    "decoder_input_ids": token_ids,
    "pixel_values": pixels,
    "pixel_values_videos": pixels,
    "bbox": boxes,
    "input_values": waveform,
    "input_features": features,
    "hidden_states": lambda c: c.normal(LENGTH, WIDTH),
    "encoder_hidden_states": lambda c: c.normal(LENGTH, WIDTH),
    "inputs_embeds": lambda c: c.normal(LENGTH, WIDTH),
    "spectrogram": lambda c: c.normal(LENGTH, c.find("model_in_dim")),
    "visual_feats": lambda c: c.normal(4, c.config.visual_feat_dim),
    "visual_pos": lambda c: c.uniform(4, 4),
    "past_values": lambda c: c.normal(c.find("context_length", default=32)),
    "input_features_mask": lambda c: ones(FRAMES),
    "latents": lambda c: c.normal(WIDTH, LENGTH),
}
