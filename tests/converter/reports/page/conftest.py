"""Reports that pages are made of: exact, on spikes, failed, and with a stranger's names."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import snnconvert
from snnconvert.converter.reports.equivalence import EquivalenceReport
from tests.converter.conftest import TinyViT

HOSTILE = "</script><script>hacked=1</script><img src=x onerror=hacked=1>'\"{{7*7}}"
"""What a stranger's file may call anything."""


def _converted(rules: str, **options: Any) -> snnconvert.ConvertedModule:
    torch.manual_seed(0)
    model, x = TinyViT().eval(), torch.randn(4, 1, 4, 4)
    return snnconvert.convert(model, (x,), rules, verify=False, **options)


def _reported(rules: str, **options: Any) -> EquivalenceReport:
    return snnconvert.verify(None, _converted(rules, **options))


@pytest.fixture(scope="session")
def exact() -> EquivalenceReport:
    return _reported("default")


@pytest.fixture(scope="session")
def spiking() -> EquivalenceReport:
    torch.manual_seed(1)
    snn = _converted("spiking", time_steps=3)
    return snnconvert.verify(
        None, snn, data=[torch.randn(4, 1, 4, 4)], labels=torch.tensor([0, 1, 2, 0])
    )


@pytest.fixture(scope="session")
def fully_spiking() -> EquivalenceReport:
    return _reported("fully_spiking")


@pytest.fixture(scope="session")
def failed(tmp_path_factory: pytest.TempPathFactory) -> EquivalenceReport:
    rules = tmp_path_factory.mktemp("rules") / "wrong.yaml"
    rules.write_text(
        "version: 1\nextends: default\nrules:\n"
        "  - {name: as if it were linear, match: {op: gelu}, action: keep}\n"
    )
    return _reported(str(rules))


@pytest.fixture(scope="session")
def hostile(spiking: EquivalenceReport) -> EquivalenceReport:
    """A report of a file whose every name is hostile."""
    data = _renamed(spiking.to_dict())
    data["spiking"]["degree"] = "maps"
    data["first_failure"] = data["nodes"][0]["name"]
    return EquivalenceReport.from_dict(data, recorded_in=f"{HOSTILE}.snn")


def _renamed(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _renamed(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_renamed(item) for item in data]
    return f"{HOSTILE}{data}" if isinstance(data, str) else data
