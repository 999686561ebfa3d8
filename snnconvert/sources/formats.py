"""Tells what a file is by its content; its name counts only where the content does not tell."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snnconvert.errors import SourceError
from snnconvert.files import opened
from snnconvert.sources.archives import member_names
from snnconvert.sources.pickles import LEGACY_MAGIC, ZIP_MAGIC
from snnconvert.wording import shown

_HEAD = 4096
_LARGEST_HEADER = 100_000_000

CONVERSION_MEMBER = "extra/snnconvert.json"  # of a saved conversion, beside its program
EXPORTED_PROGRAM = "an exported program (.pt2)"
TORCH_SAVE = "a torch.save file"
SAFETENSORS = "a safetensors file"
GGUF = "a GGUF file"


@dataclass(frozen=True)
class Content:
    """A file as far as it has been looked at.

    Arguments:
        path: where it is.
        head: its first 4 KiB.
        data: all of it, read once; empty for files that are not loaded from memory.
        members: the names in it, where it is a zip archive.
    """

    path: Path
    head: bytes
    data: bytes = b""
    members: frozenset[str] = frozenset()

    def has_member(self, ending: str) -> bool:
        return any(name == ending or name.endswith(f"/{ending}") for name in self.members)


@dataclass(frozen=True)
class Format:
    """A kind of file: how it is recognised, and for those that cannot be read, what to do."""

    name: str
    matches: Callable[[Content], bool]
    advice: str = ""


def read_content(path: Path) -> Content:
    """Looks at a regular file; torch files are read whole, so that they cannot change later."""
    try:
        with opened(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            head = stream.read(_HEAD)
            if not size:
                raise SourceError(f"{path}: the file is empty")
            if not head.startswith((ZIP_MAGIC, LEGACY_MAGIC)):
                return Content(path, head)
            data = head + stream.read(max(0, size - len(head)) + 1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) != size:
        raise SourceError(f"{path}: the file changed while it was read; try again")
    members = member_names(data, str(path)) if head.startswith(ZIP_MAGIC) else frozenset[str]()
    return Content(path, head, data, members)


def recognise(content: Content) -> str:
    """The name of the content's format, if it can be loaded; otherwise an error with advice."""
    for candidate in FORMATS:
        if candidate.matches(content):
            if candidate.advice:
                raise SourceError(f"{content.path}: is {candidate.name}; {candidate.advice}")
            return candidate.name
    raise SourceError(
        f"{content.path}: is not a model file of a known kind (it starts with "
        f"{content.head[:8]!r}); known are {EXPORTED_PROGRAM}, {TORCH_SAVE} and {SAFETENSORS}"
    )


def _starts(*magic: bytes) -> Callable[[Content], bool]:
    return lambda content: content.head.startswith(magic)


def _member(*endings: str) -> Callable[[Content], bool]:
    return lambda content: any(content.has_member(ending) for ending in endings)


def _is_safetensors(content: Content) -> bool:
    header = int.from_bytes(content.head[:8], "little")
    return 2 <= header <= _LARGEST_HEADER and content.head[8:9] == b"{"


def _is_onnx(content: Content) -> bool:
    """ONNX has no magic: field 1 (version, small), and soon its producer's name."""
    start = content.head[:512].lower()
    small_version = start[:1] == b"\x08" and start[1:2] < b"\x20"
    named = any(producer in start for producer in (b"onnx", b"pytorch", b"tf2onnx", b"skl2onnx"))
    return (small_version and named) or content.path.suffix.lower() == ".onnx"


def _is_text(content: Content) -> bool:
    try:
        text = content.head.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(content.head) - 3:
            return False
        text = content.head[: error.start].decode("utf-8")
    return all(c.isprintable() or c in "\r\n\t\f" for c in text)


_REWRITE = (
    "load it in the framework that wrote it, build the PyTorch model that it was made from, "
    "and save its state_dict() or torch.export.save() it"
)

FORMATS: tuple[Format, ...] = (
    Format(
        "a compiled AOTInductor package",
        lambda c: any("data/aotinductor/" in name for name in c.members),
        "it holds machine code and no graph; save the program with torch.export.save() instead",
    ),
    Format(
        "an exported program of PyTorch 2.7 or older",
        _member("serialized_exported_program.json"),
        "load it with the PyTorch that wrote it, and save it with a current torch.export.save()",
    ),
    Format(
        "a saved conversion",
        _member(CONVERSION_MEMBER),
        "its rules are applied already: load it with snnconvert.load(), verify it again with "
        "'snnconvert verify FILE', or convert the model that it was made from",
    ),
    Format(EXPORTED_PROGRAM, _member("archive_format")),
    Format(
        "a TorchScript file",
        _member("constants.pkl", "code/__torch__.py"),
        "TorchScript keeps no module classes and cannot be exported again; build the model in "
        "Python, load torch.jit.load(file).state_dict() into it, and save that with "
        "torch.export.save() or as a state_dict with arch= (--arch)",
    ),
    Format(TORCH_SAVE, lambda c: c.has_member("data.pkl") or c.head.startswith(LEGACY_MAGIC)),
    Format("a Keras model", _member("model.weights.h5"), _REWRITE),
    Format(
        "a NumPy archive (.npz)",
        lambda c: bool(c.members) and all(name.endswith(".npy") for name in c.members),
        "save the arrays as tensors with safetensors.torch.save_file() and give arch= (--arch)",
    ),
    Format(
        "a zip archive",
        _starts(b"PK"),
        "which no known model format has written; unpack it and give the model file",
    ),
    Format("an HDF5 file (Keras or TensorFlow weights)", _starts(b"\x89HDF"), _REWRITE),
    Format(GGUF, _starts(b"GGUF")),
    Format(SAFETENSORS, _is_safetensors),
    Format("a TensorFlow Lite model", lambda c: c.head[4:8] == b"TFL3", _REWRITE),
    Format(
        "a legacy tar checkpoint of PyTorch 0.1",
        lambda c: c.head[257:262] == b"ustar",
        "load it once with an old PyTorch and save its state_dict() with torch.save()",
    ),
    Format(
        "a plain pickle",
        _starts(b"\x80"),
        "only files that torch.save wrote can be checked before loading; load it where you trust "
        "it, and save model.state_dict() with torch.save() or safetensors",
    ),
    Format(
        "a compressed file",
        _starts(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd"),
        "decompress it and give the model file",
    ),
    Format("an ONNX model", _is_onnx, _REWRITE),
    Format(
        "a Git LFS pointer",
        _starts(b"version https://git-lfs"),
        "it only stands for the file; fetch the file itself with: git lfs pull",
    ),
    Format(
        "a text file",
        _is_text,
        "give a model file; a rule file goes to --rules, code to python:package.module:factory",
    ),
)


def describe_directory(path: Path) -> str:
    """What a directory without ``config.json`` is, and what to give instead."""
    names = sorted(entry.name for entry in path.iterdir())
    if "saved_model.pb" in names:
        return f"is a TensorFlow SavedModel; {_REWRITE}"
    endings = (".pt2", ".pt", ".pth", ".bin", ".safetensors", ".gguf")
    models = [name for name in names if name.endswith(endings)]
    if models:
        return (
            "is a directory without config.json, so not a Hugging Face model; give one of its "
            f"files: {', '.join(shown(name) for name in models[:5])}"
        )
    return "is a directory without config.json and without a model file"
