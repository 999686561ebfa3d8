"""Text of Python in every string of sound files: nothing of it runs, whatever is said of it."""

from __future__ import annotations

import io
import json
import os
import pickletools
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.export import Dim

import snnconvert
from snnconvert.errors import SnnconvertError
from snnconvert.sources.inputs import parse_input
from tests.fuzz.conftest import examples

# What ends a string, a call, a signature or a line, and makes a file called "marker".
MARK = "open(*['marker']+['w'])"
ENDS = (
    "{}",
    "x={}",
    '"+str({})+"',
    "'+str({})+'",
    'training") == {} or str("0',
    "training') == {} or str('0",
    'x={},y="""):\n    return 0\n    #',
    "x={},y='''):\n    return 0\ndef h(self):\n    f(([0",
    "\n{}\n",
    "s0+{}",
    "torch.ops.aten.{}",
)
texts = st.sampled_from(ENDS).map(lambda end: end.format(MARK))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("b", torch.randn(4))
        self.c = torch.randn(4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = (self.l(x) * self.b).reshape(x.shape[0] * 2, -1)
        return {"o": y.relu(), "p": torch.div(y + self.c[:2], 2, rounding_mode="floor")}


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@cache
def program(suffix: str) -> bytes:
    x = torch.randn(2, 4)
    exported = torch.export.export(Net().eval(), (x,), dynamic_shapes=({0: Dim.AUTO},))
    if suffix == ".snn":
        return snnconvert.convert(exported, verify=False).dumps()
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    return buffer.getvalue()


def rewritten(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, change(name, source.read(name)))
    return target.getvalue()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text and every key in a document, with the names of the entries that lead to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for entry in value:
            yield from places(entry, path)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield (*path[-2:], "key"), key
            yield from places(entry, (*path[-2:], key))


def renamed(value: Any, old: str, new: str) -> Any:
    """The document with every text and every key that is ``old`` as ``new``."""
    if isinstance(value, dict):
        return {new if k == old else k: renamed(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [renamed(v, old, new) for v in value]
    return new if value == old else value


def a_text_of(document: Any, draw: Callable[..., Any]) -> str:
    """One of the texts and keys of a document; first its kind is drawn."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for path, own in places(document):
        kinds.setdefault(path, []).append(own)
    return draw(st.sampled_from(kinds[draw(st.sampled_from(sorted(kinds)))]))


def runs_nothing(name: str, content: bytes, load: Callable[[Path], object]) -> None:
    """Loads a file in an empty working directory, where no marker may appear."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            Path(name).write_bytes(content)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                load(Path(name))
        except SnnconvertError as error:
            assert "\x1b" not in str(error)
        finally:
            os.chdir(here)
            assert os.listdir(folder) == [name]


@pytest.mark.parametrize("suffix", [".pt2", ".snn"])
@examples(250)
@given(data=st.data(), text=texts)
def test_texts_of_a_program(suffix: str, data: Any, text: str) -> None:
    with zipfile.ZipFile(io.BytesIO(program(suffix))) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json")]
        documents = {name: json.loads(archive.read(name)) for name in names}
    old = a_text_of(documents[data.draw(st.sampled_from(names))], data.draw)

    def change(name: str, content: bytes) -> bytes:
        document = documents.get(name)
        # The words of the format itself are no names: to change them only breaks it.
        if document is None or old in ("name", "arg", "key"):
            return content
        return json.dumps(renamed(document, old, text)).encode()

    load = snnconvert.load if suffix == ".snn" else convert
    runs_nothing(f"m{suffix}", rewritten(program(suffix), change), load)


def convert(path: Path) -> object:
    return snnconvert.convert(path, verify=False)


@examples(60)
@given(data=st.data(), text=texts)
def test_texts_of_a_pickled_module(data: Any, text: str) -> None:
    content = saved(nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.GELU())).eval())

    def change(name: str, old: bytes) -> bytes:
        if not name.endswith("data.pkl"):
            return old
        found = [
            (at, argument)
            for opcode, argument, at in pickletools.genops(old)
            if opcode.name == "BINUNICODE" and at is not None
        ]
        at, argument = found[data.draw(st.integers(0, len(found) - 1))]
        end = at + 5 + len(argument.encode())
        new = text.encode()
        return old[:at] + b"X" + struct.pack("<I", len(new)) + new + old[end:]

    def load(path: Path) -> object:
        return snnconvert.convert(path, (torch.randn(2, 4),), verify=False)

    runs_nothing("m.pt", rewritten(content, change), load)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@examples(20)
@given(text=texts, model=st.booleans())
def test_names_of_tensors(suffix: str, text: str, model: bool) -> None:
    tensors = {"input": torch.randn(2, 4), text: torch.randn(2, 4)}
    content = saved(tensors) if suffix == ".pt" else save_tensors(tensors)

    def load(path: Path) -> object:
        if model:
            arch = "demo:digits-vit"
            return snnconvert.convert(path, arch=arch, verify=False)
        args, kwargs = parse_input(str(path))
        return snnconvert.convert(nn.Linear(4, 4).eval(), kwargs or args, verify=False)

    runs_nothing(f"x{suffix}", content, load)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("suffix", [".pt2", ".snn"])
def test_every_end_in_the_place_of_an_inputs_name(suffix: str, end: str) -> None:
    """What is drawn above may miss what is known to have run once."""

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("model.json"):
            return content
        return json.dumps(renamed(json.loads(content), "x", end.format(MARK))).encode()

    load = snnconvert.load if suffix == ".snn" else convert
    runs_nothing(f"m{suffix}", rewritten(program(suffix), change), load)
