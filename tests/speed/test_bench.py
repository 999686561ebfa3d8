"""A whole bench of tiny networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconvert
from snnconvert.errors import InputError
from snnconvert.rules import load_rules
from snnconvert.speed import bench as module
from snnconvert.speed.bench import named_rules
from snnconvert.speed.rounds import Ratio


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 32), nn.Linear(32, 3)
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_exporting():
            self.batches.append(len(x))
        return self.second(torch.tanh(self.first(x)))


@pytest.fixture(name="net")
def _net() -> tuple[Net, Tensor]:
    torch.manual_seed(0)
    return Net().eval(), torch.randn(2, 6)


def test_each_rule_file_has_a_row_after_the_exact_one(net: tuple[Net, Tensor]) -> None:
    model, x = net
    found = snnconvert.bench(model, (x,), ["spiking", "fully_spiking"], rounds=2, batch=5)
    told = [(row.rules, row.time_steps, row.bursts, row.neurons) for row in found.rows]
    assert told == [("default", 8, 1, 0), ("spiking", 1, 3, 2), ("fully_spiking", 1, 3, 2)]
    assert (found.model, found.batch, found.unit, found.rounds) == ("Net", 5, "samples", 2)
    for row in found.rows:
        for count, of in ((row.time_steps * 5, row.increments), (5, row.simulated)):
            assert 0 < of.low <= of.ratio <= of.high
            for side in (of.snn, of.source):
                assert side.seconds > 0 and side.peak_bytes > 0
                assert side.per_second == pytest.approx(count / side.seconds)
    exact = found.rows[0]
    # The source holds two layers of T * B samples, or of B, at once.
    assert exact.increments.source.peak_bytes == 8 * exact.simulated.source.peak_bytes
    assert found.to_dict()["rows"][1]["rules"] == "spiking"


def test_what_is_timed_against_what(
    net: tuple[Net, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    (model, x), ran = net, []

    def in_turn(ours: Any, theirs: Any, rounds: int, device: torch.device) -> Ratio:
        model.batches.clear()
        with_grad, shape = torch.is_grad_enabled(), tuple(ours().shape)
        theirs()
        ran.append((shape, *model.batches, rounds, torch.get_num_threads(), with_grad))
        return Ratio(1.0, 1.0, 1.0, 1.0, 1.0)

    monkeypatch.setattr(module, "in_turn", in_turn)
    before = torch.get_num_threads()
    found = snnconvert.bench(model, (x,), time_steps=3, rounds=7, threads=before + 1)
    assert ran == [((3, 2, 3), batch, 7, before + 1, False) for batch in (6, 2, 6, 2)]
    assert found.threads == before + 1 and torch.get_num_threads() == before
    assert [row.time_steps for row in found.rows] == [3, 3]


def test_the_model_is_traced_once_and_stays_as_it_is(
    net: tuple[Net, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = net
    model.batches = []
    weights, traces = {n: p.clone() for n, p in model.named_parameters()}, []
    whole = module.trace

    def trace(*args: Any, **kwargs: Any) -> Any:
        traces.append(args)
        return whole(*args, **kwargs)

    monkeypatch.setattr(module, "trace", trace)
    snnconvert.bench(model, (x,), ["spiking", "pow2"], rounds=2)
    assert len(traces) == 1 and not model.training
    assert all(torch.equal(p, weights[n]) for n, p in model.named_parameters())


def test_a_saved_program_and_ids_are_timed() -> None:
    class Ids(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.embed(ids))

    program = torch.export.export(Ids().eval(), (torch.arange(10).reshape(2, 5),))
    found = snnconvert.bench(program, rules="spiking", time_steps=2, rounds=2)
    assert found.unit == "tokens" and found.batch == 2
    of = found.rows[1].increments
    assert of.source.per_second == pytest.approx(2 * 2 * 5 / of.source.seconds)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rounds": 1}, "rounds=1: a whole number of at least 2"),
        ({"threads": 0}, "threads=0: a whole number of at least 1"),
        ({"batch": 0}, "batch=0: a whole number of at least 1"),
        ({"batch": 2.0}, "batch=2.0: a whole number"),
        ({"time_steps": 0}, "time_steps must be a whole number >= 1"),
        ({"calibration": torch.ones(2, 6)}, "calibration= is one tensor"),
    ],
)
def test_what_cannot_be_is_said(net: tuple[Net, Tensor], given: Any, said: str) -> None:
    model, x = net
    with pytest.raises(InputError, match=said):
        snnconvert.bench(model, (x,), **given)


def test_rules_have_a_name_each(tmp_path: Path) -> None:
    assert list(named_rules("spiking")) == ["default", "spiking"]
    assert list(named_rules(["pow2", "default", "pow2"])) == ["default", "pow2"]
    own = tmp_path / "own.yaml"
    own.write_text("version: 1\nextends: spiking\nrules: []\n")
    assert list(named_rules([own])) == ["default", str(own)]
    one = load_rules(own)
    with pytest.raises(InputError, match=r"two rule sets that differ are called '.*own\.yaml'"):
        named_rules([one, replace(one, time_steps=9)])
    assert list(named_rules(load_rules("default"))) == ["default"]
    assert len(named_rules(replace(load_rules("default"), time_steps=9))) == 2
