"""The fast path of transformers of ``torch.nn``, which a trace does not take.

Without gradients they take kernels that leave padded tokens out, and answer zeros for them. What is
converted is the other path, so that somebody who compares under ``torch.no_grad()`` has to be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from snnconvert.converter.tracing.outputs_differ import outputs_differ
from snnconvert.converter.tracing.source_runs import copies, run_source
from snnconvert.torch_private import pytree
from snnconvert.wording import shown

_WITH_FAST_PATH = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)


def said_of_fast_path(model: nn.Module, leaves: Sequence[Any], spec: pytree.TreeSpec) -> str:
    """Say that a model answers otherwise by its fast path; empty where it does not.

    Args:
        model: the source, which runs on the inputs.
        leaves, spec: of the example inputs, as of `run_source`.
    """
    found = [
        repr(shown(name)) if name else "the model itself"
        for name, module in model.named_modules()
        if isinstance(module, _WITH_FAST_PATH)
    ]
    if not found:
        return ""
    try:
        args, kwargs = pytree.tree_unflatten(copies(leaves), spec)
        with torch.no_grad():
            fast = model(*args, **kwargs)
    except Exception as error:  # there may be no kernel for these inputs
        return _SAID.format(found[0], f"fails there ({type(error).__name__})")
    if outputs_differ(fast, run_source(model, leaves, spec)):
        return _SAID.format(found[0], "answers otherwise, zeros where tokens are padded")
    return ""


_SAID = (
    "under torch.no_grad() or inference_mode() the model takes PyTorch's fast path (from {}), and "
    "{}; what was converted is the model without it, as it runs with gradients or after "
    "torch.backends.mha.set_fastpath_enabled(False)"
)
