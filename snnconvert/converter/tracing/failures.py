"""Why a model cannot be traced, in words: which module and line, and what to do."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from snnconvert.converter.tracing.exporting import ExampleCall
from snnconvert.converter.tracing.source_runs import run_source
from snnconvert.errors import first_line

_TORCH = str(Path(torch.__file__).parent)


_STDLIB = str(Path(traceback.__file__).parent / "inspect.py")


_HERE = str(Path(__file__).parent)


def explain_failure(model: nn.Module, call: ExampleCall, error: BaseException) -> str:
    """Say why a model cannot be traced: it does not run on its inputs, or export refuses it."""
    try:
        run_source(model, call.leaves, call.spec)
    except Exception as own:
        return explain_own_failure(model, own)
    if _packs(error):
        return (
            f"torch.export cannot trace {_place(model, error)}: it runs on a PackedSequence, whose "
            "shape depends on the values of the lengths. Where all sequences are as long as the "
            "input, leave out pack_padded_sequence; else convert the recurrent layer and what "
            "follows it on padded inputs, and read each sequence's outputs before its padding "
            "(a reverse direction would start in the padding: give it sequences of one length). "
            "By hand, snnconvert.ops.TDLSTM, TDGRU and TDRNN take packed sequences"
        )
    if packed := _packed_for_kernels(model):
        return (
            f"torch.export cannot trace {packed}: it keeps what it computes with in an object of "
            "TorchScript, as modules quantised to integers (torch.ao.quantization) do. Convert the "
            "network in floats that it was made of; where its numbers are to be those of the "
            "quantised one, with weights that were quantised and brought back to floats"
        )
    if "inference tensor" in first_line(error):
        return (
            "torch.export cannot trace the model: its weights were made under "
            "torch.inference_mode(), and no gradient may be asked of them outside. Make or load "
            "the model outside of it (torch.no_grad() will do), or convert it inside"
        )
    if "fake tensor in the exported program" in first_line(error):
        return (
            "torch.export cannot trace the model: forward changes or makes tensors behind its "
            "back, as assigning to .data (where it bounds the norm of weights), "
            "torch.autograd.grad and Tensor.as_subclass do. Compute what takes their place and use "
            "that: F.linear(x, torch.renorm(weight, 2, 0, 1.0)) for "
            "weight.data = torch.renorm(weight.data, ...); or write weights once, before conversion"
        )
    if "Cache" in first_line(error):
        return (
            f"torch.export cannot trace {_place(model, error)}: {first_line(error)}. Leave the "
            "cache of past keys and values out of the output: use_cache=False, as an input or in "
            "the model's configuration"
        )
    return (
        f"torch.export cannot trace {_place(model, error)}: {type(error).__name__}: "
        f"{first_line(error)}. Where shapes or branches depend on the values of tensors, rewrite "
        "that line or convert the submodules around it; inputs and outputs must be tensors, "
        "numbers, tuples, lists, dicts, or classes that PyTorch was told of: a dataclass by "
        "torch.export.register_dataclass(YourClass)"
    )


def explain_own_failure(model: nn.Module, error: BaseException) -> str:
    """Say that a model does not run on its example inputs, and where."""
    return (
        f"{_place(model, error)} does not run on the example inputs: {type(error).__name__}: "
        f"{first_line(error)}. Pass inputs on which the model works"
    )


def _packs(error: BaseException) -> bool:
    """Tell whether an error came from packing, or from what runs on a packed sequence."""
    return any(
        frame.f_globals.get("__name__") == PackedSequence.__module__
        or any(isinstance(value, PackedSequence) for value in frame.f_locals.values())
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _packed_for_kernels(model: nn.Module) -> str:
    """Name a module that holds an object of TorchScript; empty where none does."""
    for name, module in model.named_modules():
        if any(isinstance(value, torch.ScriptObject) for value in vars(module).values()):
            return f"module '{name}' ({type(module).__name__})"
    return ""


def _place(model: nn.Module, error: BaseException) -> str:
    """Name the innermost module and line of the user's code that an error came through."""
    paths = {id(m): name or "the model itself" for name, m in model.named_modules()}
    where, module = "", "the model"
    for frame, line in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if id(owner) in paths:
            module = f"module '{paths[id(owner)]}' ({type(owner).__name__})"
        filename = frame.f_code.co_filename
        if not filename.startswith((_TORCH, "<", _STDLIB, _HERE)):
            where = f" at {filename}:{line}"
    return module + where
