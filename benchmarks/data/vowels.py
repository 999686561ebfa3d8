"""Japanese Vowels: 270 training and 370 test sequences of nine speakers.

12 cepstral coefficients, 7 to 29 frames; they ship inside sktime 1.2.0. Source: Kudo, Toyama and
Shimbo, Multidimensional Curve Classification Using Passing-Through Regions, Pattern Recognition
Letters 20 (1999).
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.shipped import Shipped

SKTIME = Shipped("sktime==1.2.0", "sktime/datasets/data/JapaneseVowels")
FRAMES, FEATURES, SPEAKERS = 29, 12, 9

Split = tuple[Tensor, Tensor, Tensor]
"""Frames ``[N, 29, 12]``, zeros after the end; which frames there are, ``[N, 29]``; speakers."""


def japanese_vowels(split: str) -> Split:
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
