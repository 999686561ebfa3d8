"""Tiny Hugging Face models: they build, run, vary, and are the same for the same seed."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconvert.errors import DependencyError, SourceError
from snnconvert.sources.hf_tiny import model_types, tiny_model
from snnconvert.sources.source import Source

pytest.importorskip("transformers")

TYPES = ("bert", "llama", "mixtral", "t5", "vit", "resnet", "wav2vec2", "mamba")


def outputs(source: Source) -> list[Tensor]:
    with torch.no_grad():
        out: Any = source.model(*source.args, **source.kwargs)
    return [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]


@pytest.mark.parametrize("model_type", TYPES)
def test_tiny_model_runs_and_its_samples_differ(model_type: str) -> None:
    source = tiny_model(model_type)
    assert source.name == f"hf-tiny:{model_type}"
    assert not source.model.training
    assert sum(p.numel() for p in source.model.parameters()) < 300_000
    inputs = [v for v in source.kwargs.values() if isinstance(v, Tensor)]
    assert inputs and all(x.shape[0] == 2 for x in inputs)
    leaves = outputs(source)
    assert leaves and all(x.dtype == torch.float32 and x.shape[0] == 2 for x in leaves)
    assert all(x.isfinite().all() for x in leaves)
    first = leaves[0]
    assert (first[0] - first[1]).abs().max() > 1e-2 * first.abs().max()
    assert first[0].std() > 0


def test_same_seed_same_model_and_another_seed_another() -> None:
    one, same, other = (outputs(tiny_model("bert", seed))[0] for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    tiny_model("llama")
    assert torch.equal(torch.rand(3), expected)


def test_samples_of_the_batch_do_not_mix() -> None:
    source = tiny_model("mixtral")
    before = outputs(source)[0]
    ids = source.kwargs["input_ids"].clone()
    ids[1] = ids[1].flip(0)
    after = outputs(Source("changed", source.model, (), {**source.kwargs, "input_ids": ids}))[0]
    assert torch.allclose(before[0], after[0], atol=1e-6)
    assert not torch.allclose(before[1], after[1], atol=1e-3)


def test_every_kind_of_layer_occurs() -> None:
    model: Any = tiny_model("jamba").model
    names = {type(m).__name__ for m in model.modules()}
    assert {"JambaMambaMixer", "JambaAttention", "JambaExperts", "JambaMLP"} <= names


def test_biases_and_statistics_are_not_zero() -> None:
    state = tiny_model("resnet").model.state_dict()
    biases = [v for k, v in state.items() if k.endswith(("bias", "running_mean"))]
    assert biases and all(v.abs().max() > 0 for v in biases)


@pytest.mark.parametrize("model_type", ["efficientnet", "mobilevit"])
def test_an_input_reaches_the_output_through_many_norms(model_type: str) -> None:
    source = tiny_model(model_type)
    (name, x), *_ = source.kwargs.items()
    model = source.model.double()
    with torch.no_grad():
        one, other = (model(**{name: y.double()}).pooler_output for y in (x, x + 1))
    assert not torch.allclose(one, other, rtol=1e-3)


def test_constants_of_the_trace_are_given() -> None:
    assert tiny_model("llama").kwargs["use_cache"] is False


def test_unknown_type_names_close_matches() -> None:
    with pytest.raises(SourceError, match=r"hf-tiny:bertt.*bert"):
        tiny_model("bertt")


def test_part_without_a_model_is_refused() -> None:
    with pytest.raises(SourceError, match="hf-tiny:sam_mask_decoder: the library has no model"):
        tiny_model("sam_mask_decoder")


def test_type_that_cannot_be_built_says_why() -> None:
    with pytest.raises(SourceError, match=r"hf-tiny:pocket_tts: no tiny .*ValueError"):
        tiny_model("pocket_tts")


def test_model_types_are_sorted_and_buildable_by_name() -> None:
    types = model_types()
    assert list(types) == sorted(types)
    assert set(TYPES) <= set(types)


def test_missing_transformers_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers.models.auto.configuration_auto", None)
    with pytest.raises(DependencyError, match=r"snnconvert\[hf\]"):
        tiny_model("bert")
