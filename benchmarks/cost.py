"""What a TD conversion costs: its run against the source on the same samples, and making it.

Usage: MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=8589934592 \\
    python -m benchmarks.cost [--rounds N] [--threads N] [--out benchmarks/COST.md]

The two variables keep glibc from handing memory back to the system between calls: whether it does
is chance, differs from process to process, and costs either side up to a fifth.

Every figure is a ratio of medians; the two sides run in turn, so that a machine whose speed
drifts slows both. Needs the extras `timm` and `hf`; SpikingJelly's recipe
is timed where it is installed.
"""

from __future__ import annotations

import copy
import importlib.util
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import timm
import torch
import transformers
from torch import Tensor, nn
from torch.export import Dim

import snnconvert
from benchmarks.options import add_out, add_threads, parser, started
from benchmarks.tables import table
from benchmarks.timing import ratio

TIME_STEPS, BATCH = 8, 4
_LLAMA = "a Llama of 30 layers"


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


def export_alone(model: nn.Module, example: Mapping[str, Tensor]) -> object:
    """What every conversion begins with."""
    open_batch = {name: {0: Dim.AUTO} for name in example}
    return torch.export.export(model, (), example, dynamic_shapes=open_batch, strict=False)


def conversion_ratio(model: nn.Module, example: dict[str, Tensor], rules: str, rounds: int) -> str:
    """Time `convert` without verification against `torch.export` alone."""
    calibration = None if rules == "default" else [example]
    return ratio(
        lambda: snnconvert.convert(model, example, rules, calibration=calibration, verify=False),
        lambda: export_alone(model, example),
        max(5, rounds // 2),
    )


def network(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a network to be converted, and an example."""
    if name != _LLAMA:
        model = timm.create_model(name).eval()
        return model, {"x": torch.randn(2, *model.pretrained_cfg["input_size"])}
    config = transformers.LlamaConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=30,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_cache=False,
    )
    ids = torch.randint(0, 256, (2, 12))
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return transformers.LlamaForCausalLM(config).eval(), example


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
        for name, rules, bar in (
            ("deit_tiny_patch16_224", "default", "2.50"),
            ("resnet18", "default", "2.50"),
            (_LLAMA, "default", "1.60"),
            (_LLAMA, "spiking", "2.20"),
        ):
            label = f"conversion of {name} / torch.export"
            label += "" if rules == "default" else f", rules {rules}"
            rows.append((label, conversion_ratio(*network(name), rules, options.rounds), bar))
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
