"""Bags of embeddings begin where it is known that they do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnconvert.errors import SourceError
from snnconvert.sources.bags import offset_problems
from snnconvert.sources.replay import check_run


class Bags(nn.Module):
    """Bags of embeddings with offsets that `fn` makes of an input and a buffer."""

    def __init__(self, fn: Any, held: list[int]) -> None:
        super().__init__()
        self.fn, self.bag = fn, nn.EmbeddingBag(5, 3)
        self.register_buffer("held", torch.tensor(held))

    def forward(self, ids: Tensor, offsets: Tensor) -> Any:
        return self.bag(ids, self.fn(offsets, self.held))


def check_bags(fn: Any, held: list[int], given: list[int], decompositions: Any = None) -> None:
    inputs = (torch.tensor([1, 2, 3]), torch.tensor(given))
    with torch.no_grad():
        program = torch.export.export(Bags(fn, held).eval(), inputs, strict=False)
    check_run(program if decompositions is None else program.run_decompositions(), "f")


@pytest.mark.parametrize("decompositions", [None, {}])
def test_offsets_that_are_known_to_ascend_are_accepted(decompositions: Any) -> None:
    check_bags(lambda given, held: given, [0], [0, 2], decompositions)
    check_bags(lambda given, held: held, [0, 2], [0], decompositions)
    check_bags(lambda given, held: torch.arange(0, 3, 2), [0], [0], decompositions)


@pytest.mark.parametrize(
    ("fn", "held", "given"),
    [
        (lambda given, held: given, [0], [0, -5, 2]),
        (lambda given, held: held, [0, 3, 1], [0]),
        (lambda given, held: held.sub_(5), [0, 1], [0]),
        (lambda given, held: (held.detach().sub_(5), held)[1], [0, 1], [0]),
        (lambda given, held: (held[:1].detach()[0].sub_(5), held)[1], [0, 1], [0]),
        (lambda given, held: given - held, [9], [0, 2]),
        (lambda given, held: torch.arange(0, -9, -1), [0], [0]),
    ],
)
def test_other_offsets_are_refused(fn: Any, held: list[int], given: list[int]) -> None:
    with pytest.raises(SourceError, match="offsets of"):
        check_bags(fn, held, given)


class Shared(nn.Module):
    """Bags whose offsets are also known, and written to, by another name."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, held = nn.EmbeddingBag(5, 3), torch.tensor([0, 1])
        self.register_buffer("held", held)
        self.register_buffer("also", held[1:])

    def forward(self, ids: Tensor) -> Any:
        self.also.sub_(5)
        return self.bag(ids, self.held)


def test_offsets_that_share_memory_with_what_is_written_to_are_refused() -> None:
    program = torch.export.export(Shared().eval(), (torch.tensor([1, 2, 3]),), strict=False)
    with pytest.raises(SourceError, match="offsets of"):
        check_run(program, "f")


def test_rows_of_ids_are_bags_too() -> None:
    ids = torch.tensor([[1, 2, 3], [0, 1, 2]])
    rows = {"input": {0: torch.export.Dim("rows", min=1, max=64)}}
    bag = nn.EmbeddingBag(5, 3).eval()
    for shapes in (None, rows):
        check_run(torch.export.export(bag, (ids,), dynamic_shapes=shapes, strict=False), "f")


class PartBags(nn.Module):
    def __init__(self, of: Any) -> None:
        super().__init__()
        self.of, self.bag = of, nn.EmbeddingBag(9, 4)

    def forward(self, ids: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        return self.bag(ids, self.of(offsets))


@pytest.mark.parametrize("of", [lambda o: o[1], lambda o: o[0].long(), lambda o: o[:, :2][1]])
def test_offsets_that_are_part_of_an_input_are_known(of: Any) -> None:
    offsets = torch.tensor([[0, 2, 4], [0, 1, 3]], dtype=torch.int32)
    given = (torch.arange(6, dtype=torch.int32), offsets)
    graph = torch.export.export(PartBags(of), given).graph
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    values = dict(zip(inputs[-2:], given, strict=True))
    assert list(offset_problems(graph, values)) == []
    values[inputs[-1]] = offsets.flip(1)
    assert list(offset_problems(graph, values))
