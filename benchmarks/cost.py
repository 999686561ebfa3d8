"""What a TD conversion costs: its run against the source on the same samples, and making it.

Usage: MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=8589934592 \\
    python -m benchmarks.cost [--rounds N] [--threads N] [--out benchmarks/COST.md]

The two variables keep glibc from handing memory back to the system between calls: whether it does
is chance, differs from process to process, and costs either side up to a fifth.

Every figure is a ratio of medians; the two sides run in turn, so that a machine whose speed
drifts slows both. Needs the extra `timm`; SpikingJelly's recipe is timed where it is installed.
"""

from __future__ import annotations

import copy
import importlib.util
import itertools
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.export import Dim

import snnconvert
from benchmarks.options import add_out, add_threads, parser, started
from benchmarks.tables import table
from benchmarks.timing import ratio

TIME_STEPS, BATCH = 8, 4


def run_ratio(name: str, rules: str, rounds: int, fold: bool = False) -> str:
    """Time `forward` of the conversion against the source on `T * B` samples."""
    model = timm.create_model(name).eval()
    size = model.pretrained_cfg["input_size"]
    chosen = snnconvert.load_rules(rules)
    chosen = replace(chosen, absorb_batch_norm=fold or chosen.absorb_batch_norm)
    x = torch.randn(BATCH, *size)
    calibration = None if rules == "default" else [(x,)]
    snn = snnconvert.convert(model, (x,), chosen, calibration=calibration, verify=False)
    # A run's time depends by a tenth on where its operands lie: each call has others.
    x_seqs = [torch.randn(TIME_STEPS, BATCH, *size) for _ in range(5)]
    ours, theirs = itertools.cycle(x_seqs), itertools.cycle(x_seqs)
    return ratio(lambda: snn(next(ours)), lambda: model(next(theirs).flatten(0, 1)), rounds)


def export_alone(model: nn.Module, x: Tensor) -> object:
    """What every conversion begins with."""
    return torch.export.export(model, (x,), dynamic_shapes=({0: Dim.AUTO},), strict=False)


def conversion_ratio(name: str, rounds: int) -> str:
    """Time `convert` without verification against `torch.export` alone."""
    model = timm.create_model(name).eval()
    x = torch.randn(2, *model.pretrained_cfg["input_size"])
    return ratio(
        lambda: snnconvert.convert(model, (x,), verify=False),
        lambda: export_alone(model, x),
        max(5, rounds // 2),
    )


class Block(nn.Module):
    """A pre-norm MLP block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.act = nn.LayerNorm(width), nn.GELU()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.down(self.act(self.up(self.norm(x))))
        return y


def peer_ratios(rounds: int) -> Iterator[tuple[str, str]]:
    """Time six MLP blocks, ours and SpikingJelly's TD recipe, which takes no mixer of timm."""
    model = nn.Sequential(*(Block(192) for _ in range(6))).eval()
    x_seq = torch.randn(TIME_STEPS, BATCH, 196, 192)
    samples = x_seq.flatten(0, 1)
    snn = snnconvert.convert(model, (x_seq[0],), verify=False)
    yield "run of 6 MLP blocks", ratio(lambda: snn(x_seq), lambda: model(samples), rounds)
    if importlib.util.find_spec("spikingjelly") is None:
        return
    from spikingjelly.activation_based import ann2snn, functional

    peer = ann2snn.Converter("transformer_td_equivalent").convert(copy.deepcopy(model))

    def run() -> None:
        functional.reset_net(peer)
        peer(x_seq)

    label = f"run of 6 MLP blocks, TD recipe of SpikingJelly {version('spikingjelly')}"
    yield label, ratio(run, lambda: model(samples), rounds)


def main() -> None:
    of = parser("benchmarks.cost", __doc__)
    of.add_argument("--rounds", type=int, default=15)
    add_threads(of, 2)
    add_out(of, Path(__file__).parent / "COST.md")
    options = started(of)
    torch.manual_seed(0)
    rows = []
    with torch.no_grad():
        for name, rules, bar, fold in (
            ("deit_tiny_patch16_224", "default", "1.05", False),
            ("resnet18", "default", "1.15", False),
            ("resnet18", "default", "1.00", True),
            ("mixer_s32_224", "default", "-", False),
            ("deit_tiny_patch16_224", "spiking", "-", False),
            ("resnet18", "spiking", "-", False),
        ):
            label = f"run of {name}" + (", BatchNorm folded" if fold else "")
            label += "" if rules == "default" else f", rules {rules}"
            rows.append((label, run_ratio(name, rules, options.rounds, fold), bar))
            print(rows[-1], flush=True)
        for name in ("deit_tiny_patch16_224", "resnet18"):
            label = f"conversion of {name} / torch.export"
            rows.append((label, conversion_ratio(name, options.rounds), "2.50"))
            print(rows[-1], flush=True)
        for label, measured in peer_ratios(options.rounds):
            rows.append((label, measured, "-"))
            print(rows[-1], flush=True)
    options.out.write_text(
        "# Cost\n\n"
        "Made by `MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=8589934592 "
        f"python -m benchmarks.cost --rounds {options.rounds} --threads "
        f"{options.threads}`: T={TIME_STEPS}, B={BATCH}, float32, torch {torch.__version__}, "
        f"timm {timm.__version__}. Ratio of medians (quartiles of the pairwise ratios).\n\n"
        + table(("", "ratio", "bar"), rows)
        + "\n"
    )


if __name__ == "__main__":
    main()
