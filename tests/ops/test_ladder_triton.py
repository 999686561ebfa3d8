"""The Triton scan: in the interpreter, on a GPU, and what is compiled for one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from snnconvert.ops.neurons import ladder_triton

triton = pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs only")

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("where", ["interpreter", "gpu"])
def test_the_bits_are_those_of_the_definition(where: str) -> None:
    if where == "gpu" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    environment = {**os.environ, "TRITON_INTERPRET": "1" if where == "interpreter" else "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "tests/ops/triton_ladder.py"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^\d+ passed in", run.stdout, re.MULTILINE), run.stdout


class _Device:
    """A GPU that programs are compiled for, and none runs on."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> Any:
        return triton.backends.compiler.GPUTarget("cuda", 90, 32)


class _Compiled:
    """In the place of a kernel: compiles what would be launched."""

    def __init__(self, kernel: Any) -> None:
        self.kernel, self.programs = triton.jit(kernel.fn), []

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*args: Any, **options: Any) -> None:
            self.programs.append(self.kernel.warmup(*args, grid=grid, **options))

        return launch


@pytest.fixture(name="compiled")
def _compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Compiled:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(triton.runtime.driver, "_active", _Device())
    compiled = _Compiled(ladder_triton._scan)
    monkeypatch.setattr(ladder_triton, "_scan", compiled)
    return compiled


def instructions(program: Any) -> set[str]:
    return set(re.findall(r"^\s+(?:@!?%\w+ )?([a-z][\w.]+)", program.asm["ptx"], re.MULTILINE))


BOUNDED = {"low": -1.0, "high": 0.9, "bursts": 3, "kept": 3}
PLAIN = {"low": None, "high": None, "bursts": 1, "kept": 1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [1, 8])
@pytest.mark.parametrize("options", [PLAIN, BOUNDED], ids=["plain", "bounded"])
@pytest.mark.parametrize("features", [1, 64])
def test_what_is_compiled_is_ieee_arithmetic_that_waits_for_nobody(
    compiled: _Compiled, dtype: torch.dtype, levels: int, options: dict[str, Any], features: int
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


def test_places_are_wide_where_a_step_has_many_values(compiled: _Compiled) -> None:
    x, scale = torch.empty(1, 2**31, device="meta"), torch.empty(1, 1, device="meta")
    for count in (2**31 - 513, 2**31 - 512):
        ladder_triton.ladder_scan(
            x[:, :count], x[0, 0], scale, scale, scale, 8, 1, True, axis=0, **PLAIN
        )
    narrow, wide = (program.asm["ttir"] for program in compiled.programs)
    assert "tensor<512xi64>" in wide.split("arith.cmpi")[0]
    assert "tensor<512xi64>" not in narrow.split("arith.cmpi")[0]


@pytest.mark.parametrize(
    ("shape", "strides", "joined"),
    [
        ((2, 3, 4), [(12, 4, 1), (0, 0, 0)], ((24,), (1,), (0,))),
        ((2, 3, 4), [(12, 4, 1), (0, 0, 1)], ((4, 6), (1, 4), (1, 0))),
        ((2, 3, 4), [(3, 1, 6), (12, 4, 1)], ((4, 6), (6, 1), (1, 4))),
        ((2, 1, 4), [(4, 99, 1), (4, 7, 1)], ((8,), (1,), (1,))),
        ((1, 1), [(5, 5), (7, 7)], ((1,), (0,), (0,))),
        ((), [(), ()], ((1,), (0,), (0,))),
    ],
)
def test_dimensions_are_joined_where_all_go_through_them_as_one(
    shape: tuple[int, ...], strides: list[tuple[int, ...]], joined: tuple[tuple[int, ...], ...]
) -> None:
    assert ladder_triton._joined(shape, *strides) == joined
