"""Silero's voice activity detector streamed over speech, its state carried from chunk to chunk."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks import models
from benchmarks.data import speech
from benchmarks.models.silero import SPEECH, Call, streamed


@dataclass(frozen=True)
class Streamed:
    """What a conversion answered along a stream, against the source.

    Attributes:
        described: what was streamed.
        chunks: number of probabilities.
        mean_difference, max_difference: of the probability of speech.
        identical: number of chunks on whose speech both agree.
    """

    described: str
    chunks: int
    mean_difference: float
    max_difference: float
    identical: int


def stream(seconds: int, skipped: int = 0) -> tuple[Tensor, str]:
    """Return the chunks ``[N, 2, 576]`` of two streams of speech, and what they are."""
    audio, _, voice = speech.speech(skipped + seconds)
    return speech.chunks(audio[:, skipped * speech.RATE :]), voice


def calibration(seconds: int, skipped: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return batches of chunks with the states that the source had before them."""
    model, _ = models.silero_vad()
    chunks, _ = stream(seconds, skipped)
    with torch.no_grad():
        _, hs, cs = streamed(model, chunks)
    rest = torch.zeros_like(hs[:1])
    before = (torch.cat([rest, states[:-1]]) for states in (hs, cs))
    rows = [x.flatten(0, 1) for x in (chunks, *before)]
    order = torch.randperm(len(rows[0]), generator=torch.Generator().manual_seed(0))
    return [(rows[0][i], rows[1][i], rows[2][i]) for i in order.split(128)]


@torch.no_grad()
def compare(call: Call, seconds: int) -> Streamed:
    """Stream speech through a conversion and the source."""
    model, _ = models.silero_vad()
    chunks, voice = stream(seconds)
    (expected, _, _), (actual, _, _) = streamed(model, chunks), streamed(call, chunks)
    away = (actual - expected).abs()
    spoken, wanted = actual > SPEECH, expected > SPEECH
    return Streamed(
        f"2 streams of {seconds} s of {voice}, with pauses; the second in noise",
        expected.numel(),
        float(away.mean()),
        float(away.max()),
        int((spoken == wanted).sum()),
    )
