"""Hugging Face directories load through transformers, without code from the checkpoint."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from snnconvert.errors import SourceError
from snnconvert.files import LARGEST_JSON
from snnconvert.sources.load import load_source

transformers = pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def tiny_bert(kind: str = "BertForSequenceClassification") -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=120,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    return getattr(transformers, kind)(config).eval()


def changed(directory: Path, **entries: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def outputs_agree(model: Any, source: Any) -> bool:
    with torch.no_grad():
        expected = model(*source.args, **source.kwargs)
        got = source.model(*source.args, **source.kwargs)
    return torch.equal(expected[0], got[0])


@pytest.mark.parametrize("shards", ["1GB", "8KB"])
@pytest.mark.parametrize("prefix", ["", "hf:"])
def test_directories_load_whole_and_sharded(shards: str, prefix: str, tmp_path: Path) -> None:
    model = tiny_bert()
    model.save_pretrained(tmp_path, max_shard_size=shards)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shards == "8KB")
    source = load_source(f"{prefix}{tmp_path}")
    assert type(source.model) is type(model) and not source.model.training
    assert next(source.model.parameters()).dtype == torch.float32
    assert source.kwargs["input_ids"].shape[0] == 2
    assert source.kwargs["attention_mask"].all()
    assert outputs_agree(model, source) and source.note == ""


def test_weights_of_another_folder_are_not_read(tmp_path: Path) -> None:
    tiny_bert().save_pretrained(tmp_path / "other")
    (tmp_path / "net").mkdir()
    shutil.copy(tmp_path / "other" / "config.json", tmp_path / "net")
    names = tiny_bert().state_dict()
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "../other/model.safetensors")}
    (tmp_path / "net" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(SourceError, match="outside of it"):
        load_source(tmp_path / "net")


@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "model.safetensors.index.json"]
)
def test_texts_that_are_too_large_or_none_are_not_parsed(tmp_path: Path, name: str) -> None:
    tiny_bert().save_pretrained(tmp_path)
    path = tmp_path / name
    with path.open("ab") as file:
        file.truncate(LARGEST_JSON + 1)
    with pytest.raises(SourceError, match=rf"hf:.*: {re.escape(name)}: has .* the limit is"):
        load_source(f"hf:{tmp_path}")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SourceError, match=r"is not a regular file|without config\.json"):
        load_source(f"hf:{tmp_path}")


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    tiny_bert().half().save_pretrained(tmp_path)
    assert {p.dtype for p in load_source(tmp_path).model.parameters()} == {torch.float32}


def test_an_unknown_architecture_falls_back_to_the_base_model(tmp_path: Path) -> None:
    tiny_bert().save_pretrained(tmp_path)
    for name in ("NoSuchModel", "Trainer", "__class__", "pipeline", "../x"):
        changed(tmp_path, architectures=[name])
        assert type(load_source(tmp_path).model) is transformers.BertModel


def test_weights_that_the_checkpoint_lacks_are_named(tmp_path: Path) -> None:
    tiny_bert("BertForMaskedLM").save_pretrained(tmp_path)
    changed(tmp_path, architectures=["BertForSequenceClassification"])
    note = load_source(tmp_path).note
    assert "random" in note and "classifier" in note


def test_a_checkpoint_without_a_fitting_weight_is_refused(tmp_path: Path) -> None:
    torch.save({"nothing": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    tiny_bert().config.save_pretrained(tmp_path)
    changed(tmp_path, architectures=["BertModel"])
    with pytest.raises(SourceError, match="none of the checkpoint's weights fit"):
        load_source(tmp_path)


def test_code_of_the_checkpoint_never_runs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    tiny_bert().save_pretrained(tmp_path)
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    changed(tmp_path, model_type="evil", auto_map={"AutoConfig": "evil.C", "AutoModel": "evil.M"})
    with pytest.raises(SourceError, match="no usable configuration"):
        load_source(tmp_path)
    assert not marker.exists()


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_pickled_weights_of_the_checkpoint_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    tiny_bert().config.save_pretrained(tmp_path)
    torch.save({"w": Bomb(marker)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SourceError, match="weights cannot be loaded"):
        load_source(tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"attn_implementation": "some-org/some-kernel"}, "may be a kernel"),
        ({"text": {"_attn_implementation_internal": "org/kernel:x"}}, "may be a kernel"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantised"),
        ({"model_type": "no-such-type"}, "no usable configuration"),
        ({"hidden_size": "wide"}, "no usable configuration|cannot be loaded"),
        ({"num_attention_heads": 7}, "no usable configuration|cannot be loaded"),
    ],
)
def test_configurations_that_cannot_be_used(
    entries: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    tiny_bert().save_pretrained(tmp_path)
    changed(tmp_path, **entries)
    with pytest.raises(SourceError, match=reason):
        load_source(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "{}"])
def test_damaged_configurations(content: str, tmp_path: Path) -> None:
    tiny_bert().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SourceError):
        load_source(tmp_path)


def test_damaged_weights(tmp_path: Path) -> None:
    tiny_bert().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(SourceError, match="weights cannot be loaded"):
        load_source(tmp_path)
    weights.unlink()
    with pytest.raises(SourceError, match="weights cannot be loaded"):
        load_source(tmp_path)


def test_an_id_that_is_not_cached_is_an_error_offline() -> None:
    with pytest.raises(SourceError, match="neither a local directory"):
        load_source("hf:no-such-owner/no-such-model")


def test_weights_apart_from_their_directory(tmp_path: Path) -> None:
    model = tiny_bert()
    model.save_pretrained(tmp_path / "full")
    (tmp_path / "config").mkdir()
    (tmp_path / "full" / "config.json").rename(tmp_path / "config" / "config.json")
    weights = tmp_path / "full" / "model.safetensors"
    source = load_source(weights, arch=f"hf:{tmp_path / 'config'}")
    assert outputs_agree(model, source)
    assert "random weights" not in source.note


def test_a_pickled_transformers_model_brings_its_inputs(tmp_path: Path) -> None:
    model = tiny_bert("BertModel")
    torch.save(model, tmp_path / "model.pt")
    assert outputs_agree(model, load_source(tmp_path / "model.pt"))


def test_encoder_decoders_and_images_get_their_inputs(tmp_path: Path) -> None:
    t5 = transformers.T5Config(
        vocab_size=99, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    transformers.T5ForConditionalGeneration(t5).save_pretrained(tmp_path / "t5")
    source = load_source(tmp_path / "t5")
    assert source.kwargs["decoder_input_ids"].shape[0] == 2
    assert source.kwargs["use_cache"] is False
    vit = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=16, patch_size=8, num_channels=1,
    )  # fmt: skip
    transformers.ViTForImageClassification(vit).save_pretrained(tmp_path / "vit")
    assert load_source(tmp_path / "vit").kwargs["pixel_values"].shape == (2, 1, 16, 16)
