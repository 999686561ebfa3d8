"""Tiny, randomly initialised Hugging Face models of every type, made without a network."""

from __future__ import annotations

from snnconvert.sources.hf_tiny.build import model_types, tiny_model

__all__ = ["model_types", "tiny_model"]
