"""A look-up in one pass over memory: ``snnconvert::look_up``, where it was compiled.

It gives the bits of :meth:`snnconvert.ops.tables.Table.__call__`, and a value at rest in the place
of one that is not finite, of a finite drive (`csrc/native.cpp`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snnconvert.ops.library import LIBRARY

try:
    from snnconvert.ops._native import look_up as _native
except ImportError:  # it is built where there is a compiler
    _native = None  # type: ignore[assignment]

_MOST_BITS = 22
_MOST = 2**_MOST_BITS  # entries, and parts of an octave, which float32 has no more of
_OCTAVES = 254  # of normal numbers of float32


def is_compiled_for(drive: Tensor) -> bool:
    """Tell whether the operator takes a drive: on a CPU, in float32 or float64, without gaps. A
    graph that is exported or compiled holds none: it may run elsewhere."""
    return (
        _native is not None
        and not torch.compiler.is_compiling()
        and drive.device.type == "cpu"
        and drive.dtype in (torch.float32, torch.float64)
        and drive.is_contiguous()
    )


def look_up(
    drive: Tensor,
    entries: Tensor,
    whole: Sequence[int],
    real: Sequence[float],
    bits: Sequence[int] = (),
) -> Tensor:
    """Return what a table says of a drive, without a gradient.

    Args:
        drive: of any shape; see `is_compiled_for`.
        entries: of the table, of the drive's dtype.
        whole: symmetry, positions of an octave (0: equal steps) and of a cycle (0: there is none),
            whether cycles are below alone, gain, first position, whether ``relu`` of the drive is
            added, and the first of the octaves that ``bits`` are of.
        real: positions for each unit, origin; lower and upper end of the range; slope and jump
            below, slope and jump above; the value at rest.
        bits: of the index of parts, for each octave; empty: all have as many.
    """
    found: Tensor = torch.ops.snnconvert.look_up(drive, entries, whole, real, bits)
    return found


def _compiled(
    drive: Tensor,
    entries: Tensor,
    whole: Sequence[int],
    real: Sequence[float],
    bits: Sequence[int],
) -> Tensor:
    if (
        not is_compiled_for(drive)
        or (entries.dtype, entries.device) != (drive.dtype, drive.device)
        or entries.dim() != 1
        or not 1 <= len(entries) <= _MOST
        or len(whole) != 8
        or not 0 <= whole[1] <= _MOST
        or len(real) != 9
        or len(bits) > _OCTAVES
        or not all(0 <= b <= _MOST_BITS for b in bits)
        or not -_OCTAVES // 2 < whole[7] <= _OCTAVES // 2
    ):
        raise ValueError(
            "look_up: a contiguous drive in float32 or float64 on the CPU, entries [n] like it and "
            f"parts of an octave up to {_MOST}, 8 whole and 9 real numbers, and bits up to "
            f"{_MOST_BITS} of at most {_OCTAVES} octaves are needed; "
            f"received {list(drive.shape)} {drive.dtype} on {drive.device}, entries "
            f"{list(entries.shape)} {entries.dtype} on {entries.device}, {whole=}, {real=}, {bits=}"
        )
    out = torch.empty_like(drive)
    given = (drive, entries.contiguous(), out)
    numbers = (torch.get_num_threads(), drive.numel(), len(entries), *whole)
    pointers = tuple(x.data_ptr() for x in given)
    _native(drive.dtype is torch.float64, pointers, numbers, tuple(real), tuple(bits))
    return out


if _native is not None:
    LIBRARY.define(
        "look_up(Tensor drive, Tensor entries, int[8] whole, float[9] real, int[] bits) -> Tensor"
    )
    LIBRARY.impl("look_up", _compiled, "CPU")
    torch.library.register_fake(
        "snnconvert::look_up", lambda drive, *_: torch.empty_like(drive), lib=LIBRARY
    )
