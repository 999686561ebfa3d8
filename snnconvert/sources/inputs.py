"""Example inputs as text or file: ``2,3,224,224``, ``int:2,16``, ``images.npy``, ..."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from snnconvert.errors import InputError, SourceError
from snnconvert.files import opened, read_whole
from snnconvert.sources.budget import MOST_DIMENSIONS, dimensions_problem, tensors_in
from snnconvert.sources.names import keyword_problem
from snnconvert.sources.paths import expanded
from snnconvert.sources.pickles import load_tensors
from snnconvert.torch_private import pytree
from snnconvert.wording import listed, shown

LARGEST_ID = 100
_MOST_NUMBERS = 1 << 27  # half a GiB of float32
_MOST_DIGITS = 12
_SHAPE = re.compile(r"(?:(float|int|bool):)?\s*(\d+(?:\s*[,xX]\s*\d+)*)\s*", re.ASCII)
_LIKE_A_FILE = re.compile(r"[/\\]|\.[A-Za-z]\w*$")
_HELP = (
    "write shapes such as 2,3,224,224 or int:2,16 (several separated by ';'), or the path of a "
    ".pt, .npy or .safetensors file with tensors"
)

Inputs = tuple[tuple[Any, ...], dict[str, Any]]


def has_tensor(value: Any) -> bool:
    """Tell whether an input is or holds a tensor; what does not is a constant of the trace."""
    return any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(value))


def parse_input(text: str, seed: int = 0) -> Inputs:
    """Positional and keyword example inputs from a description.

    Arguments:
        text: shapes (``2,3,224,224`` or ``2x3x224x224``: standard normal; ``int:2,16``: token ids
            from 0 to 99; ``bool:2,16``: True), several separated by ``;``, or a file that holds
            a tensor, a sequence of tensors (positional) or a mapping to tensors (keywords).
        seed: of the random numbers.

    Raises:
        InputError: neither shapes nor a readable file with tensors.
    """
    parts = [part for part in text.split(";") if part.strip()]
    shapes = [_SHAPE.fullmatch(part.strip()) for part in parts]
    if parts and all(shapes):
        _check_count([_shape_of(match) for match in shapes if match], text)
        generator = torch.Generator().manual_seed(seed)
        return tuple(_drawn(match, generator) for match in shapes if match), {}
    path = _located(text)
    return _arranged(_read(path), path)


def narrowed(given: Inputs, is_narrow: Callable[[int | str], bool]) -> tuple[Inputs, bool]:
    """Inputs of which those of float64, which NumPy makes of every number, are cast to float32
    where that is wanted; and whether any were.

    Arguments:
        given: positional and keyword inputs.
        is_narrow: tells of an input, by its position or name, whether it should be float32.
    """
    args, kwargs = given
    places: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    cast = {
        place
        for place, x in places
        if isinstance(x, Tensor) and x.dtype == torch.float64 and is_narrow(place)
    }
    by_place = tuple(x.float() if i in cast else x for i, x in enumerate(args))
    by_name = {name: x.float() if name in cast else x for name, x in kwargs.items()}
    return (by_place, by_name), bool(cast)


def _where(path: Path) -> str:
    """Say what stands at a path, or how far it leads."""
    if path.is_dir():
        return "it is a folder"
    folder = path.parent.absolute()
    return f"it is not in {shown(folder)}" if folder.is_dir() else f"no folder {shown(folder)}"


BATCH = 32
LABELS = "labels"


@dataclass(frozen=True)
class FileBatches:
    """Batches of inputs, and which option with which file they came from.

    Attributes:
        batches: of 32 samples.
        origin: the option and its file.
        whole: all samples as one batch, for a model that takes batches of another size alone.
    """

    batches: Iterable[Any]
    origin: str
    whole: Any

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


def batches_of(text: str, seed: int = 0, option: str = "") -> tuple[FileBatches, Tensor | None]:
    """Batches of 32 inputs from a file of tensors, and its labels where it has any.

    Arguments:
        text: a ``.pt``, ``.npy`` or ``.safetensors`` file with a tensor, a sequence of tensors
            (positional inputs) or a mapping to tensors (keyword inputs, and ``labels``), samples
            first; shapes as in `parse_input` are drawn at random.
        seed: of what is drawn.
        option: which names the file, for messages.

    Raises:
        InputError: it cannot be read, or its tensors hold different numbers of samples, or none.
    """
    try:
        args, kwargs = parse_input(text, seed)
    except InputError as error:
        if not option:
            raise
        raise InputError(f"{option} {str(error).removeprefix('input ')}") from None
    labels = kwargs.pop(LABELS, None)
    # A file of one tensor and labels: the tensor is the one positional input, whatever its name.
    named = {**{f"tensor {i}": x for i, x in enumerate(args)}, **kwargs}
    if labels is not None and len(kwargs) == 1 and not args:
        args, kwargs = tuple(kwargs.values()), {}
    origin = f"{option} {shown(text)}".lstrip()
    sizes = {name: len(x) if x.dim() else 0 for name, x in named.items()}
    sizes |= {} if labels is None else {LABELS: len(labels) if labels.dim() else 0}
    if len(set(sizes.values())) != 1:
        counts = listed([f"'{name}' {size}" for name, size in sizes.items()])
        raise InputError(
            f"{origin}: its tensors hold different numbers of samples (the size of dimension 0): "
            f"{counts}; give as many of each"
        )
    count = next(iter(sizes.values()))
    if not count:
        raise InputError(
            f"{origin}: its tensors hold no samples (the size of dimension 0); give at least one"
        )
    starts = range(0, count, BATCH)
    batches: list[Any] = [
        {name: x[n : n + BATCH] for name, x in kwargs.items()}
        if kwargs
        else tuple(x[n : n + BATCH] for x in args)
        for n in starts
    ]
    return FileBatches(batches, origin, kwargs or args), labels


def _located(text: str) -> Path:
    try:
        path = expanded(text)
        if path.is_file():
            return path
    except (SourceError, OSError) as error:  # OSError: a name that is too long
        raise InputError(f"input {shown(error)}; {_HELP}") from None
    if _LIKE_A_FILE.search(text):
        raise InputError(f"input {shown(text)!r}: there is no such file: {_where(path)}")
    raise InputError(f"input {shown(text)!r}: neither shapes nor a file; {_HELP}")


def _shape_of(match: re.Match[str]) -> list[int]:
    numbers = re.split(r"\s*[,xX]\s*", match[2])
    if any(len(number) > _MOST_DIGITS for number in numbers):
        raise InputError(f"input {shown(match[0])!r}: at most {_MOST_DIGITS} digits")
    if len(numbers) > MOST_DIMENSIONS:
        raise InputError(f"input {shown(match[0])!r}: at most {MOST_DIMENSIONS} dimensions")
    return [int(number) for number in numbers]


def _check_count(shapes: list[list[int]], text: str) -> None:
    """Refuses shapes that hold nothing, or more numbers than examples should, all together."""
    counts = [math.prod(shape) for shape in shapes]
    if min(counts) <= 0 or sum(counts) > _MOST_NUMBERS:
        raise InputError(
            f"input {shown(text)!r}: {sum(counts)} numbers; every dimension must be at least 1, "
            f"and all together at most {_MOST_NUMBERS} numbers are drawn"
        )


def _drawn(match: re.Match[str], generator: torch.Generator) -> Tensor:
    shape = _shape_of(match)
    if match[1] == "int":
        return torch.randint(0, LARGEST_ID, shape, generator=generator)
    if match[1] == "bool":
        return torch.ones(shape, dtype=torch.bool)
    return torch.randn(shape, generator=generator)


def _read(path: Path) -> Any:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"input {path}: files may end in {', '.join(_READERS)}; {_HELP}")
    try:
        return reader(path)
    except InputError:
        raise
    except SourceError as error:
        raise InputError(f"input {error}") from None
    except (OSError, ValueError, TypeError, EOFError, SafetensorError) as error:
        raise InputError(f"input {path}: cannot be read ({shown(error, 300)})") from None


def _read_torch(path: Path) -> Any:
    return load_tensors(read_whole(path), str(path))


def _read_numpy(path: Path) -> Any:
    import numpy as np  # not at the top: commands that read no file start faster

    try:
        with opened(path) as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0
            header = header if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, in_columns, dtype = header(file)
            if dtype.hasobject:
                raise InputError(
                    f"input {path}: holds Python objects, which are not read, as they could run "
                    "code; save one array of numbers (np.asarray(x, dtype='float32')), or several "
                    "as .safetensors"
                )
            # Read into memory, a file would get as much of it as its header asks for.
            order: Any = "F" if in_columns else "C"
            stored = np.memmap(file, dtype, "r", file.tell(), shape, order)
            array = np.array(stored, dtype=dtype.newbyteorder("="))
    except InputError:
        raise
    except Exception as error:  # of any kind: the header is parsed as Python
        raise InputError(f"input {path}: cannot be read ({shown(error, 300)})") from None
    return torch.from_numpy(array)


def _read_safetensors(path: Path) -> Any:
    return load_safetensors(read_whole(path))


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".npy": _read_numpy,
    ".safetensors": _read_safetensors,
}


def _arranged(loaded: Any, path: Path) -> Inputs:
    """Tensors as positional inputs, a mapping as keyword inputs."""
    tensors = tensors_in(loaded, str(path))
    if problem := next(filter(None, map(dimensions_problem, tensors)), ""):
        raise InputError(f"input {path}: {problem}")
    if isinstance(loaded, Tensor):
        return (loaded,), {}
    if isinstance(loaded, Mapping) and _are_tensors(loaded.values()):
        if problem := keyword_problem(loaded):
            raise InputError(f"input {path}: {problem}")
        return (), dict(loaded)
    if isinstance(loaded, list | tuple) and _are_tensors(loaded):
        return tuple(loaded), {}
    raise InputError(f"input {path}: must hold a tensor, a list of tensors or a dict of tensors")


def _are_tensors(values: Any) -> bool:
    values = list(values)
    return bool(values) and all(isinstance(value, Tensor) for value in values)
