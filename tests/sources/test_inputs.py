"""Example inputs from text and files."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.sources.inputs import batches_of, narrowed, parse_input


@pytest.mark.parametrize("text", ["2,3,8,8", "2x3x8x8", " 2, 3 ,8,8 ", "float:2,3,8,8", "2X3X8X8"])
def test_shapes_are_seeded_normal_numbers(text: str) -> None:
    (first,), kwargs = parse_input(text)
    (second,), _ = parse_input(text)
    assert first.shape == (2, 3, 8, 8) and first.dtype == torch.float32 and kwargs == {}
    assert torch.equal(first, second)
    assert 0.5 < first.std() < 1.5
    assert not torch.equal(first, parse_input(text, seed=1)[0][0])


def test_kinds_of_numbers_and_several_inputs() -> None:
    (ids, mask, x), _ = parse_input("int:2,16; bool:2,16 ;2,4")
    assert (
        ids.dtype == torch.int64 and ids.min() >= 0 and ids.max() < 100 and ids.unique().numel() > 9
    )
    assert mask.dtype == torch.bool and mask.all()
    assert x.shape == (2, 4)


@pytest.mark.parametrize(
    "text",
    ["", ";", "2,", "2,,3", "2,-3", "2,0", "0", "two", "2.5,3", "int:", "str:2,3", "2,3;x",
     "1000000x1000000", "99999999999999999999,2", "9" * 500, "inputs.missing", "/", "2\x003"],
)  # fmt: skip
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_input(text)


def test_tensors_of_files(tmp_path: Path) -> None:
    x, ids = torch.randn(2, 3), torch.arange(4)
    torch.save(x, tmp_path / "one.pt")
    torch.save([x, ids], tmp_path / "list.pt")
    torch.save({"x": x, "ids": ids}, tmp_path / "dict.pth")
    save_file({"x": x}, tmp_path / "x.safetensors")
    np.save(tmp_path / "x.npy", x.numpy())

    def read(name: str) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        return parse_input(str(tmp_path / name))

    assert torch.equal(read("one.pt")[0][0], x)
    assert torch.equal(read("list.pt")[0][1], ids)
    assert torch.equal(read("dict.pth")[1]["ids"], ids)
    assert torch.equal(read("x.safetensors")[1]["x"], x)
    assert torch.equal(read("x.npy")[0][0], x)


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_files_never_run_code(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    torch.save([Bomb(marker)], tmp_path / "bomb.pt")
    np.save(tmp_path / "bomb.npy", np.array([Bomb(marker)]), allow_pickle=True)
    for name in ("bomb.pt", "bomb.npy"):
        with pytest.raises(InputError):
            parse_input(str(tmp_path / name))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.pt", b""), ("a.pt", b"PK\x03\x04"), ("a.npy", b"\x93NUMPY"), ("a.safetensors", b"{}"),
     ("a.csv", b"1,2"), ("a.npy", b"")],
)  # fmt: skip
def test_unreadable_files_are_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        parse_input(str(tmp_path / name))


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, [torch.zeros(1), "x"], 3, "text"])
def test_files_must_hold_tensors(value: Any, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "a.pt")
    with pytest.raises(InputError, match="must hold"):
        parse_input(str(tmp_path / "a.pt"))


def test_strings_of_numpy_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(["x"]))
    with pytest.raises(InputError, match=r"a\.npy"):
        parse_input(str(tmp_path / "a.npy"))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00\x02\x00{'", b"\x93NUMPY\x01\x00\x04\x00{\x00}\n"],
)
def test_numpy_files_that_are_none_are_told(tmp_path, content):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npy: cannot be read"):
        parse_input(str(path))


@pytest.mark.parametrize("text", ["held-out.safetensors", "folder/x.npy", "data.csv", "a b.pt"])
def test_a_file_that_does_not_exist_is_told_as_such(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no such file") as caught:
        parse_input(text)
    assert "shapes" not in str(caught.value)
    with pytest.raises(InputError, match="it is a folder"):
        parse_input(f"{tmp_path}/")


def test_what_is_neither_shapes_nor_like_a_file_is_told_the_shapes():
    with pytest.raises(InputError, match="write shapes such as"):
        parse_input("2,x,224")


@pytest.mark.parametrize("name", ["x y", "x=open('m')", "class", 'zz=1,y="""):\n    return 0\n#'])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_names_of_tensors_are_names_of_inputs(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"inputs{suffix}"
    tensors = {"input_ids": torch.ones(2), name: torch.ones(2)}
    torch.save(tensors, path) if suffix == ".pt" else save_file(tensors, path)
    with pytest.raises(InputError, match="not accepted as the name of an input"):
        parse_input(str(path))


def test_keys_that_are_no_text_are_refused(tmp_path: Path) -> None:
    torch.save({3: torch.ones(2)}, tmp_path / "inputs.pt")
    with pytest.raises(InputError, match="the name of an input"):
        parse_input(str(tmp_path / "inputs.pt"))


def test_a_repeated_tensor_is_not_what_its_file_holds(tmp_path: Path) -> None:
    torch.save(torch.zeros(1, 1).expand(1 << 27, 4), tmp_path / "inputs.pt")
    with pytest.raises(InputError, match="would take"):
        parse_input(str(tmp_path / "inputs.pt"))


def test_containers_that_hold_one_another_many_times_are_refused(tmp_path: Path) -> None:
    value: list[Any] = [torch.zeros(1)]
    for _ in range(40):
        value = [value, value]
    torch.save(value, tmp_path / "inputs.pt")
    with pytest.raises(InputError, match="holds more than"):
        parse_input(str(tmp_path / "inputs.pt"))


@pytest.mark.parametrize(
    "text", ["13000,13000;13000,13000", "9" * 5000 + ",4", "~nobody-of-that-name/x.pt", "a" * 5000]
)
def test_what_no_memory_and_no_disk_can_hold_is_told(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_input(text)
    assert len(str(caught.value)) < 1000


def test_an_array_of_objects_is_told_once_with_the_remedy(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{1: 2}], dtype=object))
    with pytest.raises(InputError, match=r"holds Python objects.*np\.asarray") as told:
        batches_of(str(tmp_path / "o.npy"), option="--data")
    said = str(told.value)
    assert said.startswith("--data ") and said.count("o.npy") == 1


def test_tensors_of_different_lengths_are_named(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(16, 3), "labels": torch.zeros(10)}, tmp_path / "d.safetensors")
    with pytest.raises(InputError, match=r"--data .*d\.safetensors: .*'x' 16, 'labels' 10"):
        batches_of(str(tmp_path / "d.safetensors"), option="--data")


def test_a_file_of_text_is_named_by_its_option(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("text")
    with pytest.raises(InputError, match=r"^--calibration .*t\.txt: files may end in"):
        batches_of(str(tmp_path / "t.txt"), option="--calibration")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_tensors_of_many_dimensions_are_refused(suffix: str, tmp_path: Path) -> None:
    def read(dimensions: int) -> Any:
        tensors = {"x": torch.zeros([1] * dimensions)}
        path = tmp_path / f"x{suffix}"
        torch.save(tensors, path) if suffix == ".pt" else save_file(tensors, path)
        return parse_input(str(path))

    assert read(64)
    for refused in (lambda: read(65), lambda: parse_input("1" + ",1" * 64)):
        with pytest.raises(InputError, match="dimensions"):
            refused()


def test_a_numpy_file_gets_no_more_memory_than_it_has_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(8, dtype="f4").reshape(2, 4))
    assert parse_input(str(path))[0][0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    claim = path.read_bytes().replace(b"(2, 4), }       ", b"(99, 9999999), }")
    path.write_bytes(claim)
    assert b"9999999" in claim
    tracemalloc.start()
    with pytest.raises(InputError, match=r"x\.npy: cannot be read"):
        parse_input(str(path))
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_files_without_samples_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "number.npy", np.float32(3))
    save_file({"x": torch.zeros(0, 4)}, tmp_path / "none.safetensors")
    for name in ("number.npy", "none.safetensors"):
        with pytest.raises(InputError, match=rf"--data .*{name}: its tensors hold no samples"):
            batches_of(str(tmp_path / name), option="--data")


def test_arrays_of_another_byte_order_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1.5, -2.0], dtype=">f4"))
    assert torch.equal(parse_input(str(tmp_path / "x.npy"))[0][0], torch.tensor([1.5, -2.0]))


@pytest.mark.parametrize("ending", ["npy", "safetensors", "pt"])
def test_what_became_a_pipe_is_not_waited_for(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"x.{ending}"
    os.mkfifo(path)
    monkeypatch.setattr(Path, "is_file", lambda _: True)  # when it was looked for
    with pytest.raises(InputError, match=r"cannot be read .*is not a regular file"):
        parse_input(str(path))


def test_an_array_in_the_order_of_its_columns_is_read_as_it_is(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.save(tmp_path / "x.npy", array)
    with (tmp_path / "y.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=(2, 0))
    for name in ("x.npy", "y.npy"):
        assert parse_input(str(tmp_path / name))[0][0].tolist() == array.tolist()


def test_float64_is_cast_where_float32_is_wanted() -> None:
    wide, ids = torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.long)
    (args, kwargs), changed = narrowed(
        ((wide, ids, wide, 3), {"x": wide, "flag": True}), {0, "x"}.__contains__
    )
    assert [getattr(x, "dtype", x) for x in args] == [torch.float32, ids.dtype, wide.dtype, 3]
    assert kwargs["x"].dtype is torch.float32 and kwargs["flag"] is True and changed
    same, changed = narrowed(((wide,), {}), lambda _: False)
    assert same[0][0] is wide and not changed
