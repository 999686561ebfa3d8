"""Functions and modules of a user's own, as tests name them in rules."""

from __future__ import annotations

import torch
from torch import nn

from snnconvert.ops.activation import TDReLU

NOT_CALLABLE = 3


class Rectified(TDReLU):
    pass


def soft_exp(x):
    return torch.where(x < 0, x.exp() - 1, (1 + x.clamp_min(0)).log())


def root(x):
    return x.sqrt()


def centred(x):
    return x - x.mean()


def placed(x):
    return x * torch.arange(x.shape[-1]).to(x)


def summed(x):
    return x.cumsum(-1)


def flat(x):
    return x.flatten()


def narrow(x):
    return x.half().to(torch.float32)


def noisy(x):
    return x + torch.rand_like(x)


def writes(x):
    return x.mul_(2)


def nothing(x):
    return None


def no_number(x):
    return x * float("nan")


def raises(x):
    raise RuntimeError("not today")


def two(x, y):
    return x + y


class SoftExp(nn.Module):
    """What `soft_exp` says, in several operators and a parameter."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return torch.where(x < 0, x.exp() - self.one, (self.one + x.clamp_min(0)).log())


class Nested(nn.Module):
    """The same, with a module inside."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x):
        return torch.where(x < 0, x.exp() - 1, (1 + self.relu(x)).log())
