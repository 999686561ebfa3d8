"""How a report was made: enough to make it again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.calibration.file import dump_calibration
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.version import __version__


@dataclass(frozen=True)
class Made:
    """How a report was made.

    Attributes:
        model: class of the source; empty where its trace does not say it.
        versions: of what computed it, by name.
        seed: of the random increments.
        rules: the resolved rules, as the lines of a rule file.
        calibration: SHA-256 of the neurons that calibration chose, as `save_calibration` writes
            them; empty where there are none.
        command: the command line; empty from Python.
    """

    model: str
    versions: Mapping[str, str] = field(hash=False)
    seed: int
    rules: tuple[str, ...]
    calibration: str
    command: str = ""


def made_of(conversion: Conversion, seed: int) -> Made:
    """Return how a report on a conversion is made, here and now.

    Args:
        conversion: what is reported on.
        seed: of the random increments.
    """
    neurons = dump_calibration(conversion.calibration) if conversion.neurons else b""
    return Made(
        model=_class_of(conversion.source),
        versions={
            "snnconvert": __version__,
            "torch": str(torch.__version__),
            "Python": platform.python_version(),
        },
        seed=seed,
        rules=tuple(conversion.rules.to_yaml().splitlines()),
        calibration=hashlib.sha256(neurons).hexdigest() if neurons else "",
    )


def _class_of(source: TracedModel) -> str:
    stacks = (node.meta.get("nn_module_stack") or {} for node in source.graph.nodes)
    outermost = (kind for stack in stacks for path, kind in stack.values() if not path)
    return str(next(outermost, "")).rpartition(".")[2]
