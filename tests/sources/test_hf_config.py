"""Configurations ask for no code and for sizes that a memory can hold."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from snnconvert.sources.hf_config import config_problem, parameters_problem, shards_problem


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"attn_implementation": "org/kernel"}, "kernel"),
        ({"attn_implementation": {"": "org/kernel"}}, "kernel"),
        ({"_attn_implementation": {"text": {"": "org/kernel"}}}, "kernel"),
        ({"text_config": {"_experts_implementation_internal": "kernel"}}, "kernel"),
        ({"attn_implementation": "flash_attention_2"}, "kernel"),
        ({"attn_implementation": ["eager", "org/kernel"]}, "kernel"),
        ({"kernel_config": {"a": "org/kernel"}}, "kernel"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"architectures": 5}, "architectures"),
        ({"architectures": [5]}, "architectures"),
        ({"num_labels": 1 << 26}, "num_labels"),
        ({"image_size": 9500}, "image_size"),
        ({"vision_config": {"image_size": [32, 9500]}}, "image_size"),
        ({"num_hidden_layers": 10**7}, "num_hidden_layers"),
        ({"hidden_size": 1 << 25}, "hidden_size"),
        ({"vocab_size": -(1 << 40)}, "vocab_size"),
        ({"backbone": "hf-hub:someone/model"}, "elsewhere"),
        ({"backbone_config": {"backbone": " local-dir:../other"}}, "elsewhere"),
        ({"model_args": {"checkpoint_path": "other.pth"}}, "elsewhere"),
    ],
)
def test_what_is_asked_for_is_refused(entries: dict[str, Any], words: str) -> None:
    assert words in config_problem({"model_type": "bert", **entries})


@pytest.mark.parametrize(
    "entries",
    [
        {"attn_implementation": "sdpa", "_attn_implementation": None},
        {"attn_implementation": {"": "eager", "vision_config": "sdpa"}},
        {"rope_theta": 500_000_000, "eos_token_id": 128_009, "max_position_embeddings": 10_485_760},
        {"architectures": ["BertModel"], "vocab_size": 901_629, "num_labels": 21_843},
        {"backbone": "resnet50.a1_in1k", "model_args": {"checkpoint_path": ""}},
        {"depths": [3, 4, 23, 3], "image_size": [1024, 1024], "use_cache": True},
    ],
)
def test_honest_configurations_are_accepted(entries: dict[str, Any]) -> None:
    assert config_problem({"model_type": "bert", **entries}) == ""


@pytest.mark.parametrize("name", ["../w.bin", "a/../../w.bin", "/w.bin", "..\\w.bin", 3])
def test_lists_of_weights_stay_in_their_folder(name: Any) -> None:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "part/model.safetensors"}
    assert shards_problem({"weight_map": shards}) == shards_problem([]) == ""
    assert "outside" in shards_problem({"weight_map": {**shards, "c": name}})


def test_a_model_is_measured_without_memory() -> None:
    assert "asks for 4398046511104 bytes" in parameters_problem(
        lambda: nn.Linear(1 << 20, 1 << 20, bias=False), 1 << 30
    )
    assert parameters_problem(lambda: nn.Linear(4, 4), 80) == ""
