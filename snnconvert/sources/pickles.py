"""Loads what ``torch.save`` wrote, without running code from the file.

Before anything is loaded the pickle is scanned (:mod:`snnconvert.sources.pickle_scan`) and every
global that it asks for judged (:mod:`snnconvert.sources.pickle_policy`). Only then it goes through
``torch.load(weights_only=True)``, told of exactly the accepted globals.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from snnconvert.errors import SourceError
from snnconvert.sources.archives import open_archive
from snnconvert.sources.budget import check_memory, tensors_in
from snnconvert.sources.pickle_policy import PACKAGES, Verdict, judge
from snnconvert.sources.pickle_scan import Request, scan
from snnconvert.sources.trust import TRUST_MEANING, Trust
from snnconvert.wording import shown

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 5  # magic number, protocol, system, the object, the keys of its storages
_MOST_SHOWN = 20


def load_pickle(data: bytes, where: str, trust: Trust) -> Any:
    """The object that ``torch.save`` wrote into ``data``; modules need accepted classes."""
    if trust.any_pickle:
        return _load(data, where, weights_only=False)
    verdict = judge(requested(data, where), trust)
    if verdict.refused:
        raise SourceError(_refusal(where, verdict))
    with _accepted(verdict):
        return _load(data, where, weights_only=True)


def load_tensors(data: bytes, where: str) -> Any:
    """The tensors and plain containers that ``torch.save`` wrote into ``data``.

    Raises:
        SourceError: it holds something else, or asks for more memory than the file has bytes.
    """
    check_tensors_only(data, where)
    loaded = _load(data, where, weights_only=True)
    check_memory(tensors_in(loaded, where), len(data), where)
    return loaded


def check_tensors_only(data: bytes, where: str) -> None:
    """Refuses a ``torch.save`` file that holds anything but tensors and plain containers."""
    verdict = judge(requested(data, where), Trust(), modules=False)
    if verdict.refused:
        raise SourceError(_refusal(where, verdict))


def requested(data: bytes, where: str) -> Request:
    """What the pickles in ``data`` ask for; nothing of it is imported or called."""
    request = Request()
    if data.startswith(ZIP_MAGIC):
        archive = open_archive(data, where)
        if "data.pkl" not in archive.names or "constants.pkl" in archive.names:
            raise SourceError(f"{where}: the archive was not written by torch.save")
        scan(io.BytesIO(archive.read("data.pkl")), request, where)
    else:
        stream = io.BytesIO(data)
        for _ in range(_LEGACY_PICKLES):
            scan(stream, request, where)
    claimed = sum(request.storages.values())
    if claimed > len(data):
        raise SourceError(
            f"{where}: its tensors would take {claimed} bytes, the file has {len(data)}: refused"
        )
    return request


def _load(data: bytes, where: str, weights_only: bool) -> Any:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=weights_only)
    except Exception as error:
        raise SourceError(
            f"{where}: cannot be loaded ({type(error).__name__}: {shown(error, 300)})"
        ) from None


@contextmanager
def _accepted(verdict: Verdict) -> Iterator[None]:
    """Tells PyTorch's safe loader of the accepted globals; the user's own list stays as it was."""
    before = torch.serialization.get_safe_globals()
    try:
        with torch.serialization.safe_globals(list(verdict.accepted)):
            yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _refusal(where: str, verdict: Verdict) -> str:
    lines = [f"{where}: refused, because its pickle asks for what is not accepted:"]
    for name, reason in list(verdict.refused.items())[:_MOST_SHOWN]:
        lines.append(f"  {shown(name)}" + (f": {reason}" if reason else ""))
    if len(verdict.refused) > _MOST_SHOWN:
        lines.append(f"  and {len(verdict.refused) - _MOST_SHOWN} more")
    lines += [
        f"Accepted are tensors and nn.Module classes of {', '.join(PACKAGES)}. What you can do:",
        "  save model.state_dict() instead of the model, and say which architecture it is for "
        "with arch= (--arch);",
        "  accept the nn.Module classes of a package with allow=('PACKAGE',) (--allow PACKAGE), "
        "whose modules are then imported;",
        f"  {TRUST_MEANING}.",
    ]
    return "\n".join(lines)
