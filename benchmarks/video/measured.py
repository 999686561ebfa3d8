"""The streams that are measured, and what was found, which is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

import snnconvert
from benchmarks import models
from benchmarks.data import images
from benchmarks.data.videos import CLIPS, GREY_LEVELS, Change, changes, send_on_delta
from benchmarks.kept import MEASURED, keep_facts, kept_facts
from benchmarks.models.efficientnet import transform_of
from snnconvert import ConvertedModule, StreamReport
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.costs.models import PRECISIONS
from snnconvert.rules import RuleSet, parse_rules

FRAMES = 65
RESTARTED = range(1, FRAMES, 8)
"""Frames that are measured from rest: what each costs hardly differs."""


@dataclass(frozen=True)
class Network:
    """A network of images.

    Attributes:
        described: its name, and the size of its input.
        model: the source.
        transform: makes an image of PIL's an input.
        grey_level: what a difference of one grey level is in an input.
    """

    described: str
    model: nn.Module
    transform: Callable[[Any], Tensor]
    grey_level: float

    @property
    def calibration(self) -> list[Tensor]:
        """Crops of photographs: thresholds see no video."""
        crops = images.crops(images.CALIBRATION_PHOTOGRAPHS, 12, self.transform)
        order = torch.randperm(len(crops), generator=torch.Generator().manual_seed(0))
        return list(crops[order].split(36))


def efficientnet_lite0() -> Network:
    """The shorter side is scaled to 256 pixels, and the middle of the frame is seen."""
    model = models.efficientnet_lite0()
    transform = transform_of(model)
    return Network("EfficientNet-Lite0, 224x224", model, transform, 2 / GREY_LEVELS)


def mtcnn_pnet() -> Network:
    """The largest scale of its pyramid on a frame of 144x176: faces of 20 pixels."""
    from PIL import ImageOps
    from torchvision.transforms.functional import pil_to_tensor

    def transform(image: Any) -> Tensor:
        return (pil_to_tensor(ImageOps.fit(image, (106, 87))).float() - 127.5) / 128

    return Network("MTCNN P-Net, 87x106", models.mtcnn_pnet(), transform, 1 / 128)


NETWORKS = {"efficientnet-lite0": efficientnet_lite0, "mtcnn-pnet": mtcnn_pnet}


@dataclass(frozen=True)
class Run:
    """A conversion on the frames of a video.

    Attributes:
        network: a key of `NETWORKS`.
        clip: a key of `CLIPS`.
        rules: a bundled rule file.
        neuron: what its neurons are told besides, as in a rule file.
        time_steps: ``T`` of each frame.
        delta: changes of a pixel below so many grey levels are held back; 0: none are.
    """

    network: str
    clip: str
    rules: str = "spiking"
    neuron: str = ""
    time_steps: int = 1
    delta: int = 0

    @property
    def name(self) -> str:
        """What the conversion is called."""
        return ", ".join(filter(None, [self.rules, self.neuron]))

    @property
    def is_plain(self) -> bool:
        """Whether each frame is one step, as it is."""
        return self.time_steps == 1 and not self.delta

    def rule_set(self) -> RuleSet:
        """Return its rules."""
        told = f"neuron: {{{self.neuron}}}\n" if self.neuron else ""
        return parse_rules(f"version: 1\nextends: {self.rules}\n{told}rules: []\n")


ON_SPIKES = ("", "bursts: 1", "levels: 10", "levels: 8")
"""What neurons are told besides `spiking`: one answer a step, or fewer of the small levels."""
RUNS = (
    *(Run(net, clip, neuron=neuron) for net in NETWORKS for neuron in ON_SPIKES for clip in CLIPS),
    *(Run("mtcnn-pnet", clip, "graded") for clip in CLIPS),
    Run("mtcnn-pnet", "carphone", "fully_spiking"),
    *(Run("mtcnn-pnet", "carphone", neuron=neuron, time_steps=2) for neuron in ON_SPIKES),
    *(
        Run("mtcnn-pnet", "carphone", neuron=neuron, delta=delta)
        for neuron in ("", "levels: 10")
        for delta in (4, 16)
    ),
)


@dataclass(frozen=True)
class Frame:
    """What one frame came to.

    Attributes:
        rel_error: of all outputs, against the source on this frame.
        top1: share of predictions that are the source's.
        spikes, bits: per value.
        additions: synaptic operations.
        energy: by cost model and precision, over that of the source.
    """

    rel_error: float
    top1: float
    spikes: float
    bits: float
    additions: float
    energy: dict[str, float]


@dataclass(frozen=True)
class Found:
    """What was found on a stream.

    Attributes:
        degree: how much of the network is on spikes.
        bursts: ``K``.
        values: number of neurons.
        macs: multiply-accumulates of the source on a frame.
        source: its energy on a frame, in microjoules, by cost model and precision.
        changes: of each frame but the first.
        frames: of a network that goes on; the first is from rest.
        restarted: of one that forgets, on some of the frames.
    """

    degree: str
    bursts: int
    values: int
    macs: float
    source: dict[str, float]
    changes: list[Change]
    frames: list[Frame]
    restarted: list[Frame]

    @property
    def bits_per_spike(self) -> float:
        """Payload of a spike."""
        return self.frames[0].bits / self.frames[0].spikes


@torch.no_grad()
def measured(run: Run) -> Found:
    """Measure a run and keep what was found."""
    network = _network(run.network)
    snn, degree = _converted(run.network, run.rule_set())
    frames = CLIPS[run.clip].frames(network.transform, FRAMES)
    sent = send_on_delta(frames, run.delta * network.grey_level) if run.delta else frames
    going = snnconvert.measure_stream(
        snn, sent[:, None], original=frames[:, None], time_steps=run.time_steps
    )
    alone = [
        snnconvert.measure_stream(snn, frames[t, None, None], time_steps=run.time_steps)
        for t in ([] if run.delta else RESTARTED)
    ]
    first = going.frames[0].work
    found = Found(
        degree=degree,
        bursts=going.bursts,
        values=going.values,
        macs=first.source_macs,
        source={
            f"{m.name} {p}": first.source_energy(m, p)
            for m in going.cost_models
            for p in PRECISIONS
        },
        changes=changes(sent, network.grey_level),
        frames=_frames(going),
        restarted=[frame for report in alone for frame in _frames(report)],
    )
    keep_facts(_file(run), _identity(run), asdict(found))
    return found


def _frames(report: StreamReport) -> list[Frame]:
    return [
        Frame(
            rel_error=frame.rel_error,
            top1=frame.top1 if frame.top1 is not None else 0.0,
            spikes=frame.spikes_per_value,
            bits=frame.bits_per_value,
            additions=frame.work.synaptic_operations,
            energy={
                f"{m.name} {p}": frame.work.energy(m, p) / frame.work.source_energy(m, p)
                for m in report.cost_models
                for p in PRECISIONS
            },
        )
        for frame in report.frames
    ]


@cache
def _network(name: str) -> Network:
    return NETWORKS[name]()


@cache
def _converted(name: str, rules: RuleSet) -> tuple[ConvertedModule, str]:
    """Return a conversion, and its degree."""
    network = _network(name)
    calibration = network.calibration
    example = calibration[0][:1]
    snn = snnconvert.convert(
        network.model, (example,), rules, calibration=calibration, verify=False
    )
    return snn, measure_spiking(snn, [example], twins=False).degree


def kept(run: Run) -> Found | None:
    """Return what was kept of this very run, with the rules as they are now."""
    found = kept_facts(_file(run), _identity(run))
    if found is None:
        return None
    for name, kind in (("changes", Change), ("frames", Frame), ("restarted", Frame)):
        found[name] = [kind(**each) for each in found[name]]
    return Found(**found)


def _file(run: Run) -> Any:
    name = f"{run.network}.{run.clip}.{run.name}.{run.time_steps}.{run.delta}"
    return MEASURED / "video" / f"{name.replace(' ', '_').replace(':', '')}.json"


def _identity(run: Run) -> dict[str, Any]:
    return {"run": asdict(run), "frames": FRAMES, "rules": run.rule_set().to_yaml()}
