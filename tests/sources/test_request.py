"""A model as a user asks for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from snnconvert.errors import InputError, SourceError
from snnconvert.sources.request import ModelRequest
from tests.small_models import SOURCE


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of small models in the working directory."""
    name = "requested_models"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    return name


def test_a_source_brings_its_own_inputs() -> None:
    source = ModelRequest("demo:digits-vit").load()
    assert isinstance(source.model, nn.Module) and source.args[0].shape == (2, 1, 8, 8)


def test_inputs_that_are_given_take_their_place() -> None:
    source = ModelRequest("demo:digits-vit", input="3,1,8,8").load()
    assert [x.shape for x in source.args] == [(3, 1, 8, 8)] and not source.kwargs


def test_constants_of_a_source_stay_beside_inputs_that_are_given(module: str) -> None:
    source = ModelRequest(f"python:{module}:embedded", input="int:4,5").load()
    assert source.args[0].shape == (4, 5) and source.kwargs == {"scale": 2.0}


def test_inputs_are_read_from_a_file_by_name(module: str, tmp_path: Path) -> None:
    save_file({"ids": torch.arange(6).reshape(2, 3)}, tmp_path / "x.safetensors")
    request = ModelRequest(f"python:{module}:embedded", input=str(tmp_path / "x.safetensors"))
    source = request.load()
    assert not source.args and source.kwargs["ids"].shape == (2, 3)


def test_a_model_without_known_inputs_asks_for_them(module: str) -> None:
    with pytest.raises(InputError, match="--input 2,3,224,224"):
        ModelRequest(f"python:{module}:Shifted").load()
    source = ModelRequest(f"python:{module}:Shifted", input="2,3").load()
    assert source.args[0].shape == (2, 3)
    assert "no example" not in source.note


def test_inputs_that_cannot_be_read_are_told_before_a_model_is_loaded() -> None:
    with pytest.raises(InputError, match="neither shapes nor a file"):
        ModelRequest("timm:no_such_model", input="2,x").load()


def test_a_pickle_is_read_by_what_the_request_trusts(module: str, tmp_path: Path) -> None:
    found = ModelRequest(f"python:{module}:Shifted", input="2,3").load().model
    path = tmp_path / "model.pt"
    torch.save(found, path)
    with pytest.raises(SourceError, match=module):
        ModelRequest(str(path), input="2,3").load()
    assert isinstance(ModelRequest(str(path), input="2,3", allow=(module,)).load().model, nn.Module)


def test_a_file_of_float64_is_as_wide_as_the_weights_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((3, 1, 8, 8)))
    source = ModelRequest("demo:digits-vit", input=str(path)).load()
    assert source.args[0].dtype == torch.float32 and "cast to float32" in source.note
    np.save(path, np.zeros((3, 1, 8, 8), dtype=np.float32))
    assert "cast" not in ModelRequest("demo:digits-vit", input=str(path)).load().note
