"""Networks beside their conversions: times, and peaks of memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import timm
import torch
from torch import nn

import snnconvert
from benchmarks import models
from benchmarks.data.sentences import PARAGRAPHS
from benchmarks.models.language import encoded
from snnconvert import ConvertedModule
from snnconvert.rules import RuleSet, parse_rules
from snnconvert.speed.memory import peak_of
from snnconvert.speed.rounds import Call, Ratio, in_turn
from snnconvert.speed.samples import samples_of

Made = tuple[nn.Module, dict[str, Any]]
"""A network, and its inputs by name."""


def of_timm(name: str, batch: int) -> Made:
    """A network of timm with random weights, and normal input."""
    model = timm.create_model(name).eval()
    return model, {"x": torch.randn(batch, *model.pretrained_cfg["input_size"])}


def minilm(batch: int) -> Made:
    """MiniLM as it was trained, and paragraphs of 64 tokens."""
    tokenize = models.tokenizer(models.MINILM.path)
    return models.hugging_face(models.MINILM), encoded(tokenize, PARAGRAPHS[:batch])


NETWORKS: Mapping[str, Callable[[int], Made]] = {
    "deit_tiny": partial(of_timm, "deit_tiny_patch16_224"),
    "deit_small": partial(of_timm, "deit_small_patch16_224"),
    "resnet18": partial(of_timm, "resnet18"),
    "mixer_s32": partial(of_timm, "mixer_s32_224"),
    "minilm": minilm,
}


@dataclass(frozen=True)
class Run:
    """A conversion beside its source.

    Attributes:
        network: a key of `NETWORKS`.
        rules: a bundled rule file.
        time_steps, batch: ``T`` and ``B``.
        simulated: whether it is `simulate`, against one run of the source on ``B`` samples; else
            increments, against the source on the same ``T * B``.
        bursts: ``K``; None: as the rules say.
        absorbed: whether BatchNorm is absorbed, whatever the rules say.
        device: where both are.
    """

    network: str
    rules: str
    time_steps: int
    batch: int = 4
    simulated: bool = False
    bursts: int | None = None
    absorbed: bool = False
    device: str = "cpu"

    @property
    def name(self) -> str:
        """What a page calls it."""
        bursts = "" if self.bursts is None else f", K={self.bursts}"
        absorbed = ", BatchNorm absorbed" if self.absorbed else ""
        against = "one run" if self.simulated else "T * B"
        return (
            f"{self.network}, {self.rules}{absorbed}, T={self.time_steps}{bursts}, "
            f"B={self.batch}, against {against}"
        )

    def rule_set(self) -> RuleSet:
        """Return its rules."""
        told = [f"extends: {self.rules}", f"time_steps: {self.time_steps}"]
        told += ["absorb_batch_norm: true"] if self.absorbed else []
        told += [] if self.bursts is None else [f"neuron: {{bursts: {self.bursts}}}"]
        return parse_rules("\n".join(["version: 1", *told, "rules: []"]))

    def calls(self, *, source_at: int | None = None) -> tuple[Call, Call, ConvertedModule]:
        """Convert, and return a call of either side, and the conversion.

        Args:
            source_at: for how many time steps the source runs; None: one of `simulate`, else all.
        """
        model, inputs = NETWORKS[self.network](self.batch)
        model.to(self.device)
        inputs = {name: x.to(self.device) for name, x in inputs.items()}
        snn = snnconvert.convert(model, inputs, self.rule_set(), verify=False)
        samples = samples_of(snn.conversion.source, (), inputs)
        ours = samples.simulated(snn) if self.simulated else samples.increments(snn)
        steps = source_at or (1 if self.simulated else self.time_steps)
        return ours, samples.same(model, steps), snn


def time_of(run: Run, rounds: int) -> Ratio:
    """Return how long the conversion takes beside its source."""
    ours, theirs, _ = run.calls()
    return in_turn(ours, theirs, rounds, torch.device(run.device))


def peak_ratio(run: Run, rounds: int) -> Ratio:
    """Return the peak of memory over that of the source on the same ``T * B`` samples, which is
    the same on every run; in the place of seconds stand bytes."""
    device = torch.device(run.device)
    ours, theirs, _ = run.calls(source_at=run.time_steps)
    for call in (ours, theirs):
        call()
    own, whole = peak_of(ours, device), peak_of(theirs, device)
    return Ratio(own / whole, own / whole, own / whole, own, whole)


def synchronisations(run: Run, rounds: int) -> Ratio:
    """Return how often a run waits for the GPU: the number of warnings, in the place of a ratio."""
    ours, _, _ = run.calls()
    ours()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            ours()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    count = float(sum("synchroniz" in str(each.message) for each in seen))
    return Ratio(count, count, count, count, 0.0)
