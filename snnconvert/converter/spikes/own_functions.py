"""A user's own functions that neurons follow: found by their dotted names, and tried.

A neuron follows a function of its own membrane and of nothing else, so the function has to be
elementwise: of one tensor, in its shape and dtype, each value from the one at its place, the same
whenever it is asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import ConversionError
from snnconvert.ops.targets import Target, own_target
from snnconvert.rules import Rule
from snnconvert.sources.importing import import_named
from snnconvert.wording import shown

_SHAPE = (3, 5, 16)
_WIDE = 8.0
_RTOL = 1e-9  # vectorised and single values may differ in their last digits
_WANTED = "a target is a function f(x) of one tensor, elementwise, in the tensor's shape and dtype"


def own_targets(rules: Iterable[Rule]) -> Mapping[str, Target]:
    """Return by name the functions that rules name; the code of their packages runs.

    Raises:
        ConversionError: one is not there, or is no function that a neuron can follow.
    """
    named = {rule.target: rule for rule in rules if rule.target is not None}
    return {name: _target(str(rule), name) for name, rule in named.items()}


def _target(rule: str, name: str) -> Target:
    function = _found(rule, name)
    problem = _problem(function)
    if problem:
        raise ConversionError(f"{rule}: target '{name}' {problem}; {_WANTED}")
    return own_target(name, function)


def _found(rule: str, name: str) -> Callable[[Tensor], Tensor]:
    module, _, attribute = name.rpartition(".")
    try:
        found: Any = getattr(import_named(module), attribute)
    except Exception as error:  # the user's own module may raise anything
        raise ConversionError(
            f"{rule}: target '{name}' cannot be imported: {shown(error, 300)}; give the dotted "
            "name of a function in a module that is installed or in the working directory"
        ) from error
    if isinstance(found, type) or not callable(found):
        raise ConversionError(
            f"{rule}: target '{name}' is {_described(found)}, no function; {_WANTED}"
        )
    function: Callable[[Tensor], Tensor] = found
    return function


def _described(found: Any) -> str:
    return "a class" if isinstance(found, type) else f"of type {type(found).__name__}"


def _problem(function: Callable[[Tensor], Tensor]) -> str:
    """Say why a neuron cannot follow a function; empty: it can."""
    if problem := _of_arguments(function):
        return problem
    generator = torch.Generator().manual_seed(0)
    x = torch.empty(_SHAPE, dtype=torch.float64)
    # Numbers of all sizes, of both signs, and zero.
    x.uniform_(-_WIDE, _WIDE, generator=generator)
    x[0] *= torch.logspace(-6, 0, _SHAPE[-1], dtype=torch.float64)
    x[1, 0] = 0.0
    try:
        with torch.no_grad():
            return _of_values(function, x)
    except Exception as error:  # it is the user's own
        said = f"{type(error).__name__}: {shown(error, 300)}"
        return f"cannot be called with a tensor of drives ({said})"


def _of_arguments(function: Callable[[Tensor], Tensor]) -> str:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # such as torch.erf, of which none is known
        return ""
    try:
        signature.bind(torch.empty(0))
    except TypeError as error:
        return f"takes {signature}, not one tensor ({error})"
    return ""


def _of_values(function: Callable[[Tensor], Tensor], x: Tensor) -> str:
    given = x.clone()
    y = function(given)
    if not torch.equal(given, x):
        return "changes the tensor that it is given"
    for drive, value in ((x, y), (x.float(), function(x.float()))):
        if not isinstance(value, Tensor):
            return f"returns a value of type {type(value).__name__}, no tensor"
        if value.shape != drive.shape:
            return f"returns shape {tuple(value.shape)} for shape {tuple(drive.shape)}"
        if value.dtype != drive.dtype:
            return f"returns {value.dtype} for {drive.dtype}"
    if not bool(y.isfinite().any()):
        return f"has no finite value for drives from {-_WIDE:g} to {_WIDE:g}"
    if not _same(function(x.clone()), y):
        return "returns other values when it is called again"
    mixed = torch.randperm(x.numel(), generator=torch.Generator().manual_seed(1))
    alone = torch.cat([function(value) for value in x.flatten()[mixed[:8]].split(1)])
    elementwise = (
        _same(function(x.flatten()[mixed]), y.flatten()[mixed])
        and _same(function(x[:1]), y[:1])
        and _same(function(x[..., :1]), y[..., :1])
        and _same(alone, y.flatten()[mixed[:8]])
    )
    return "" if elementwise else "is not elementwise: a value depends on others or on its place"


def _same(found: Tensor, wanted: Tensor) -> bool:
    return found.shape == wanted.shape and torch.allclose(found, wanted, _RTOL, 0.0, equal_nan=True)
