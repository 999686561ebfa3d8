"""The Triton scan of a counter: in the interpreter, on a GPU, and what is compiled for one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from snnconvert.ops.neurons import counter_triton
from tests.ops.triton_run import PLACES, compiled, instructions, run_tests


@PLACES
def test_the_bits_are_those_of_the_definition(place: str) -> None:
    run_tests("triton_counter.py", place)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("features", [1, 64])
def test_what_is_compiled_is_ieee_arithmetic_that_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dtype: torch.dtype, features: int
) -> None:
    found = compiled(counter_triton, monkeypatch, tmp_path)
    # Nothing can be read from a tensor on the meta device.
    x = torch.empty(4, 8, 50, 64, dtype=dtype, device="meta")
    each = [x.new_empty(features) for _ in range(4)]
    out = counter_triton.counter_scan(x, x.new_empty(()), *each, bursts=3, kept=3, axis=-1)
    assert out.shape == (12, 8, 50, 64)
    (program,) = found.programs
    names = instructions(program)
    arithmetic = {name for name in names if re.match(r"(add|sub|mul|div|fma|mad)\..*f\d\d", name)}
    width = x.element_size() * 8
    assert arithmetic == {f"{name}.rn.f{width}" for name in ("add", "sub", "mul", "div")}
    assert not [name for name in names if re.search(r"approx|bar|shared|\.local", name)]
    # floor() is of a sum with 1/2, which is never below the smallest normal number.
    assert [name for name in names if "ftz" in name] == ["cvt.rmi.ftz.f32.f32"] * (width == 32)
    assert {f"{move}.global.v{128 // width}.b{width}" for move in ("ld", "st")} <= names
