"""What a program would allocate is found out without allocating it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from snnconvert.errors import SourceError
from snnconvert.sources.replay import check_run


def test_values_of_many_dimensions_are_refused() -> None:
    check_run(program(lambda x: x.view(*[1] * 62, 2, 4)), "f")
    with pytest.raises(SourceError, match="has 66 dimensions; at most 64"):
        check_run(program(lambda x: x.view(*[1] * 64, 2, 4)), "f")


def branch(x: Tensor) -> Any:
    def first(x: Tensor) -> Tensor:
        return x + 1

    def second(x: Tensor) -> Tensor:
        return x - 1

    return torch.cond(x.sum() > 0, first, second, (x,))


class Net(nn.Module):
    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn, self.l = fn, nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Any:
        return self.fn(self.l(x))


def program(fn: Any) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(Net(fn).eval(), (torch.randn(2, 4),), strict=False)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x + torch.ones(1 << 29).sum(),
        lambda x: x.unsqueeze(0).expand(1 << 27, 2, 4).contiguous().sum(0),
        lambda x: x.repeat(1 << 26, 1)[:2],
        lambda x: torch.nn.functional.pad(x, (0, 1 << 29)),
        lambda x: torch.arange(1 << 28) + x[0, 0],
    ],
)
def test_programs_that_would_take_a_whole_memory_are_refused(fn: Any) -> None:
    # Under fake tensors export itself allocates nothing.
    with torch._subclasses.FakeTensorMode():
        found = program(fn)
    with pytest.raises(SourceError, match="would take"):
        check_run(found, "f")


def after_numbers(x: Tensor) -> Tensor:
    return x + x.nonzero().sum() + torch.zeros(1 << 29).sum()


def in_a_branch(x: Tensor) -> Any:
    def first(x: Tensor) -> Tensor:
        return x + torch.zeros(1 << 29).sum()

    def second(x: Tensor) -> Tensor:
        return x - 1

    return torch.cond(x.sum() > 0, first, second, (x,))


def under_autocast(x: Tensor) -> Any:
    with torch.autocast("cpu", enabled=False):
        return x + torch.zeros(1 << 29).sum()


def inside_an_operator(x: Tensor) -> Any:
    return x + torch.combinations(torch.ones(60), 6).sum()


@pytest.mark.parametrize("fn", [after_numbers, in_a_branch, under_autocast, inside_an_operator])
def test_what_does_not_depend_on_numbers_is_bounded_everywhere(fn: Any) -> None:
    with torch._subclasses.FakeTensorMode(shape_env=ShapeEnv()):
        found = program(fn)
    with pytest.raises(SourceError, match="would take"):
        check_run(found, "f")


def norm_of_some(x: Tensor) -> Any:
    rows = x[x.sum(1).nonzero().flatten()]
    ones = torch.ones(4)
    norm = torch.ops.aten._native_batch_norm_legit_no_training.default
    return norm(rows, ones, ones, ones, ones, 0.1, 1e-5)[0]


def quotient_of_places(x: Tensor) -> Any:
    places = x.nonzero()
    return x.sum() + torch.div(places, places - 1, rounding_mode="trunc").sum()


@pytest.mark.parametrize("fn", [norm_of_some, quotient_of_places])
def test_what_relies_on_its_arguments_is_refused_after_numbers(fn: Any) -> None:
    with pytest.raises(SourceError, match="depend on numbers"):
        check_run(program(fn), "f")


@pytest.mark.parametrize(
    "fn",
    [
        torch.relu,
        lambda x: {"a": x.softmax(-1), "b": x.sum()},
        branch,
        lambda x: x[x.argmax(-1)],
        lambda x: x + x.nonzero().sum(),
        lambda x: x + torch.div(x.nonzero(), 2, rounding_mode="trunc").sum(),
        lambda x: torch.div(x, x + 1, rounding_mode="trunc"),
        lambda x: torch.stft(x.reshape(-1), 4, return_complex=True).abs(),
    ],
)
def test_honest_programs_pass(fn: Any) -> None:
    check_run(program(fn), "f")


def test_programs_that_do_not_run_are_refused() -> None:
    found = program(torch.relu)
    found._example_inputs = ((torch.randn(2, 5),), {})
    with pytest.raises(SourceError, match="does not run on its own example inputs"):
        check_run(found, "f")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pred, true, false, operands: (pred, true, false), "called wrongly"),
        (lambda pred, true, false, operands: (pred, True, false, operands), "as its true_fn"),
        (lambda pred, true, false, operands: (pred, true, pred, operands), "as its false_fn"),
    ],
)
def test_branches_of_another_form_are_refused(change: Any, words: str) -> None:
    found = program(branch)
    node = next(n for n in found.graph.nodes if "cond" in str(n.target))
    node.args = change(*node.args)
    with pytest.raises(SourceError, match=words):
        check_run(found, "f")
