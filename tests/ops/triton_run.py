"""Triton kernels in processes of their own, and what is compiled of them for a GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

triton = pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs only")

ROOT = Path(__file__).parents[2]
PLACES = pytest.mark.parametrize("place", ["interpreter", "gpu"])


def run_tests(name: str, place: str) -> None:
    """Run a file of tests beside this one where kernels run; raise where one fails."""
    if place == "gpu" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    environment = {**os.environ, "TRITON_INTERPRET": "1" if place == "interpreter" else "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", str(Path(__file__).parent / name)]
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


class Compiled:
    """In the place of a kernel: compiles what would be launched."""

    def __init__(self, kernel: Any) -> None:
        self.kernel, self.programs = triton.jit(kernel.fn), []

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*args: Any, **options: Any) -> None:
            self.programs.append(self.kernel.warmup(*args, grid=grid, **options))

        return launch


def compiled(module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Compiled:
    """Have the kernel of a module compiled where it would be launched."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(triton.runtime.driver, "_active", _Device())
    found = Compiled(module._scan)
    monkeypatch.setattr(module, "_scan", found)
    return found


def instructions(program: Any) -> set[str]:
    """Return the names of the instructions of a compiled kernel."""
    return set(re.findall(r"^\s+(?:@!?%\w+ )?([a-z][\w.]+)", program.asm["ptx"], re.MULTILINE))
