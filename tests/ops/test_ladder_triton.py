"""The Triton scan: in the interpreter, on a GPU, and what is compiled for one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from snnconvert.ops.neurons import ladder_triton
from tests.ops.triton_run import PLACES, Compiled, compiled, instructions, run_tests


@PLACES
def test_the_bits_are_those_of_the_definition(place: str) -> None:
    run_tests("triton_ladder.py", place)


@pytest.fixture(name="compiled")
def _compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Compiled:
    return compiled(ladder_triton, monkeypatch, tmp_path)


BOUNDED = {"low": -1.0, "high": 0.9, "bursts": 3, "kept": 3}
PLAIN = {"low": None, "high": None, "bursts": 1, "kept": 1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [1, 8])
@pytest.mark.parametrize("options", [PLAIN, BOUNDED], ids=["plain", "bounded"])
@pytest.mark.parametrize("features", [1, 64])
def test_what_is_compiled_is_ieee_arithmetic_that_waits_for_nobody(
    compiled: Compiled, dtype: torch.dtype, levels: int, options: dict[str, Any], features: int
) -> None:
    # Nothing can be read from a tensor on the meta device.
    x = torch.empty(4, 8, 50, 64, dtype=dtype, device="meta")
    scales = [x.new_empty(4, features) for _ in range(3)]
    before = x.new_empty(())
    out = ladder_triton.ladder_scan(
        x, before, *scales, levels=levels, per_octave=4, signed=True, axis=-1, **options
    )
    assert out.shape == (4 * options["kept"], 8, 50, 64)
    (program,) = compiled.programs
    found = instructions(program)
    arithmetic = {name for name in found if re.match(r"(add|sub|mul|div|fma|mad)\..*f\d\d", name)}
    width = x.element_size() * 8
    assert arithmetic == {f"{name}.rn.f{width}" for name in ("add", "sub", "mul")}
    assert not [name for name in found if re.search(r"ftz|approx|bar|shared|\.local", name)]
    # 16 bytes at once
    assert {f"{move}.global.v{128 // width}.b{width}" for move in ("ld", "st")} <= found


def test_places_are_wide_where_a_step_has_many_values(compiled: Compiled) -> None:
    x, scale = torch.empty(1, 2**31, device="meta"), torch.empty(1, 1, device="meta")
    for count in (2**31 - 513, 2**31 - 512):
        ladder_triton.ladder_scan(
            x[:, :count], x[0, 0], scale, scale, scale, 8, 1, True, axis=0, **PLAIN
        )
    narrow, wide = (program.asm["ttir"] for program in compiled.programs)
    assert "tensor<512xi64>" in wide.split("arith.cmpi")[0]
    assert "tensor<512xi64>" not in narrow.split("arith.cmpi")[0]
