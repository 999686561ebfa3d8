"""Silero's voice activity detector streamed over speech, its state carried from chunk to chunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import snnconvert
from benchmarks.checkpoints import data, models

Call = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""A chunk and the state in; the probability of speech and the new state out."""
SPEECH = 0.5


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
    audio, _, voice = data.speech(skipped + seconds)
    return data.chunks(audio[:, skipped * data.RATE :]), voice


def answers(call: Call, chunks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the probability, and the state after each chunk, with the state carried along."""
    h, c = torch.zeros(2, chunks.shape[1], 128)
    found = []
    for x in chunks:
        probability, h, c = call(x, h, c)
        found.append((probability, h, c))
    p, hs, cs = map(torch.stack, zip(*found, strict=True))
    return p, hs, cs


def calibration(seconds: int, skipped: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return batches of chunks with the states that the source had before them."""
    model, _ = models.silero_vad()
    chunks, _ = stream(seconds, skipped)
    with torch.no_grad():
        _, hs, cs = answers(model, chunks)
    rest = torch.zeros_like(hs[:1])
    before = (torch.cat([rest, states[:-1]]) for states in (hs, cs))
    rows = [x.flatten(0, 1) for x in (chunks, *before)]
    order = torch.randperm(len(rows[0]), generator=torch.Generator().manual_seed(0))
    return [(rows[0][i], rows[1][i], rows[2][i]) for i in order.split(128)]


def at_last_step(snn: snnconvert.ConvertedModule, time_steps: int) -> Call:
    """Return a call whose answer is the conversion's after all its time steps on a chunk."""

    def call(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        probability, h_seq, c_seq = snn.simulate(x, h, c, time_steps=time_steps)
        return probability[-1], h_seq[-1], c_seq[-1]

    return call


@torch.no_grad()
def compare(call: Call, seconds: int) -> Streamed:
    """Stream speech through a conversion and the source."""
    model, _ = models.silero_vad()
    chunks, voice = stream(seconds)
    (expected, _, _), (actual, _, _) = answers(model, chunks), answers(call, chunks)
    away = (actual - expected).abs()
    spoken, wanted = actual > SPEECH, expected > SPEECH
    return Streamed(
        f"2 streams of {seconds} s of {voice}, with pauses; the second in noise",
        expected.numel(),
        float(away.mean()),
        float(away.max()),
        int((spoken == wanted).sum()),
    )
