"""Running a source and leaving it as it was: what ``forward`` sets is put back.

Under a trace a model that fills a cache at its first call (of positions, of masks) fills it with
tensors that hold no numbers, in a check with those of the check's dtype, and would answer with them
ever after.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from snnconvert.torch_private import FakeTensor, version_of

Undo = Callable[[], None]

_LEAVES = (FunctionType, MethodType, BuiltinFunctionType, ModuleType, functools.partial, type)
_NOT_THE_USERS = ("torch.", "builtins", "collections", "abc", "typing", "enum", "functools")
_LOOKED_UP = (nn.Embedding, nn.EmbeddingBag)
_CACHED = type(functools.cache(lambda: None))  # a function under cache or lru_cache
_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


@contextlib.contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put back what running a model inside changes: attributes of its modules, of what they hold
    and of their classes, the contents of containers and buffers, caches of functions."""
    undo = list(_Walk().of(model))
    try:
        yield
    finally:
        for step in undo:
            step()


class _Walk:
    """Visits all that a model holds and gives for each part what puts it back."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.waiting: list[Any] = []

    def of(self, model: nn.Module) -> Iterator[Undo]:
        self.waiting.append(model)
        while self.waiting:
            value = self.waiting.pop()
            if id(value) not in self.seen:
                self.seen.add(id(value))
                yield from self._one(value)

    def _one(self, value: Any) -> Iterator[Undo]:
        if isinstance(value, Tensor):
            yield from _contents(value)
        elif isinstance(value, dict):
            self.waiting += value.values()
            yield functools.partial(_put_back_dict, value, dict(value))
        elif isinstance(value, list | deque):
            self.waiting += value
            yield functools.partial(_put_back_list, value, list(value))
        elif isinstance(value, set):
            yield functools.partial(_put_back_set, value, set(value))
        elif isinstance(value, tuple):
            self.waiting += value
        elif not isinstance(value, _LEAVES) and hasattr(value, "__dict__"):
            self.waiting.append(vars(value))
            if isinstance(value, _LOOKED_UP) and value.max_norm is not None:
                yield from _numbers(value.weight)  # a row that is looked up may be rescaled
            for cls in type(value).__mro__:
                yield from self._class(cls)

    def _class(self, cls: type) -> Iterator[Undo]:
        if id(cls) in self.seen or f"{cls.__module__}.".startswith(_NOT_THE_USERS):
            return
        self.seen.add(id(cls))
        yield functools.partial(_put_back_class, cls, dict(vars(cls)))
        yield from self._shared(dict(vars(cls)))
        around = getattr(sys.modules.get(cls.__module__), "__dict__", None)
        if around is not None and id(around) not in self.seen:
            self.seen.add(id(around))
            yield functools.partial(_put_back_shared, around, dict(around))
            yield from self._shared(dict(around))

    def _shared(self, values: dict[str, Any]) -> Iterator[Undo]:
        """Yield what puts back the caches that a class or a file of code holds."""
        for value in values.values():
            function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if isinstance(function, _CACHED):
                yield functools.partial(_forget_new, function, function.cache_info().misses)
            elif type(value) is dict and id(value) not in self.seen:
                self.seen.add(id(value))
                yield functools.partial(_put_back_shared, value, dict(value))
            elif type(value) is list and id(value) not in self.seen:
                self.seen.add(id(value))
                yield functools.partial(_put_back_shared_list, value, list(value))


def _contents(value: Tensor) -> Iterator[Undo]:
    """Yield what puts back the numbers of a tensor; those of Parameters no evaluation changes."""
    if not isinstance(value, nn.Parameter):
        yield from _numbers(value)


def _numbers(value: Tensor) -> Iterator[Undo]:
    if isinstance(value, FakeTensor) or value.is_inference() or value.is_meta:
        return
    version, kept = version_of(value), value.detach().clone()

    def undo() -> None:
        if version_of(value) != version or not _is_same(value, kept):
            with torch.no_grad():
                value.copy_(kept)

    yield undo


def _is_same(value: Tensor, kept: Tensor) -> bool:
    """Tell whether a tensor holds what it did: no version counts what BatchNorm writes."""
    if value.layout is not torch.strided or value.is_nested:
        return True
    return torch.equal(value, kept)


def _put_back_dict(value: dict[Any, Any], before: dict[Any, Any]) -> None:
    same = len(value) == len(before) and all(value.get(k, value) is v for k, v in before.items())
    if not same:
        value.clear()
        value.update(before)


def _put_back_list(value: Any, before: list[Any]) -> None:
    if len(value) != len(before) or any(a is not b for a, b in zip(value, before, strict=True)):
        value.clear()
        value.extend(before)


def _put_back_set(value: set[Any], before: set[Any]) -> None:
    if value != before:
        value.clear()
        value.update(before)


def _put_back_class(cls: type, before: dict[str, Any]) -> None:
    now = dict(vars(cls))
    for name in now.keys() - before.keys():
        if not name.startswith("__"):  # which Python itself may set late
            delattr(cls, name)
    for name, value in before.items():
        if now.get(name, cls) is not value:
            setattr(cls, name, value)


def _put_back_shared(values: dict[Any, Any], before: dict[Any, Any]) -> None:
    """Put back those entries that a run has filled: others share them, and may change them."""
    for key in [k for k, v in values.items() if v is not before.get(k, values)]:
        if not _is_of_a_run(values[key]) and not _is_of_a_run(key):
            continue
        if key in before:
            values[key] = before[key]
        else:
            del values[key]


def _put_back_shared_list(values: list[Any], before: list[Any]) -> None:
    if any(map(_is_of_a_run, values)):
        values[:] = before


def _forget_new(function: Any, misses: int) -> None:
    if function.cache_info().misses != misses:
        function.cache_clear()


def _is_of_a_run(value: Any) -> bool:
    """Tell whether a value holds tensors, which a check makes in its own dtype, or sizes of a
    trace."""
    if isinstance(value, dict):
        return any(map(_is_of_a_run, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_of_a_run, value))
    return isinstance(value, (Tensor, *_SYMBOLIC))
