"""timm models: created by name, with an example batch that they run on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from snnconvert.errors import DependencyError, SourceError
from snnconvert.sources.timm_source import timm_model

timm = pytest.importorskip("timm")


def test_example_batch_has_the_size_of_the_models_own_configuration() -> None:
    source = timm_model("test_vit2")
    (images,) = source.args
    assert source.name == "timm:test_vit2" and source.note == "random weights"
    assert images.shape == (2, *source.model.pretrained_cfg["input_size"])
    assert not source.model.training
    with torch.no_grad():
        assert source.model(images).shape[0] == 2


def test_image_size_can_be_chosen_and_a_tag_given() -> None:
    assert timm_model("test_vit2.r160_in1k", image_size=96).args[0].shape == (2, 3, 96, 96)


def test_same_seed_same_model() -> None:
    one, same, other = (timm_model("test_resnet", seed=seed) for seed in (1, 1, 2))
    for (name, weight), twin in zip(
        one.model.state_dict().items(), same.model.state_dict().values(), strict=True
    ):
        assert torch.equal(weight, twin), name
    assert torch.equal(one.args[0], same.args[0])
    assert not torch.equal(one.args[0], other.args[0])


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    timm_model("test_resnet")
    assert torch.equal(torch.rand(3), expected)


def test_checkpoint_is_loaded(tmp_path: Path) -> None:
    trained = timm_model("test_resnet", seed=7).model
    path = tmp_path / "weights.pth"
    torch.save(trained.state_dict(), path)
    source = timm_model("test_resnet", checkpoint=path)
    assert torch.equal(source.model.conv1[0].weight, trained.conv1[0].weight)
    assert source.note == ""


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"nothing.weight": torch.zeros(3)}, path)
    with pytest.raises(SourceError, match=r"timm:test_resnet.*cannot"):
        timm_model("test_resnet", checkpoint=path)


def test_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="timm:test_resnet"):
        timm_model("test_resnet", checkpoint=tmp_path / "none.pth")


def test_image_size_that_the_model_does_not_take_is_refused() -> None:
    with pytest.raises(SourceError, match="timm:test_resnet"):
        timm_model("test_resnet", image_size=96)


def test_unknown_name_gets_close_matches() -> None:
    with pytest.raises(SourceError, match=r"timm:resnet19.*resnet18"):
        timm_model("resnet19")


def test_missing_timm_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(DependencyError, match=r"snnconvert\[timm\]"):
        timm_model("resnet18")
