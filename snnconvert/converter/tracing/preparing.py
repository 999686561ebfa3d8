"""What a model is before it is traced: unwrapped, in eval mode, without a cache of past keys."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy

from snnconvert.converter.tracing.unchanged import unchanged
from snnconvert.errors import TraceError
from snnconvert.torch_private import TracedModule, compiled_by
from snnconvert.wording import listed, shown

_PARALLEL = (DataParallel, DistributedDataParallel)


def unwrapped(model: nn.Module) -> tuple[nn.Module, str]:
    """Return the network inside what trains it on several devices or compiles it, and a note.

    Raises:
        TraceError: it is, or holds, a module of TorchScript.
    """
    _refuse_scripts(model)
    wrappers = []
    while (inner := _inside(model)) is not None:
        wrappers.append(type(model).__name__)
        model = inner
    if not wrappers:
        return model, ""
    return model, f"the network inside {' and '.join(wrappers)} was converted"


def _refuse_scripts(model: nn.Module) -> None:
    """Refuse modules of TorchScript, but for traced ones inside of others, which export takes."""
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) and not (
            name and isinstance(module, TracedModule)
        ):
            raise TraceError(
                f"{repr(shown(name)) if name else 'the model itself'} is a module of TorchScript, "
                "which has no Python that could be traced; pass the nn.Module that it was made of, "
                "and load the state_dict() of this one into it where only its weights are left"
            )


def _inside(model: nn.Module) -> nn.Module | None:
    if isinstance(model, _PARALLEL):
        return model.module
    return compiled_by(model)


@contextlib.contextmanager
def as_traced(model: nn.Module) -> Iterator[list[Any]]:
    """Run a model as it is traced: without a cache in its output, and without a look at the numbers
    of a mask; it is then put back as it was.

    Yields:
        The configurations whose cache is off until then.
    """
    with unchanged(model), _masks_as_given(model):
        configurations = caching(model)
        try:
            for configuration in configurations:
                configuration.use_cache = False
            yield configurations
        finally:
            for configuration in configurations:
                configuration.use_cache = True


_CAUSAL_HINTS: dict[type[nn.Module], str] = {
    nn.TransformerEncoder: "is_causal",
    nn.TransformerDecoder: "tgt_is_causal",
}


@contextlib.contextmanager
def _masks_as_given(model: nn.Module) -> Iterator[None]:
    """Keep transformers of ``torch.nn`` from asking whether a mask that they are given is causal.

    They would take a branch on its numbers, which no trace does; the mask is right in both.
    """
    with contextlib.ExitStack() as hooks:
        for module in model.modules():
            for kind, hint in _CAUSAL_HINTS.items():
                if isinstance(module, kind) and type(module).forward is kind.forward:
                    hook = functools.partial(_without_hint, hint)
                    hooks.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield


def _without_hint(
    hint: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    call = inspect.signature(module.forward).bind(*args, **kwargs)
    if call.arguments.get(hint) is None:
        call.arguments[hint] = False
    return call.args, call.kwargs


def caching(model: nn.Module) -> list[Any]:
    """Return the configurations in a model that ask for past keys and values in its output."""
    found = [getattr(module, "config", None) for module in model.modules()]
    asking = [c for c in found if getattr(c, "use_cache", None) is True]
    return list({id(c): c for c in asking}.values())


def refuse_uninitialized(model: nn.Module) -> None:
    """Raise TraceError where parameters or buffers of lazy modules have no shape yet: the first run
    would give them one, and make other modules of the source's."""
    tensors = (*model.named_parameters(), *model.named_buffers())
    if lazy := [name for name, x in tensors if is_lazy(x)]:
        raise TraceError(
            f"{listed(lazy, 3)} of a lazy module (nn.LazyLinear and its like) have no shape before "
            "the first run; run the model on an example once, and convert it then"
        )


def refuse_train_mode(model: nn.Module) -> None:
    """Raise TraceError where modules are in train mode.

    The module of an exported program has no modes: what it computes was fixed at its export.
    """
    if _has_no_modes(model):
        return
    if all(_has_one_mode(module) for module in model.modules()):
        return
    training = [name or "the model itself" for name, m in model.named_modules() if m.training]
    if training:
        shown = ", ".join(training[:3]) + (", ..." if len(training) > 3 else "")
        several = f"{len(training)} modules are" if len(training) > 1 else "a module is"
        raise TraceError(
            f"{several} in train mode ({shown}), where dropout and batch statistics may make the "
            "output random; call model.eval() first"
        )


_OF_ONE_MODE = frozenset("linear conv container pooling flatten padding sparse upsampling".split())
_OF_TWO_MODES = (nn.MultiheadAttention, nn.RReLU)


def _has_one_mode(module: nn.Module) -> bool:
    """Tell whether a module is a layer of torch.nn that is the same in train and eval mode."""
    package, _, name = type(module).__module__.rpartition(".")
    if package != "torch.nn.modules" or isinstance(module, _OF_TWO_MODES):
        return False
    return name in _OF_ONE_MODE or name == "activation" or isinstance(module, _NORMS)


_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def _has_no_modes(model: nn.Module) -> bool:
    # torch.export puts a method of its own, which only raises, over that of the class.
    return isinstance(model, fx.GraphModule) and "eval" in vars(model)
