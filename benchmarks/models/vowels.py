"""A bidirectional LSTM that tells nine speakers apart, trained on Japanese Vowels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data.vowels import FEATURES, SPEAKERS, Split, japanese_vowels

BATCH = 30


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
    train(model, model, japanese_vowels("TRAIN"), epochs, 5e-3)
    return model


@torch.no_grad()
def predictions(logits: Logits, split: Split) -> Tensor:
    """Return the speaker that a classifier tells of each sequence, ``[N]``."""
    frames, there, _ = split
    parts = zip(frames.split(74), there.split(74), strict=True)
    return torch.cat([logits(x, m).argmax(-1) for x, m in parts])
