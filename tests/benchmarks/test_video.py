"""Frames of videos, and the page of what they cost."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("timm")
from benchmarks.data.videos import Change, changes, send_on_delta
from benchmarks.video.__main__ import page
from benchmarks.video.measured import RUNS, Found, Frame, Run

MODELS = [f"{m} {p}" for m in ("arithmetic", "memory", "events") for p in ("fp32", "int8")]


def test_the_change_of_a_frame_is_in_grey_levels() -> None:
    frames = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.1, 0.5, 1.0], [0.0, 0.1, 0.5, 1.0]])
    first, second = changes(frames, grey_level=0.1)
    assert first.mean == pytest.approx(4.0)
    assert (first.any, first.visible) == (0.75, 0.5)
    assert second == Change(0.0, 0.0, 0.0)


def test_what_is_held_back_is_sent_when_it_has_added_up() -> None:
    frames = torch.tensor([[0.0], [0.4], [0.8], [1.2], [0.9], [0.2]])
    sent = send_on_delta(frames, 1.0)
    assert sent.flatten().tolist() == pytest.approx([0, 0, 0, 1.2, 1.2, 0.2])
    assert (frames - sent).abs().max() < 1.0
    assert torch.equal(send_on_delta(frames, 0.0), frames)


def found(*energies: float) -> Found:
    frames = [Frame(0.01, 1.0, 0.5, 3.0, 50.0, dict.fromkeys(MODELS, e)) for e in energies]
    source = dict.fromkeys(MODELS, 2.0)
    moved = [Change(3.0 * i, 0.5, 0.25) for i in range(len(frames) - 1)]
    return Found("maps", 3, 10, 100.0, source, moved, frames, frames[:1])


def test_the_page_has_means_after_the_first_frame_beside_what_forgets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.video.__main__.versions", lambda _: "no packages")
    run = Run("mtcnn-pnet", "carphone", neuron="levels: 10")
    held = Run("mtcnn-pnet", "carphone", neuron="levels: 10", delta=4)
    text = page({run: found(2.0, 0.5, 0.7), held: found(2.0, 0.25, 0.25)}, "VIDEO.svg")
    assert "| spiking, levels: 10 | maps | 1 | 3 | 6.0 | carphone | 0.0100 (0.0100) |" in text
    assert "| 0.600 (2.000) |" in text and "| 0.500 (0.500) |" in text  # energy, per MAC
    assert "| mtcnn-pnet | spiking, levels: 10 | 0.500 (1) | - | - | 0.700 (1) |" in text
    assert "| 1 | 4 grey levels | 1.50 |" in text and "| 0.250 |" in text


def test_runs_are_told_apart_by_their_rules() -> None:
    assert len(set(RUNS)) == len(RUNS)
    run = Run("mtcnn-pnet", "carphone", neuron="levels: 10")
    assert run.name == "spiking, levels: 10" and run.is_plain
    assert (run.rule_set().neuron.levels, run.rule_set().neuron.bursts) == (10, 3)
