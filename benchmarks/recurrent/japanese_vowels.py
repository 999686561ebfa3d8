"""A bidirectional LSTM that tells nine speakers apart, trained on Japanese Vowels.

The data (270 training and 370 test sequences of 12 cepstral coefficients, 7 to 29 frames) ships
inside sktime 1.2.0. Source: Kudo, Toyama and Shimbo, Multidimensional Curve Classification Using
Passing-Through Regions, Pattern Recognition Letters 20 (1999).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.checkpoints.shipped import Shipped

SKTIME = Shipped("sktime==1.2.0", "sktime/datasets/data/JapaneseVowels")
FRAMES, FEATURES, SPEAKERS = 29, 12, 9
BATCH = 30

Split = tuple[Tensor, Tensor, Tensor]
"""Frames ``[N, 29, 12]``, zeros after the end; which frames there are, ``[N, 29]``; speakers."""


class VowelClassifier(nn.Module):
    """Two bidirectional LSTM layers, the mean of their outputs over the frames, a linear map.

    ``frames [B, 29, 12]`` are padded with zeros, over which the LSTM runs too (so that the network
    can be traced); ``there [B, 29]`` says which count.
    """

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, hidden, 2, batch_first=True, dropout=0.3, bidirectional=True)
        self.head = nn.Linear(2 * hidden, SPEAKERS)

    def forward(self, frames: Tensor, there: Tensor) -> Tensor:
        outputs, _ = self.lstm(frames)
        weights = there.to(outputs.dtype).unsqueeze(-1)
        return self.head((outputs * weights).sum(1) / weights.sum(1))


def data(split: str) -> Split:
    """Read the split ``TRAIN`` or ``TEST``; coefficients are scaled by the training data's."""
    sequences, speakers = _read(split)
    training = torch.cat(_read("TRAIN")[0]) if split != "TRAIN" else torch.cat(sequences)
    mean, std = training.mean(0), training.std(0)
    frames = torch.zeros(len(sequences), FRAMES, FEATURES)
    there = torch.zeros(len(sequences), FRAMES, dtype=torch.bool)
    for i, sequence in enumerate(sequences):
        frames[i, : len(sequence)] = (sequence - mean) / std
        there[i, : len(sequence)] = True
    return frames, there, torch.tensor(speakers) - 1


def _read(split: str) -> tuple[list[Tensor], list[int]]:
    """Read a ``.ts`` file: one sequence a line, its coefficients and its class between colons."""
    text = (SKTIME.path / f"JapaneseVowels_{split}.ts").read_text(encoding="utf8")
    lines = text[text.lower().index("@data") :].splitlines()[1:]
    sequences, speakers = [], []
    for line in filter(None, map(str.strip, lines)):
        *coefficients, speaker = line.split(":")
        rows = [[float(value) for value in row.split(",")] for row in coefficients]
        sequences.append(torch.tensor(rows).T)
        speakers.append(int(speaker))
    return sequences, speakers


Logits: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Computes ``[B, 9]`` from frames and which there are."""


def train(
    model: nn.Module,
    logits: Logits,
    split: Split,
    epochs: int,
    rate: float,
    noise: float = 0.1,
    teacher: Logits | None = None,
) -> None:
    """Train a classifier, with noise on the frames.

    Args:
        model: whose parameters are trained.
        logits: what it computes.
        split: the training data.
        epochs: number of passes over it.
        rate: largest learning rate.
        noise: standard deviation of what is added to the frames.
        teacher: whose answers at temperature 2 are learnt as well (Hinton, Vinyals and Dean,
            arXiv 1503.02531); None: right answers alone are.
    """
    frames, there, speakers = split
    steps = epochs * -(-len(frames) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(frames)).split(BATCH):
            given = there[batch]
            x = frames[batch] + noise * torch.randn_like(frames[batch]) * given.unsqueeze(-1)
            answered = logits(x, given)
            loss = F.cross_entropy(answered, speakers[batch])
            if teacher is not None:
                loss = loss + _TAUGHT * _divergence(answered, teacher(x, given))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.eval()


_TAUGHT, _TEMPERATURE = 2.0, 2.0


def _divergence(answered: Tensor, taught: Tensor) -> Tensor:
    own = F.log_softmax(answered / _TEMPERATURE, -1)
    wanted = F.softmax(taught.detach() / _TEMPERATURE, -1)
    return F.kl_div(own, wanted, reduction="batchmean") * _TEMPERATURE**2


def trained(epochs: int = 60) -> VowelClassifier:
    """Return the classifier, trained from the same start every time (about half a minute)."""
    torch.manual_seed(0)
    model = VowelClassifier()
    train(model, model, data("TRAIN"), epochs, 5e-3)
    return model


@torch.no_grad()
def predictions(logits: Logits, split: Split) -> Tensor:
    """Return the speaker that a classifier tells of each sequence, ``[N]``."""
    frames, there, _ = split
    parts = zip(frames.split(74), there.split(74), strict=True)
    return torch.cat([logits(x, m).argmax(-1) for x, m in parts])
