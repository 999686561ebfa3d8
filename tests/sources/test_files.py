"""Files are told apart by content; each unusable one gets an error that says what to do."""

from __future__ import annotations

import collections
import io
import os
import random
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from snnconvert.errors import SourceError
from snnconvert.sources import formats
from snnconvert.sources.load import load_source

ARCH = "demo:digits-vit"


def build() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


@pytest.fixture
def arch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """``python:...`` of a factory in the working directory, as a user would have it."""
    name = f"factory_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def net():\n"
        "    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))\n"
        "    return model, (torch.ones(2, 4),)\n"
        "class Tied(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)\n"
        "        self.b.weight = self.a.weight\n"
    )
    monkeypatch.chdir(tmp_path)
    return f"python:{name}:net"


def saved(path: Path, value: Any, **options: Any) -> Path:
    torch.save(value, path, **options)
    return path


# State dicts


@pytest.mark.parametrize(
    ("wrap", "note"),
    [
        (lambda s: s, "weights of"),
        (lambda s: {"state_dict": s, "epoch": 3}, "'state_dict'"),
        (lambda s: {"epoch": 3, "model": s}, "'model'"),
        (lambda s: {"model": {"state_dict": s}}, "'state_dict'"),
        (lambda s: {f"module.{k}": v for k, v in s.items()}, "prefix 'module.' removed"),
        (lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()}, "'_orig_mod.' removed"),
        (lambda s: collections.OrderedDict(s), "weights of"),
    ],
)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_state_dicts_load_into_their_architecture(
    wrap: Any, note: str, legacy: bool, arch: str, tmp_path: Path
) -> None:
    state = build().state_dict()
    state["0.weight"] += 7
    path = saved(tmp_path / "w.bin", wrap(state), _use_new_zipfile_serialization=not legacy)
    source = load_source(path, arch=arch)
    assert torch.equal(source.model.state_dict()["0.weight"], state["0.weight"])
    assert note in source.note
    assert source.args[0].shape == (2, 4)
    assert not source.model.training


def test_safetensors_need_and_fit_an_architecture(arch: str, tmp_path: Path) -> None:
    path = tmp_path / "w.whatever"
    save_file(build().state_dict(), path)
    with pytest.raises(SourceError, match=r"weights only \(.* tensors.*arch="):
        load_source(path)
    source = load_source(path, arch=arch)
    assert torch.equal(source.model.state_dict()["2.bias"], build().state_dict()["2.bias"])


def test_wrong_keys_and_shapes_are_listed_and_counted(arch: str, tmp_path: Path) -> None:
    state = {f"extra{i}": torch.zeros(1) for i in range(7)}
    state |= {"0.weight": torch.zeros(5, 4), "0.bias": torch.zeros(3)}
    with pytest.raises(SourceError) as error:
        load_source(saved(tmp_path / "w.pt", state), arch=arch)
    message = str(error.value)
    assert "6 missing in the file: 1.weight" in message and "and 1 more" in message
    assert "7 unknown to the architecture: extra0" in message and "and 2 more" in message
    assert "0.weight (file [5, 4], architecture [3, 4])" in message
    assert "num_batches_tracked" not in message


def test_tied_weights_may_be_stored_once(arch: str, tmp_path: Path) -> None:
    state = {"a.weight": torch.ones(3, 3), "a.bias": torch.zeros(3), "b.bias": torch.zeros(3)}
    path = saved(tmp_path / "w.pt", state)
    source = load_source(path, arch=arch.replace(":net", ":Tied"))
    assert torch.equal(source.model.b.weight, torch.ones(3, 3))
    del state["b.bias"]
    with pytest.raises(SourceError, match=r"1 missing in the file: b\.bias"):
        load_source(saved(path, state), arch=arch.replace(":net", ":Tied"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (torch.zeros(3), "a single tensor"),
        ({}, "holds a dictionary"),
        ({"epoch": 3, "optimizer": {"lr": 1}}, "keys epoch, optimizer"),
        ([torch.zeros(3)], "holds a list"),
        (3, "holds a int"),
        ({0: torch.zeros(2)}, "dictionary"),
        ({"model": {"model": {"model": 1}}}, "dictionary"),
    ],
)
def test_other_contents_are_named(value: Any, reason: str, arch: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=reason):
        load_source(saved(tmp_path / "w.pt", value), arch=arch)


# Modules


def test_a_saved_module_is_in_eval_mode_and_lacks_examples(tmp_path: Path) -> None:
    source = load_source(saved(tmp_path / "model.pth", build().train()))
    assert not any(module.training for module in source.model.modules())
    assert source.args == () and "--input" in source.note
    assert "came in train mode" in source.note
    again = load_source(saved(tmp_path / "eval.pth", build().eval()))
    assert "train mode" not in again.note


def test_a_module_in_a_checkpoint_is_found(tmp_path: Path) -> None:
    source = load_source(saved(tmp_path / "model.pt", {"model": build(), "epoch": 2}))
    assert isinstance(source.model, nn.Sequential) and "'model'" in source.note


def broken(change: Any) -> nn.Module:
    model = build()
    change(model)
    return model


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: vars(m).update(_modules={"0": 3}), "_modules is not a mapping"),
        (lambda m: vars(m).pop("_buffers"), "_buffers is not a mapping"),
        (lambda m: vars(m[0]).update(_parameters=[1]), "_parameters is not a mapping"),
        (lambda m: vars(m[0])["_parameters"].update({"weight": "w"}), "names to Tensor"),
        (lambda m: m[0]._modules.update(self=m), "contains itself"),
        (lambda m: m[0].register_buffer("b", torch.zeros(3, device="meta")), "without values"),
        (lambda m: m[0].register_buffer("b", torch.zeros(1).expand(1 << 40)), "would take"),
    ],
)
def test_unsound_modules_are_refused(change: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=reason):
        load_source(saved(tmp_path / "model.pt", broken(change)))


def test_shared_modules_cannot_explode(tmp_path: Path) -> None:
    module: nn.Module = nn.Identity()
    for _ in range(40):
        module = nn.Sequential(nn.Sequential(module), nn.Sequential(module))
    with pytest.raises(SourceError, match="paths"):
        load_source(saved(tmp_path / "model.pt", module))


# Other kinds of files


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


FILES = {
    "empty": (b"", "is empty"),
    "text": (b"hello there, this is a readme\n", "a text file"),
    "utf-8 text cut in a character": ("ä".encode() * 4000, "a text file"),
    "rules": (b"version: 1\nrules: []\n", "a text file; give a model file; a rule file"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "html": (b"<!DOCTYPE html><html>", "a text file"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.0.0:\x00", "an ONNX model"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "keras": (zipped(**{"model.weights.h5": b"x", "config.json": b"{}"}), "a Keras model"),
    "npz": (zipped(**{"a.npy": b"x"}), "NumPy archive"),
    "other zip": (zipped(**{"readme.txt": b"x"}), "a zip archive"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "a zip archive"),
    "torchscript": (
        zipped(**{"m__data.pkl": b"x", "m__constants.pkl": b"x"}),
        "TorchScript",
    ),
    "old export": (zipped(**{"serialized_exported_program.json": b"{}"}), "PyTorch 2.7"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite"),
    "gzip": (b"\x1f\x8b\x08" + bytes(99), "decompress"),
    "plain pickle": (b"\x80\x04\x95" + bytes(99), "a plain pickle"),
    "binary": (b"\x00\x01\x02\xff" * 40, "not a model file of a known kind"),
    "elf": (b"\x7fELF" + bytes(99), "not a model file of a known kind"),
    "cut safetensors": ((500).to_bytes(8, "little") + b'{"a":', "damaged safetensors"),
    "cut zip": (b"PK\x03\x04" + bytes(99), "truncated or damaged"),
    "cut legacy": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "truncated"),
}


@pytest.mark.parametrize("kind", FILES)
def test_other_files_get_an_error_that_names_them(kind: str, tmp_path: Path) -> None:
    content, reason = FILES[kind]
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=reason) as error:
        load_source(path, arch=ARCH)
    assert str(path) in str(error.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_real_torchscript_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), path)
    with pytest.raises(SourceError, match="a TorchScript file"):
        load_source(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_truncated_files_are_refused(part: float, legacy: bool, arch: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    saved(path, build().state_dict(), _use_new_zipfile_serialization=not legacy)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(SourceError):
        load_source(path, arch=arch)


def test_a_flipped_bit_in_the_weights_is_found(arch: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"w": torch.arange(1000.0)})
    data = bytearray(path.read_bytes())
    data[data.index(torch.arange(1000.0).numpy().tobytes()) + 777] ^= 4
    path.write_bytes(data)
    with pytest.raises(SourceError, match="checksum"):
        load_source(path, arch=arch)


def test_random_damage_gives_only_our_errors(arch: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    numbers = random.Random(0)
    for legacy in (False, True):
        saved(path, build().state_dict(), _use_new_zipfile_serialization=not legacy)
        original = path.read_bytes()
        for _ in range(60):
            data = bytearray(original)
            for _ in range(numbers.randrange(1, 4)):
                data[numbers.randrange(len(data))] = numbers.randrange(256)
            path.write_bytes(data)
            try:
                load_source(path, arch=arch)
            except SourceError:
                continue


# Archives that lie


def test_zip_bombs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/data/0", bytes(20_000_000))
    with pytest.raises(SourceError, match="is compressed"):
        load_source(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_the_same_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/data.pkl", b"\x80\x02].")
    with pytest.raises(SourceError, match="same name"):
        load_source(path)


def test_members_outside_of_the_archives_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("../../evil", b"x")
    with pytest.raises(SourceError):
        load_source(path)
    assert not (tmp_path.parent.parent / "evil").exists()


# What is no file


def test_pipes_and_unreadable_files_do_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SourceError, match="not a regular file"):
        load_source(pipe)
    with pytest.raises(SourceError):
        load_source("/dev/zero")


def test_directories_say_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"without config.json and without a model file"):
        load_source(tmp_path)
    (tmp_path / "weights.pt").touch()
    with pytest.raises(SourceError, match=r"give one of its files: weights.pt"):
        load_source(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(SourceError, match="TensorFlow SavedModel"):
        load_source(tmp_path)


def test_an_archive_whose_version_is_no_text_is_refused(arch: str, tmp_path: Path) -> None:
    """Torch's message quotes the version, which is then no text either."""
    saved(tmp_path / "w.pt", build().state_dict())
    path = tmp_path / "bad.pt"
    with zipfile.ZipFile(tmp_path / "w.pt") as sound, zipfile.ZipFile(path, "w") as archive:
        for name in sound.namelist():
            archive.writestr(name, b"\x80\n" if name.endswith("/version") else sound.read(name))
    with pytest.raises(SourceError, match="damaged archive"):
        load_source(path, arch=arch)


def test_a_file_that_grows_or_shrinks_while_it_is_read_is_told(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.pt"
    saved(path, build().state_dict())
    whole = path.read_bytes()
    for content in (whole + b"more", whole[:-4]):
        path.write_bytes(whole)

        def changing(descriptor: int, content: bytes = content) -> os.stat_result:
            found = os.fstat(descriptor)
            path.write_bytes(content)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(formats, "os", SimpleNamespace(fstat=changing))
            with pytest.raises(SourceError, match="changed while it was read"):
                load_source(path, arch=arch)


# What weights are, and what they are for


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w * (1 + 2j), "complex, where the architecture is real"),
        (lambda w: w.to_sparse(), "sparse or quantised"),
    ],
)
def test_weights_of_another_nature_are_refused(
    change: Any, words: str, arch: str, tmp_path: Path
) -> None:
    state = build().state_dict()
    path = saved(tmp_path / "w.pt", {**state, "0.weight": change(state["0.weight"])})
    with pytest.raises(SourceError, match=words):
        load_source(path, arch=arch)


def test_a_cast_from_another_kind_of_number_is_noted(arch: str, tmp_path: Path) -> None:
    state = build().state_dict()
    path = saved(tmp_path / "w.pt", {**state, "0.weight": state["0.weight"] > 0})
    assert "bool was cast to float32: 0.weight" in load_source(path, arch=arch).note
    assert "was cast" not in load_source(saved(tmp_path / "v.pt", state), arch=arch).note


def test_names_of_weights_are_names(arch: str, tmp_path: Path) -> None:
    state = {**build().state_dict(), 'a"), print(1) or ("': torch.ones(1)}
    with pytest.raises(SourceError, match="not accepted as the name of a module or tensor"):
        load_source(saved(tmp_path / "w.pt", state), arch=arch)


@pytest.mark.parametrize("register", ["_modules", "_parameters", "_buffers"])
def test_names_in_a_module_are_names(register: str, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    entries = {"_modules": nn.GELU(), "_parameters": nn.Parameter(torch.ones(1))}
    vars(model)[register]['training") or print(1) or str("0'] = entries.get(register)
    with pytest.raises(SourceError, match="not accepted as the name of a child"):
        load_source(saved(tmp_path / "m.pt", model))


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """Each entry of the directory points at the same bytes: together they claim more than all."""
    one, path = io.BytesIO(), tmp_path / "m.pt"
    with zipfile.ZipFile(one, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}." + bytes(100_000))
        info = archive.getinfo("m/data.pkl")
        for number in range(20):
            copy = zipfile.ZipInfo(f"m/data/{number}")
            for name in ("header_offset", "CRC", "file_size", "compress_size"):
                setattr(copy, name, getattr(info, name))
            archive.filelist.append(copy)
    path.write_bytes(one.getvalue())
    with pytest.raises(SourceError):
        load_source(path)
