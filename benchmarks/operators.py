"""How each operator alone does on spikes: its error against T, on calibrated and on shifted input.

Usage: python -m benchmarks.operators [--out benchmarks/OPERATORS.md]

Each operator is a network of its own, with rules `fully_spiking`: its thresholds and tables come
from 256 samples, its errors from 64 others. Takes some minutes on one core, and needs matplotlib.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconvert
from benchmarks.options import add_out, add_threads, parser, started
from benchmarks.tables import table, versions
from snnconvert.ops.targets import CLIPS, FUNCTIONS

TIME_STEPS = 6
SHAPE = (8, 16)
_aten = torch.ops.aten

Draw = Callable[[int, torch.Generator], Tensor]


def real(count: int, generator: torch.Generator) -> Tensor:
    """Normal numbers."""
    return torch.randn(count, *SHAPE, generator=generator)


def positive(count: int, generator: torch.Generator) -> Tensor:
    """Numbers over several orders of magnitude."""
    return real(count, generator).exp()


def fraction(count: int, generator: torch.Generator) -> Tensor:
    """Numbers between -1 and 1."""
    return real(count, generator).tanh() * 0.6


@dataclass(frozen=True)
class Operator:
    """An operator as a network.

    Attributes:
        of: what it computes of ``[B, 8, 16]``, or a layer.
        draw: its input.
        shift: what becomes of input that is not like that of calibration.
    """

    of: Callable[[Tensor], Any]
    draw: Draw = real
    shift: Callable[[Tensor], Tensor] = lambda x: 1.5 * x + 0.5


class _Of(nn.Module):
    def __init__(self, of: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.of = of

    def forward(self, x: Tensor) -> Tensor:
        y = self.of(x)
        return y if isinstance(y, Tensor) else y[0]


# Arguments of those functions that need some.
_GIVEN: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "clip": (-0.5, 1.0),
        "fmod": (0.7,),
        "logit": (0.01,),
        "pow": (1.7,),
        "remainder": (0.7,),
        "threshold": (0.5, 0.0),
    }
)
_NAMED = {"clip": "clamp", "fmod": "fmod", "remainder": "remainder", "pow": "pow"}
_POSITIVE = frozenset(
    "digamma lgamma log log10 log1p log2 pow reciprocal rsqrt special_entr special_log_ndtr "
    "sqrt".split()
)
_FRACTIONS = frozenset("acos asin atanh erfinv logit tan".split())


def _function(name: str) -> Operator:
    function = getattr(_aten, _NAMED.get(name, name))

    def of(x: Tensor) -> Any:
        x = x + 1 if name == "acosh" else (x + 1) / 2 if name == "logit" else x
        return function(x, *_GIVEN.get(name, ()))

    if name in _FRACTIONS:
        return Operator(of, fraction, lambda x: 1.4 * x)
    if name in _POSITIVE or name == "acosh":
        return Operator(of, positive, lambda x: 2 * x)
    return Operator(of)


def _attended(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x, x, x, is_causal=True)


def _linear_attention(x: Tensor) -> Tensor:
    q, k = F.elu(x) + 1, F.elu(x.flip(-1)) + 1
    summed = q @ (k.transpose(-2, -1) @ x)
    return summed / (q * k.sum(-2, keepdim=True)).sum(-1, keepdim=True)


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


def operators() -> dict[str, Operator]:
    """Return all operators by name: 1-D functions, then what is taken apart."""
    torch.manual_seed(0)
    found = {name: _function(name) for name in sorted({*FUNCTIONS, *CLIPS} - {"rrelu"})}
    taken_apart: dict[str, Callable[[Tensor], Any]] = {
        "layer_norm": nn.LayerNorm(16),
        "rms_norm": nn.RMSNorm(16),
        "group_norm": nn.GroupNorm(4, 8),
        "instance_norm": nn.InstanceNorm1d(8),
        "batch_norm": nn.BatchNorm1d(8),
        "normalize": lambda x: F.normalize(x, dim=-1),
        "norm": lambda x: x.norm(dim=-1),
        "cosine_similarity": lambda x: F.cosine_similarity(x, x.flip(1), dim=-1),
        "var": lambda x: x.var(-1),
        "std": lambda x: x.std(-1),
        "softmax": lambda x: x.softmax(-1),
        "log_softmax": lambda x: x.log_softmax(-1),
        "softmin": lambda x: F.softmin(x, -1),
        "logsumexp": lambda x: x.logsumexp(-1),
        "logcumsumexp": lambda x: x.logcumsumexp(-1),
        "scaled_dot_product_attention": _attended,
        "multihead_attention": _Attention(),
        "linear attention": _linear_attention,
        "glu": lambda x: F.glu(x, -1),
        "prelu": nn.PReLU(),
        "lstm": nn.LSTM(16, 16, batch_first=True),
        "gru": nn.GRU(16, 16, batch_first=True),
        "rnn": nn.RNN(16, 16, batch_first=True),
        "square": lambda x: x.square(),
        "cumsum": lambda x: x.cumsum(-1),
        "max_pool": lambda x: F.max_pool1d(x, 2),
        "amax": lambda x: x.amax(-1),
    }
    found |= {name: Operator(of) for name, of in taken_apart.items()}
    found |= {
        "div": Operator(lambda x: x / (x.flip(-1) + 0.1), positive, lambda x: 2 * x),
        "cumprod": Operator(lambda x: (x / 4 + 1).cumprod(-1)),
        "prod": Operator(lambda x: (x / 4 + 1).prod(-1)),
    }
    return found


@dataclass(frozen=True)
class Errors:
    """Relative errors ``|Y_t - y| / |y|`` of an operator.

    Attributes:
        degree: how much of it is on spikes.
        spikes: for each value of its neurons, at T=1 with K=3.
        bursts: at T=1 with K=3, on calibrated and on shifted input.
        steps, shifted: with K=1, by the end of each step, on either.
    """

    degree: str
    spikes: float
    bursts: tuple[float, float]
    steps: list[float]
    shifted: list[float]


@torch.no_grad()
def errors(operator: Operator) -> Errors:
    """Convert an operator and measure it."""
    model = _Of(operator.of).eval()
    generator = torch.Generator().manual_seed(1)
    calibration = operator.draw(256, generator)
    x = operator.draw(64, generator)
    shifted = operator.shift(x)

    def converted(bursts: int) -> snnconvert.ConvertedModule:
        text = f"version: 1\nextends: fully_spiking\nneuron: {{bursts: {bursts}}}\nrules: []\n"
        rules = snnconvert.rules.parse_rules(text)
        given = {"calibration": list(calibration.split(64)), "verify": False}
        return snnconvert.convert(model, (calibration[:2],), rules, **given)

    def off(snn: snnconvert.ConvertedModule, given: Tensor, steps: int) -> list[float]:
        y, wanted = snn.simulate(given, time_steps=steps), model(given)
        return [float((at - wanted).norm() / wanted.norm()) for at in y]

    several, one = converted(3), converted(1)
    report = snnconvert.verify(model, several, data=[(x,)]).spiking
    return Errors(
        report.degree if report else "exact",
        report.steps[-1].rate if report else 0.0,
        (off(several, x, 1)[0], off(several, shifted, 1)[0]),
        off(one, x, TIME_STEPS),
        off(one, shifted, TIME_STEPS),
    )


def plot(found: Mapping[str, Errors], path: Path) -> None:
    """Draw error against T, of calibrated and of shifted input, a line for each operator."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "operators"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 5), sharey=True)
    steps = range(1, TIME_STEPS + 1)
    drawn = {name: e for name, e in found.items() if name not in {*FUNCTIONS, *CLIPS}}
    for axis, title in zip(axes, ("input like that of calibration", "shifted input"), strict=True):
        for e in found.values():
            own = e.steps if axis is axes[0] else e.shifted
            axis.semilogy(steps, [max(y, 1e-8) for y in own], color="0.8", linewidth=0.7)
        for i, (name, e) in enumerate(drawn.items()):
            own = e.steps if axis is axes[0] else e.shifted
            style = {"color": f"C{i % 10}", "linestyle": ("-", "--", ":")[i // 10]}
            axis.semilogy(steps, [max(y, 1e-8) for y in own], label=name, **style)
        axis.set(title=title, xlabel="time steps (K=1)")
    axes[0].set(ylabel="relative error")
    axes[1].legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def page(found: Mapping[str, Errors]) -> str:
    """Return the page."""
    header = ("operator", "degree", "spikes per value", "T=1, K=3", *_steps(), "shifted: T=1, K=3")
    rows = [
        (
            f"`{name}`",
            e.degree,
            f"{e.spikes:.2f}",
            *(f"{y:.2g}" for y in (e.bursts[0], *e.steps, e.bursts[1], e.shifted[-1])),
        )
        for name, e in found.items()
    ]
    written = table((*header, f"shifted: T={TIME_STEPS}, K=1"), rows)
    return f"{_INTRODUCTION.format(versions=versions(['torch']))}\n{written}\n"


def _steps() -> list[str]:
    return [f"T={t}" for t in range(1, TIME_STEPS + 1)]


_INTRODUCTION = """\
# Operators alone, on spikes

Made by `python -m benchmarks.operators`; {versions}, one thread.

Each operator is a network of its own on normal input `[B, 8, 16]` (positive input where it needs
that), with rules `fully_spiking`: default neurons, tables within 1e-4,
thresholds and tables from 256 samples. Errors are `|Y_t - y| / |y|` on 64 others, and on the same
shifted: `1.5 x + 0.5`, or twice the positive ones. Columns `T=1` to `T=6` are with K=1, one answer
of a neuron in a step. What only adds up or compares has no neuron, and is exact. What is flat from
some step on is the error of the table (of a value, or of the range), or, on shifted input, of
drives beyond the range of calibration. One neuron alone needs fewer steps than a network whose
neurons wait for each other.

![error against time steps](OPERATORS.svg)
"""


def main() -> int:
    """Measure all operators and write the page and its plot."""
    of = parser("benchmarks.operators", __doc__)
    add_out(of, Path(__file__).with_name("OPERATORS.md"))
    add_threads(of, 1)
    options = started(of)
    found = {}
    for name, operator in operators().items():
        found[name] = errors(operator)
        own = found[name]
        print(f"{name}: {own.degree}, T=1 K=3 {own.bursts[0]:.2g}", flush=True)
    options.out.write_text(page(found))
    plot(found, options.out.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
