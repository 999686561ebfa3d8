"""Random and damaged files into every loader: our own errors or success, nothing else."""

from __future__ import annotations

import io
import json
import os
import resource
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save as save_tensors
from torch import nn
from torch.export import Dim

import snnconvert
from snnconvert.converter.calibration.file import dump_calibration, load_calibration
from snnconvert.converter.checks.check_list import read_check_list
from snnconvert.errors import SnnconvertError
from snnconvert.sources.inputs import batches_of, parse_input
from snnconvert.sources.load import load_source
from tests.fuzz.conftest import examples

SECONDS, MEGABYTES = 20.0, 1500
LINEAR = nn.Linear(3, 2).eval()
ARCH = "python:torch.nn:Identity"


def _torch(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _program() -> bytes:
    buffer = io.BytesIO()
    x = torch.randn(2, 3)
    torch.export.save(torch.export.export(LINEAR, (x,), dynamic_shapes=({0: Dim.AUTO},)), buffer)
    return buffer.getvalue()


def _spiking() -> snnconvert.ConvertedModule:
    x = torch.randn(4, 3)
    return snnconvert.convert(LINEAR, (x,), "spiking", calibration=[(x,)], verify=False)


def _arrays() -> bytes:
    import numpy

    buffer = io.BytesIO()
    numpy.save(buffer, numpy.zeros((2, 3), numpy.float32))
    return buffer.getvalue()


RULES = b"version: 1\nextends: default\nrules:\n  - {name: a, match: {op: linear}, action: td}\n"
LIST = b"version: 1\nmodels:\n  - timm:resnet18\n  - {model: x.pt, arch: 'timm:a', skip: slow}\n"
ZIPPED = ("m.pt", "w.pth", "m.pt2", "m.snn", "x.pt")
LOADERS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "module": ("m.pt", lambda: _torch(LINEAR), lambda p: load_source(p)),
    "weights": ("w.pth", lambda: _torch(LINEAR.state_dict()), lambda p: load_source(p, arch=ARCH)),
    "safetensors": (
        "w.safetensors",
        lambda: save_tensors(dict(LINEAR.state_dict())),
        lambda p: load_source(p, arch=ARCH),
    ),
    "program": ("m.pt2", _program, lambda p: load_source(p)),
    "conversion": ("m.snn", lambda: _spiking().dumps(), lambda p: snnconvert.load(p)),
    "calibration": (
        "c.safetensors",
        lambda: dump_calibration(_spiking().conversion.calibration),
        load_calibration,
    ),
    "rules": ("r.yaml", lambda: RULES, lambda p: snnconvert.load_rules(p)),
    "check list": ("l.yaml", lambda: LIST, read_check_list),
    "inputs": (
        "x.pt",
        lambda: _torch({"x": torch.zeros(2, 3)}),
        lambda p: parse_input(str(p)),
    ),
    "batches": ("d.npy", _arrays, lambda p: batches_of(str(p))),
    "hf config": (
        "config.json",
        lambda: json.dumps({"model_type": "bert", "hidden_size": 8}).encode(),
        lambda p: load_source(f"hf:{p.parent}"),
    ),
}
valid: dict[str, bytes] = {}


@pytest.fixture(autouse=True)
def _tempered() -> Iterator[None]:
    """Memory is bounded: what a file claims to hold must not be believed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEGABYTES * 2**20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def loaded(kind: str, content: bytes) -> bool:
    """Tell whether the loader takes a content; all but our own errors go through."""
    name, _, load = LOADERS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        began = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                load(path)
        except SnnconvertError as error:
            assert str(error)
            return False
        finally:
            assert time.monotonic() - began < SECONDS
            assert os.listdir(folder) == [name]
    return True


def original(kind: str) -> bytes:
    if kind not in valid:
        valid[kind] = LOADERS[kind][1]()
    return valid[kind]


@pytest.mark.parametrize("kind", LOADERS)
def test_the_whole_file_is_taken(kind: str) -> None:
    taken = loaded(kind, original(kind))
    # The architecture has no such weights; a config alone has none at all.
    assert taken == (kind not in ("weights", "safetensors", "hf config"))


@pytest.mark.parametrize("kind", LOADERS)
@examples(40)
@given(content=st.binary(max_size=400))
def test_random_bytes(kind: str, content: bytes) -> None:
    loaded(kind, content)


def damaged(data: Any, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, max(0, len(changed) - 1)))
        what = data.draw(st.sampled_from(["set", "cut", "insert", "repeat"]))
        if what == "set" and changed:
            changed[where] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del changed[where : where + data.draw(st.integers(1, 64))]
        elif what == "insert":
            changed[where:where] = data.draw(st.binary(max_size=16))
        else:
            changed[where:where] = changed[where : where + data.draw(st.integers(1, 64))]
    return bytes(changed)


@pytest.mark.parametrize("kind", LOADERS)
@examples(40)
@given(data=st.data())
def test_damaged_files(kind: str, data: Any) -> None:
    loaded(kind, damaged(data, original(kind)))


@pytest.mark.parametrize("kind", [k for k, (name, *_) in LOADERS.items() if name in ZIPPED])
@examples(120)
@given(data=st.data())
def test_damaged_members_of_sound_archives(kind: str, data: Any) -> None:
    """Checksums hold, so that what is inside is read."""
    with zipfile.ZipFile(io.BytesIO(original(kind))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(members)))
    members[name] = damaged(data, members[name])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    loaded(kind, buffer.getvalue())
