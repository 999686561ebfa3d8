"""Models from a function of the user's own: ``python:package.module:factory``."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from snnconvert.errors import SourceError
from snnconvert.sources.examples import example_inputs
from snnconvert.sources.importing import import_named
from snnconvert.sources.modules import SWITCHED_TO_EVAL
from snnconvert.sources.source import Source
from snnconvert.wording import shown, suggestion

_REFERENCE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)
_RETURNS = (
    "it must return an nn.Module, or (module, args), or (module, args, kwargs) with example inputs "
    "of batch size 2, or a Source"
)


def factory_model(reference: str, seed: int = 0) -> Source:
    """Calls ``factory()`` of ``package.module``, which runs that package's code.

    What it draws from torch's generator is what ``seed`` gives.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise SourceError(
            f"python:{shown(reference)}: write python:package.module:factory, where factory is a "
            "function or class that takes no arguments"
        )
    name = f"python:{reference}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = _call(name, *match.groups())
    if isinstance(made, Source):
        return made
    model, *examples = made if isinstance(made, tuple) and made else (made,)
    if not isinstance(model, nn.Module) or len(examples) > 2:
        raise SourceError(f"{name}: returned {shown(type(made).__name__)}; {_RETURNS}")
    mode = SWITCHED_TO_EVAL if any(module.training for module in model.modules()) else ""
    model = model.eval()
    if examples:
        args, kwargs = (*examples, {})[:2]
        return Source(name, model, tuple(args), dict(kwargs), mode)
    args, kwargs, lacking = example_inputs(model, seed)
    return Source(name, model, args, kwargs, "; ".join(filter(None, [mode, lacking])))


def _call(name: str, module: str, attribute: str) -> Any:
    try:
        loaded = import_named(module)
    except ImportError as error:
        raise SourceError(
            f"{name}: the module {module} cannot be imported ({shown(error, 300)}); it is looked "
            "for among the installed packages and in the working directory"
        ) from error
    except Exception as error:  # of any kind: importing runs the module
        raise SourceError(
            f"{name}: importing {module} failed ({type(error).__name__}: {shown(error, 300)})"
        ) from error
    function = getattr(loaded, attribute, None)
    if not callable(function):
        raise SourceError(
            f"{name}: {module} has no function {attribute}{suggestion(attribute, vars(loaded))}"
        )
    try:
        return function()
    except Exception as error:
        raise SourceError(
            f"{name}: {attribute}(), which is called without arguments, failed "
            f"({type(error).__name__}: {shown(error, 300)})"
        ) from error
