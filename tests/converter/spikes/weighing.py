"""Networks in which constants that are no powers of two weigh an input as it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

AT = torch.tensor([0, 3, 3])


class Weighing(nn.Module):
    """A function of a linear map ``m``, the input ``x`` of 5 by 6, and weights of the features."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.map, self.function = nn.Linear(6, 6), function
        self.norm = nn.BatchNorm1d(5)
        nn.init.uniform_(self.norm.running_var, 0.5, 2.0)
        self.register_buffer("weights", torch.linspace(0.3, 1.7, 6))

    def forward(self, x):
        return self.function(self, self.map, x)


def norm_by_hand(n, m, x):
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).pow(2).mean(-1, keepdim=True)
    return m((x - mean) / torch.sqrt(variance + 1e-5))


def at_corners(n, m, x):
    grid = torch.linspace(-1, 1, 60).to(x).view(1, 5, 6, 2).expand(len(x), 5, 6, 2)
    return m(x) + F.grid_sample(x[:, None], grid, align_corners=True)[:, 0]


def turned(n, m, x):
    pairs = torch.view_as_complex(x.unflatten(-1, (3, 2)).contiguous())
    return m(torch.view_as_real(pairs * (0.3 + 0.4j)).flatten(-2))


def resized(size, mode, **options):
    def function(n, m, x):
        planes = x[:, None] if len(size) == 2 else x[:, None, None] if len(size) == 3 else x
        made = F.interpolate(planes, size, mode=mode, **options).reshape(len(x), -1)
        return m(x).flatten(1) + made[:, :30]

    return function


def shared(x, reduce, source):
    index = AT[None, :, None].expand(len(x), 3, 6)
    return torch.zeros_like(x).scatter_reduce(1, index, source, reduce)


WEIGHED = {
    "less its mean": lambda n, m, x: m(x - x.mean(-1, keepdim=True)),
    "a share beside it": lambda n, m, x: m(x + 0.3 * x.flip(-1)),
    "a norm by hand": norm_by_hand,
    "a share behind a map": lambda n, m, x: m(x) + 0.3 * x,
    "a share before a map": lambda n, m, x: 0.3 * x + m(x),
    "a factor of the whole": lambda n, m, x: (x + m(x)) * 0.3,
    "a share as it is added": lambda n, m, x: torch.add(m(x), x, alpha=0.3),
    "a share as it is taken away": lambda n, m, x: torch.rsub(x, m(x), alpha=0.3),
    "less a third": lambda n, m, x: x - x / 3,
    "weights of features": lambda n, m, x: m(x) + x * n.weights,
    "an outer product": lambda n, m, x: m(x) + torch.outer(x[:, 0, 0], n.weights)[:, None],
    "a pool of planes": lambda n, m, x: m(x) + F.avg_pool2d(x[:, None], 3, 1, 1)[:, 0],
    "a pool of rows": lambda n, m, x: m(x) + F.avg_pool1d(x, 3, 1, 1),
    "a pool of all": lambda n, m, x: m(x) + F.adaptive_avg_pool2d(x[:, None], 1)[:, 0],
    "a pool of thirds": lambda n, m, x: m(x)[..., :3] + F.adaptive_avg_pool1d(x, 3),
    "linear": resized((12,), "linear"),
    "bilinear": resized((10, 12), "bilinear"),
    "bicubic": resized((10, 12), "bicubic"),
    "bilinear without aliases": resized((6, 5), "bilinear", antialias=True),
    "bicubic without aliases": resized((6, 5), "bicubic", antialias=True),
    "trilinear": resized((2, 10, 12), "trilinear"),
    "samples at places": at_corners,
    "between two": lambda n, m, x: m(x) + torch.lerp(x, x.flip(1), 0.3),
    "between two by features": lambda n, m, x: m(x) + torch.lerp(x, x.flip(1), n.weights),
    "a product by weights that is added": lambda n, m, x: m(torch.addcmul(x, x.flip(1), n.weights)),
    "a quotient that is added": lambda n, m, x: m(torch.addcdiv(x, x, n.weights, value=0.3)),
    "a summand of a map": lambda n, m, x: torch.addmm(x[:, 0], m(x)[:, 1], m.weight, beta=0.3),
    "sums of a share": lambda n, m, x: (0.3 * x).cumsum(1) + x,
    "sums of features that are weighed": lambda n, m, x: m((n.weights * x).cumsum(-1)),
    "a norm beside it": lambda n, m, x: m(n.norm(x) + x),
    "a norm alone": lambda n, m, x: n.norm(x),
    "side by side": lambda n, m, x: torch.cat([0.3 * x, x], 1).relu(),
    "a choice by a share": lambda n, m, x: torch.where(x > 0.3 * x.flip(1), x, 0.0),
    "a choice by the mean": lambda n, m, x: m(x) + (x > x.mean(-1, keepdim=True)).to(x.dtype),
    "a share of a mask": lambda n, m, x: m(x) + 0.3 * (x > 0),
    "the larger": lambda n, m, x: torch.maximum(x, 0.3 * x),
    "a mean at places": lambda n, m, x: m(x) + shared(x, "mean", x),
    "a mean of rows": lambda n, m, x: (
        m(x) + torch.zeros_like(x).index_reduce(1, AT, x[:, :3], "mean")
    ),
    "a share at places": lambda n, m, x: m(x) + x.index_add(1, AT, x[:, :3], alpha=0.3),
    "the largest of a share": lambda n, m, x: m(x) + (0.3 * x).cummax(1).values,
    "an area": lambda n, m, x: m(x) + torch.trapezoid(x, dx=0.3, dim=1)[:, None],
    "an area of widths": lambda n, m, x: m(x) + torch.trapezoid(x, n.weights, dim=-1)[..., None],
    "a slope": lambda n, m, x: m(x) + torch.gradient(x, spacing=0.3, dim=1)[0],
    "angles": lambda n, m, x: m(x) + torch.deg2rad(x),
    "a grid that is turned": lambda n, m, x: (
        m(x) + F.affine_grid(x[:, :2, :3], [len(x), 1, 5, 6], align_corners=True)[..., 0]
    ),
    "turned pairs": turned,
    "two shares": lambda n, m, x: 0.3 * x + 0.7 * x.flip(1),
    "a share of a share": lambda n, m, x: 3 * (0.3 * x),
    "a mean of a share": lambda n, m, x: (0.3 * x).mean(-1, keepdim=True) + x,
    "a deviation": lambda n, m, x: m(x - x.std(-1, keepdim=True)),
}
"""Without a neuron on it, or behind what weighs it, something is left in floats."""

TAKEN_UP = {
    "a factor before a map": lambda n, m, x: m((x + m(x)) * 0.3),
    "features before a map": lambda n, m, x: m(x * n.weights - 1),
    "a mean before a map": lambda n, m, x: m(x.mean(1)),
    "a pool before a map": lambda n, m, x: m(F.avg_pool2d(x[:, None], 3, 1, 1)[:, 0]),
    "a norm before a map": lambda n, m, x: m(n.norm(x)),
    "sums before a map": lambda n, m, x: m((0.3 * x).cumsum(1)),
    "a function": lambda n, m, x: F.gelu(0.3 * x),
    "a maximum before a map": lambda n, m, x: m((0.3 * x).amax(1)),
    "moves before a map": lambda n, m, x: m((n.weights * x)[:, None].expand(-1, 2, -1, -1)),
    "a layer norm": lambda n, m, x: m(F.layer_norm(x, (6,))),
    "a mean of four": lambda n, m, x: m(x)[:, 0] + x[:, :4].mean(1),
    "a mean in a form": lambda n, m, x: m(x.mean(-1, keepdim=True).expand_as(x)),
    "a quarter": lambda n, m, x: torch.add(m(x) + x / 4, x, alpha=-0.5),
    "a slope of one": lambda n, m, x: m(x) + torch.gradient(x, dim=1)[0],
    "a sum": lambda n, m, x: m(x) + x.sum(1, keepdim=True) - x.flip(1),
    "what is hidden": lambda n, m, x: torch.add(m(x) * 0.3, m(x).mean(1, keepdim=True), alpha=0.7),
    "a mask of an input": lambda n, m, x: m(x) * (x > 0),
}
"""Nothing is in floats with the neurons that maps and functions have anyway."""
