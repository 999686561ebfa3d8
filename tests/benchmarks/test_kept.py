"""What takes long to make is made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import kept
from benchmarks.kept import keep_facts, kept_facts, kept_tensors


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kept, "WEIGHTS", tmp_path / "weights")
    return tmp_path / "weights"


def test_tensors_are_made_once() -> None:
    made = []

    def make() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        made.append(1)
        return {"weight": torch.arange(3.0)}, {"accuracy": "0.9"}

    first, second = kept_tensors("net", make), kept_tensors("net", make)
    assert made == [1]
    assert torch.equal(first["weight"], torch.arange(3.0))
    assert torch.equal(second["weight"], first["weight"])


def test_what_fails_to_be_made_keeps_nothing(elsewhere: Path) -> None:
    def make() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        raise RuntimeError("not converged")

    with pytest.raises(RuntimeError):
        kept_tensors("net", make)
    assert not elsewhere.exists() or not list(elsewhere.iterdir())


def test_facts_are_those_of_the_very_same_thing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.json"
    assert kept_facts(path, {"T": 1}) is None
    keep_facts(path, {"T": 1}, {"error": 0.5})
    assert kept_facts(path, {"T": 1}) == {"error": 0.5}
    assert kept_facts(path, {"T": 2}) is None
