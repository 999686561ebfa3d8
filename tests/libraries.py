"""Operators of a library of the tests', some of which are called as ATen's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache

import torch

from snnconvert.torch_private import OpOverload


@cache
def of_a_library(name: str, function: Callable[..., torch.Tensor]) -> OpOverload:
    """Return an operator of tensors that gives what has the form of the first.

    Args:
        name: of the operator, with its namespace, which no other test file uses.
        function: of tensors alone, what it computes.
    """
    names = ", ".join(f"Tensor {x}" for x in inspect.signature(function).parameters)
    torch.library.define(name, f"({names}) -> Tensor")
    torch.library.impl(name, "CompositeExplicitAutograd", function)
    torch.library.register_fake(name, lambda first, *others: torch.empty_like(first))
    namespace, _, bare = name.partition("::")
    return getattr(getattr(torch.ops, namespace), bare).default
