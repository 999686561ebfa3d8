"""What does not change in a run is computed once, and all else with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import snnconvert
from snnconvert.converter.running.layout import time_dims
from snnconvert.converter.running.program import program_of, split
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Constant


class Scaled(nn.Module):
    """Values of parameters, of a held input, of the sizes, and of a coded input."""

    def __init__(self) -> None:
        super().__init__()
        self.map, self.weight = nn.Linear(4, 4), nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scale = self.weight.softmax(-1) * mask.to(x.dtype).cumsum(-1)
        return self.map(x) * scale, scale, torch.arange(x.shape[0])


@pytest.fixture
def scaled():
    x, mask = torch.randn(3, 4), torch.tensor([[1, 1, 0, 1]]).expand(3, 4)
    model = Scaled().eval()
    return model, snnconvert.convert(model, (x, mask), verify=False), [x, mask]


def test_what_depends_on_no_step_is_in_the_first_part(scaled):
    _, snn, _ = scaled
    once, each, moving = split(snn.graph)
    assert moving == (0,)
    names = [str(node.target) for node in once.nodes]
    assert any("softmax" in n or "cumulative" in n for n in names)
    assert any("cumsum" in n for n in names)
    rest = [str(node.target) for node in each.nodes]
    assert not any("cumsum" in n for n in rest)
    once.lint()
    each.lint()


def test_a_run_goes_on_with_what_was_computed_once(scaled):
    model, snn, (x, mask) = scaled
    program = program_of(snn.graph, snn.tree, time_dims(snn.conversion))
    assert program.changes and program.moving == (0,)
    calls = []
    counted = replace(program, once=lambda *a: calls.append(a) or program.once(*a))
    run = counted.begin(snn.tree, [None, mask])
    for t in range(3):
        clock = Clock(1, start=t, total=3, encoding=Constant())
        found = run([x * t, mask], clock)
        wanted = model(x * t, mask)
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a, b)
    assert len(calls) == 1


def test_outputs_that_are_no_tensors_and_inputs_that_go_through():
    class Through(nn.Module):
        def forward(self, x: Tensor, ids: Tensor) -> dict[str, object]:
            return {"x": x, "ids": ids, "none": None, "two": [x * 2, ids + 1]}

    x, ids = torch.randn(3, 4), torch.arange(3)
    snn = snnconvert.convert(Through().eval(), (x, ids), verify=False)
    for encoding in ("at_once", "constant"):
        found = snn.simulate(x, ids, time_steps=2, encoding=encoding)
        assert found["none"] is None
        assert torch.equal(found["x"][1], x) and torch.equal(found["two"][0][1], x * 2)
        assert torch.equal(found["ids"], ids.expand(2, 3))
        assert torch.equal(found["two"][1], (ids + 1).expand(2, 3))
