"""A model that writes to its inputs gets copies, wherever it is run."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from snnconvert.converter.tracing.source_runs import run_alike, run_source
from snnconvert.converter.tracing.trace import trace
from snnconvert.errors import TraceError
from snnconvert.torch_private import pytree


class Writes(nn.Module):
    """Doubles its input where it stands."""

    def forward(self, x):
        return x.mul_(2)


class Branches(Writes):
    """Cannot be traced: a branch depends on values."""

    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


class Fails(Writes):
    """Does not run, and has written by then."""

    def forward(self, x):
        raise ValueError(f"no: {super().forward(x).sum():.0f}")


@dataclass
class Answer:
    """PyTorch was not told of it."""

    y: Tensor


class Answers(Writes):
    """Runs once more, to see what it returns."""

    def forward(self, x):
        return Answer(super().forward(x))


def test_a_run_leaves_the_inputs_as_they_are():
    x = torch.ones(2, 3, requires_grad=True)
    leaves, spec = pytree.tree_flatten(((x,), {}))
    assert torch.equal(run_source(Writes(), leaves, spec), torch.full((2, 3), 2.0))
    assert torch.equal(x, torch.ones(2, 3))


class Draws(nn.Module):
    """Draws numbers."""

    def forward(self, x):
        return x + torch.rand(3)


def test_runs_that_are_alike_draw_the_same_numbers_and_leave_the_callers_generator():
    leaves, spec = pytree.tree_flatten(((torch.ones(2, 3),), {}))
    torch.manual_seed(1)
    runs = [run_alike(Draws(), leaves, spec) for _ in range(2)]
    drawn = torch.rand(1)
    assert torch.equal(runs[0].answer, runs[1].answer)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)


@pytest.mark.parametrize(
    ("model", "said"), [(Branches, "cannot trace"), (Fails, "does not run on the example inputs")]
)
def test_saying_why_a_model_cannot_be_traced_leaves_the_inputs_as_they_are(model, said):
    x = torch.ones(2, 3)
    with pytest.raises(TraceError, match=said):
        trace(model().eval(), (x,))
    assert torch.equal(x, torch.ones(2, 3))


def test_looking_at_the_output_class_leaves_the_inputs_as_they_are():
    x = torch.ones(2, 3)
    trace(Answers().eval(), (x,))
    assert torch.equal(x, torch.ones(2, 3))
