"""The examples run, and end as they say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch

from tests.docs.pages import ROOT

EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.py"))}


@pytest.fixture(name="run")
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for package in ("sklearn", "timm", "transformers"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)

    def run(name: str) -> str:
        runpy.run_path(str(EXAMPLES[name]), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_every_example_is_tried() -> None:
    assert set(EXAMPLES) == {"cnn", "vit", "language_model"}


def test_a_cnn_keeps_its_predictions_and_is_made_cheap(run) -> None:
    out = run("cnn")
    assert out.startswith("default: equivalent: 4 steps")
    kept = {name: float(x) for name, x in re.findall(r"^(\w+):.* ([\d.]+)% of pred", out, re.M)}
    costs = {name: float(x) for name, x in re.findall(r"^(\w+):.* ([\d.]+) uJ", out, re.M)}
    assert kept["spiking"] == 100 and kept["tuned"] >= 97
    assert costs["tuned"] < costs["spiking"] / 2 < costs["rate_if"]
    digit, label = re.findall(r"^one digit: (\d) is (\d)$", out, re.M)[0]
    assert digit == label


def test_a_vit_has_every_operator_on_spikes(run) -> None:
    out = run("vit")
    assert "degree: all" in out and "local analog operators" not in out
    assert len(re.findall(r"relative error alone", out)) == 5


def test_a_language_model_on_spikes_writes_the_same(run) -> None:
    out = run("language_model")
    assert "with spikes (degree all)" in out
    spiking, source = re.findall(r"perplexity ([\d.]+) \(source ([\d.]+)\)", out)[0]
    assert float(spiking) == pytest.approx(float(source), rel=1e-2)
    written = re.findall(r"^(?:source|spikes): (.+)$", out, re.M)
    assert len(written) == 2 and written[0] == written[1]
