"""Casting modules, inputs and literals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnconvert.converter.graph.dtypes import (
    cast,
    cast_module,
    followed,
    has_complex,
    literal_dtypes,
    real_dtype,
)

WIDE = literal_dtypes({torch.float32: torch.float64})


def test_checks_widen_every_floating_literal() -> None:
    found = WIDE
    assert found[torch.float32] is found[torch.bfloat16] is found[torch.float16] is torch.float64
    assert found[torch.complex64] is torch.complex128


def test_a_cast_replaces_the_dtypes_of_tensors_alone() -> None:
    half, single, double = torch.bfloat16, torch.float32, torch.float64
    assert literal_dtypes({single: half}) == {single: half}
    assert literal_dtypes({single: single}) == {}
    assert literal_dtypes({single: half, half: half}) == {single: half}
    both = literal_dtypes({double: single, single: single})
    assert both == {double: single, torch.complex128: torch.complex64}


def test_one_cast_after_another_is_one_cast() -> None:
    half, single, double = torch.float16, torch.float32, torch.float64
    assert followed({half: single}, {single: double}) == {half: double, single: double}
    assert followed({half: single}, {single: half}) == {single: half}
    assert followed({}, {single: double}) == {single: double}
    assert followed({single: double}, {}) == {single: double}


@pytest.mark.parametrize("value", [torch.tensor([1]), torch.tensor([True]), 3, "x", None])
def test_what_is_not_floating_stays(value: object) -> None:
    assert cast(value, WIDE) is value


def test_a_complex_tensor_keeps_its_imaginary_part() -> None:
    x = torch.tensor([1 + 2j])
    assert cast(x, WIDE).dtype is torch.complex128
    assert cast(x, WIDE).imag.item() == 2.0
    # There is no complex type of bfloat16.
    assert cast(x, literal_dtypes({torch.float32: torch.bfloat16})) is x
    assert not has_complex(torch.bfloat16) and has_complex(torch.float16)


def test_a_tensor_of_another_dtype_than_the_models_stays_as_the_graph_names_it() -> None:
    x = torch.ones(2, dtype=torch.float16)
    assert cast(x, literal_dtypes({torch.float32: torch.float32})) is x
    assert cast(x, literal_dtypes({torch.float32: torch.bfloat16})) is x
    assert cast(x, WIDE).dtype is torch.float64


def test_a_module_is_cast_with_its_complex_and_integer_buffers() -> None:
    module = nn.BatchNorm1d(2)
    module.register_buffer("phase", torch.tensor([1 + 2j]))
    assert cast_module(module, WIDE) is module
    assert module.weight.dtype is torch.float64
    assert module.num_batches_tracked is not None
    assert module.num_batches_tracked.dtype is torch.int64
    assert torch.equal(module.get_buffer("phase"), torch.tensor([1 + 2j], dtype=torch.complex128))


@pytest.mark.parametrize(
    ("dtype", "real"),
    [(torch.complex64, torch.float32), (torch.complex128, torch.float64), (torch.half, torch.half)],
)
def test_a_complex_dtype_has_parts(dtype: torch.dtype, real: torch.dtype) -> None:
    assert real_dtype(dtype) is real
