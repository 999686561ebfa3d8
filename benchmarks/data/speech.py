"""Speech, spoken by espeak-ng where it is installed, in chunks as a voice detector hears it."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from benchmarks.data.sentences import SENTENCES

RATE, CHUNK, CONTEXT = 16000, 512, 64
"""Samples per second, new samples in a chunk of audio, and samples kept from the one before."""


def speech(seconds: float) -> tuple[Tensor, Tensor, str]:
    """Two streams ``[2, samples]`` at 16 kHz, whether a sentence is spoken, and what they are.

    Sentences with pauses of 1.5 s; the second stream is the first one in noise.
    """
    spoken, voice = _sentences()
    generator = torch.Generator().manual_seed(0)
    parts, truth, samples, i = [], [], 0, 0
    while samples < seconds * RATE:
        sentence = spoken[i % len(spoken)]
        pause = torch.zeros(RATE * 3 // 2)
        parts += [pause, 0.5 * sentence / sentence.abs().max()]
        truth += [torch.zeros(len(pause)), torch.ones(len(sentence))]
        samples, i = samples + len(pause) + len(sentence), i + 1
    audio = torch.cat(parts)[: int(seconds * RATE)]
    noise = torch.randn(2, len(audio), generator=generator)
    loudness = torch.tensor([[1e-4], [5e-3]])
    return audio + loudness * noise, torch.cat(truth)[: len(audio)], voice


def _sentences() -> tuple[list[Tensor], str]:
    if shutil.which("espeak-ng") is None:
        return [_hum(n) for n in range(len(SENTENCES))], "synthetic hums (no espeak-ng)"
    with TemporaryDirectory() as directory:
        file = Path(directory) / "speech.wav"
        spoken = []
        for sentence in SENTENCES:
            subprocess.run(["espeak-ng", "-z", "-w", str(file), sentence], check=True)
            spoken.append(_read_wave(file))
    return spoken, "espeak-ng speech"


def _read_wave(file: Path) -> Tensor:
    """Mono 16-bit audio, resampled to 16 kHz by cutting its spectrum."""
    with wave.open(str(file)) as opened:
        rate, raw = opened.getframerate(), opened.readframes(opened.getnframes())
    audio = torch.from_numpy(np.frombuffer(raw, np.int16).astype(np.float32) / 2**15)
    length = len(audio) * RATE // rate
    spectrum = torch.fft.rfft(audio)[: length // 2 + 1]
    return torch.fft.irfft(spectrum, n=length) * (length / len(audio))


def _hum(n: int) -> Tensor:
    """Two seconds of harmonics under syllables of 4 Hz, in place of a sentence."""
    t = torch.arange(2 * RATE) / RATE
    pitch = 110.0 + 15 * n
    harmonics = sum(torch.sin(2 * torch.pi * pitch * k * t) / k for k in range(1, 20))
    return harmonics * torch.sin(torch.pi * 4 * t).square()


def chunks(audio: Tensor) -> Tensor:
    """Chunks ``[N, streams, 576]`` of streams: 64 samples of the chunk before, 512 new ones."""
    padded = torch.nn.functional.pad(audio, (CONTEXT, 0))
    return padded.unfold(1, CONTEXT + CHUNK, CHUNK).transpose(0, 1)
