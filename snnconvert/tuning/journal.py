"""The runs of a search so far, on disk: tuning that was stopped can go on where it was.

One line of JSON for each run, on the disk before the next begins. A run counts for the same model,
data, rules, time steps, output and choices, and the same versions only.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any, TypeVar

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.lines import append_line, begins_as, content_of_lines, remove_lines
from snnconvert.sources.paths import expanded
from snnconvert.torch_private import pytree
from snnconvert.version import __version__
from snnconvert.wording import shown

Figures = TypeVar("Figures", float, list[list[float]])
_BEGINNING = b'{"tuning": "'


class TuningJournal:
    """Runs by what they were of.

    Args:
        path: the file, made with the first run; runs that it holds count. None: nothing is kept.
        of: digest of all that runs depend on (`digest_of`).

    Raises:
        InputError: it holds something else than runs, or those of another search; it is a link,
            no regular file, or too large; or there is no folder for it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, of: str = "") -> None:
        self.path, self.of = None if path is None else expanded(path), of
        self._found: dict[str, Any] = {}
        data = None if self.path is None else content_of_lines(self.path)
        if data is None:
            return
        if not begins_as(data, _BEGINNING):
            raise InputError(
                f"{shown(path)}: runs are kept there, but it holds something else; remove the "
                "file, or give it another name"
            )
        for line in data.splitlines():
            self._remember(line)

    def _remember(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            of, run, figures = row["tuning"], str(row["run"]), row["figures"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return  # half a line, at which a search was killed
        if of != self.of:
            raise InputError(
                f"{shown(self.path)}: holds runs of another model, or of other data, rules, time "
                "steps, outputs or versions; remove the file, or give it another name"
            )
        self._found[run] = figures

    def recalled(self, run: str, make: Callable[[], Figures], *shape: int) -> Figures:
        """Return the figures of a run: those that were kept of it, or what is made now.

        Args:
            run: what it is of.
            make: runs it.
            shape: of its figures, as of nested lists.
        """
        found: Any = self._found.get(run)
        if _fits(found, shape):
            recalled: Figures = found
            return recalled
        made = self._found[run] = make()
        if self.path is not None and _fits(made, shape):
            line = json.dumps({"tuning": self.of, "run": run, "figures": made}) + "\n"
            append_line(self.path, line.encode())
        return made

    def remove(self) -> None:
        """Remove the file, once what it was kept for is found."""
        if self.path is not None:
            remove_lines(self.path, _BEGINNING)


def _fits(found: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether what was found are finite figures of a shape."""
    if not shape:
        return isinstance(found, float) and 0 <= found < math.inf
    if not isinstance(found, list) or len(found) != shape[0]:
        return False
    return all(_fits(x, shape[1:]) for x in found)


def digest_of(
    tensors: Iterable[tuple[str, Tensor]], data: Iterable[Any], facts: Iterable[str]
) -> str:
    """Return a digest of tensors, of batches, of other facts, and of the versions.

    Args:
        tensors: all of a conversion by name; its thresholds say what it was calibrated on.
        data: batches that are chosen on.
        facts: what else runs depend on.
    """
    digest = hashlib.sha256()
    for fact in (__version__, version("torch"), *facts):
        digest.update(f"{len(fact)} {fact}".encode())
    for name, tensor in tensors:
        digest.update(name.encode())
        _add(digest, tensor)
    for leaf in pytree.tree_leaves(list(data)):
        _add(digest, leaf)
    return digest.hexdigest()


def _add(digest: Any, leaf: Any) -> None:
    if not isinstance(leaf, Tensor):
        digest.update(repr(leaf).encode())
        return
    digest.update(f"{leaf.dtype} {tuple(leaf.shape)}".encode())
    if leaf.is_complex():
        leaf = torch.view_as_real(leaf.resolve_conj())
    flat = leaf.detach().cpu().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy().data)
