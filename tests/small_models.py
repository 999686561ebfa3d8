"""Tiny models behind ``python:`` references, and rule files, for tests that write them to files.

They are text, because worker processes have to import them from the working directory.
"""

from __future__ import annotations

SOURCE = '''
import os
import sys

import torch
from torch import nn


class Shifted(nn.Module):
    """``x + constant`` between two linear maps, which counts the constant T times if kept."""

    def __init__(self):
        super().__init__()
        self.first, self.act, self.head = nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)
        self.shift = nn.Parameter(torch.linspace(1, 2, 4))

    def forward(self, x):
        return self.head(self.act(self.first(x)) + self.shift)


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(100, 4), nn.Linear(4, 2)

    def forward(self, ids, scale=1.0):
        weight = (ids > 3).to(torch.float32)[..., None]
        return self.head(self.embed(ids) * weight) * scale


class Odd(nn.Module):
    """An operator of each sort: maps, what is taken apart, a function, a scale, one in floats."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, x):
        h = nn.functional.gelu(self.norm(self.first(x))) * 2
        return h.exp() + torch.linalg.det(h.reshape(-1, 2, 2))[:, None]


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Flat(nn.Module):
    def forward(self, x):
        return x * 0


def made(kind, *shape):
    torch.manual_seed(0)
    return kind().eval(), (torch.randn(2, *shape),)


def shifted():
    return made(Shifted, 3)


def odd():
    return made(Odd, 4)


def embedded():
    torch.manual_seed(0)
    return Embedded().eval(), (torch.arange(10).reshape(2, 5),), {"scale": 2.0}


def branching():
    return made(Branching, 3)


def flat():
    return made(Flat, 3)


def bare():
    return Shifted().eval()


def broken():
    raise KeyError("what is this")


class Leaving(nn.Module):
    def forward(self, x):
        sys.exit(0)


class LeavingLater(nn.Module):
    """Leaves when the verification runs it, with numbers in place of the trace's."""

    def forward(self, x):
        if not isinstance(x, torch._subclasses.FakeTensor) and x.dtype == torch.float64:
            sys.exit(0)
        return x.relu()


def leaving():
    sys.exit(0)


def leaving_when_run():
    return made(Leaving, 3)


def leaving_when_verified():
    return made(LeavingLater, 3)


def dying():
    os.write(2, b"no more memory\\n")
    os._exit(7)
'''

RULES = {
    "keep-adds.yaml": """\
version: 1
extends: default
rules:
  - name: keep additions
    match: {op: add}
    action: keep
""",
    "unused.yaml": """\
version: 1
extends: default
rules:
  - name: convolutions
    match: {op: conv}
    action: td
""",
    "bad.yaml": """\
version: 1
rules:
  - name: one
    match: {op: linaer}
    action: td
    colour: red
""",
}
