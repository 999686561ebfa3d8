"""Operators whose kernels rely on their arguments get none that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnconvert.errors import SourceError
from snnconvert.sources.call_checks import call_problem, offset_problems
from snnconvert.sources.replay import check_run

A = torch.ops.aten
X = torch.zeros(2, 4, 6, 6)
Q = torch.zeros(1, 2, 3, 4)
FOUR, ONE = torch.ones(4), torch.ones(1)
FLASH = A._scaled_dot_product_flash_attention_for_cpu.default
AA = A._upsample_bilinear2d_aa.default
EVAL = A._native_batch_norm_legit_no_training.default
LONG = torch.zeros(1 << 17, 1)
WHOLE = torch.tensor([4])

FIT: list[tuple[Any, tuple[Any, ...]]] = [
    (EVAL, (X, FOUR, FOUR, FOUR, FOUR, 0.1, 1e-5)),
    (EVAL, (X, None, None, FOUR, FOUR, 0.1, 1e-5)),
    (A._native_batch_norm_legit.no_stats, (X, FOUR, FOUR, True, 0.1, 1e-5)),
    (A._weight_norm_interface.default, (torch.ones(4, 3), torch.ones(4, 1))),
    (A._weight_norm_interface.default, (torch.ones(4, 3), torch.ones(1, 3), 1)),
    (FLASH, (Q, torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 5, 4))),
    (FLASH, (Q, torch.zeros(1, 1, 5, 4), torch.zeros(1, 1, 5, 4))),
    (AA, (X, [3, 3], False, 0.5, 0.5)),
    (AA, (X, [3, 3], False)),
    (A.unbind.int, (X, 1)),
    (A.split.Tensor, (LONG, 1 << 10)),
    (A.mvlgamma.default, (X + 9, 3)),
    (A.floor_divide.default, (WHOLE, 2)),
    (A.div.Scalar, (WHOLE, -1)),  # in floating point
    (A.remainder.Scalar, (X, -1)),
    (A.div.Tensor_mode, (X, 0.0)),
    (A.divide.Tensor_mode, (WHOLE, X)),
    (A.div.Tensor, (WHOLE, WHOLE)),
    (A.floor_divide.default, (WHOLE, WHOLE)),
    (torch.ops.prims.div.default, (X, X)),
    (A.matrix_power.default, (X, -3)),
    (A.split_with_sizes.default, (LONG, [1] * 1000)),
    (A.constant_pad_nd.default, (X, [1] * 128)),
]
MISFIT: list[tuple[Any, tuple[Any, ...]]] = [
    (EVAL, (X, FOUR, FOUR, ONE, FOUR, 0.1, 1e-5)),
    (EVAL, (X, ONE, FOUR, FOUR, FOUR, 0.1, 1e-5)),
    (A.native_batch_norm.default, (X, None, None, FOUR, ONE, True, 0.1, 1e-5)),
    (A._native_batch_norm_legit.default, (X, None, None, ONE, ONE, True, 0.1, 1e-5)),
    (A._weight_norm_interface.default, (torch.ones(4, 3), torch.ones(1, 1))),
    (A._weight_norm_interface.default, (torch.ones(4, 3), torch.ones(4, 1), 7)),
    (FLASH, (Q, torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 1, 4))),
    (FLASH, (Q, torch.zeros(1, 3, 5, 4), torch.zeros(1, 3, 5, 4))),
    (FLASH, (Q, torch.zeros(1, 0, 5, 4), torch.zeros(1, 0, 5, 4))),
    (FLASH, (torch.zeros(1, 3, 3, 4), Q, Q)),
    (
        A._scaled_dot_product_efficient_attention.default,
        (Q, torch.zeros(1, 1, 5, 4), torch.zeros(1, 1, 5, 4), None, False),
    ),
    (FLASH, (Q, Q[..., :2], Q)),
    (AA, (X, [3, 3], False, 1e-8, 0.5)),
    (AA, (X, [3, 3], False, 0.5, float("nan"))),
    (A._upsample_bicubic2d_aa.default, (X, [3, 3], False, 0.5, -1.0)),
    (A.unbind.int, (LONG,)),
    (A.split.Tensor, (LONG, 1)),
    (A.unsafe_split.Tensor, (LONG, 1)),
    (A.tensor_split.sections, (X, 1 << 24)),
    (A.chunk.default, (LONG, 1 << 24)),
    (A.mvlgamma.default, (X, 1 << 30)),
    (A.special_multigammaln.default, (X, 1 << 30)),
    (A.mvlgamma_.default, (X, 1 << 30)),
    (A.floor_divide.default, (WHOLE, 0)),
    (A.remainder.Scalar, (WHOLE, -1)),
    (A.fmod.Scalar, (WHOLE, -1)),
    (A.div.Scalar_mode, (WHOLE, -1)),
    (A.div_.Tensor_mode, (WHOLE, WHOLE)),
    (A.divide.Tensor_mode, (WHOLE.int(), WHOLE.to(torch.int8))),
    (torch.ops.prims.div.default, (WHOLE, WHOLE)),
    (A.matrix_power.default, (X, -(1 << 63))),
    (A.view.default, (X, [1] * 50_000)),
    (A.linalg_matrix_power.default, (X, -(1 << 63))),
]
ROUNDED = {
    A.div.Scalar_mode: {"rounding_mode": "floor"},
    A.div_.Tensor_mode: {"rounding_mode": "trunc"},
    A.divide.Tensor_mode: {"rounding_mode": "trunc"},
}


def name(case: Any) -> str:
    return str(case) if isinstance(case, torch._ops.OpOverload) else "-"


@pytest.mark.parametrize(("operator", "args"), FIT, ids=name)
def test_arguments_that_fit_are_accepted(operator: Any, args: Any) -> None:
    assert not call_problem(operator, args, ROUNDED.get(operator, {}))


@pytest.mark.parametrize(("operator", "args"), MISFIT, ids=name)
def test_arguments_that_do_not_fit_are_refused(operator: Any, args: Any) -> None:
    assert str(operator) in call_problem(operator, args, ROUNDED.get(operator, {}))


@pytest.mark.parametrize(
    ("operator", "by"),
    [
        (A.floor_divide.default, 0),
        (A.div_.Tensor_mode, WHOLE),
        (torch.ops.prims.div.default, WHOLE),
    ],
)
def test_a_division_that_may_stop_has_a_remedy(operator: Any, by: Any) -> None:
    found = call_problem(operator, (WHOLE, by), ROUNDED.get(operator, {}))
    assert "rounding_mode='floor', or by a number other than 0 and -1" in found
    assert not call_problem(operator, (X, by), ROUNDED.get(operator, {}))


def test_a_mask_has_to_be_spread_over_the_scores() -> None:
    keys = torch.zeros(1, 2, 5, 4)
    for shape, fits in (((3, 5), True), ((1, 1, 3, 5), True), ((2, 2), False), ((3,), False)):
        found = call_problem(FLASH, (Q, keys, keys), {"attn_mask": torch.zeros(shape)})
        assert (found == "") is fits


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


class Smoothed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        resize = nn.functional.interpolate
        small = resize(x, scale_factor=0.3, mode="bilinear", antialias=True)
        return small.sum() + resize(x, size=(4, 5), mode="bicubic", antialias=True).sum()


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.BatchNorm2d(4), (2, 4, 3, 3)),
        (nn.BatchNorm2d(4, track_running_stats=False), (2, 4, 3, 3)),
        (nn.InstanceNorm2d(4, track_running_stats=True), (2, 4, 3, 3)),
        (nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), (2, 3, 8)),
        (nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 4, 3), dim=1), (2, 4, 9)),
        (Smoothed(), (2, 4, 8, 8)),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("core", [False, True])
def test_what_exports_yield_is_accepted(model: nn.Module, shape: Any, core: bool) -> None:
    with torch.no_grad():
        program = torch.export.export(model.eval(), (torch.randn(shape),), strict=False)
        check_run(program.run_decompositions() if core else program, "f")


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
