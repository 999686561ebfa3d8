"""What the operators of neurons share: their library, ``snnconvert::``, and where answers lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.library import LIBRARY


def define(
    name: str,
    arguments: str,
    check: Callable[..., None],
    forms: dict[str, Callable[..., Tensor]],
) -> Callable[..., Tensor]:
    """Add an operator of a drive ``[T, ...]`` that returns answers, and return it.

    Args:
        name: without the namespace.
        arguments: those behind the drive, as of a schema; the last two are how many answers of a
            step are returned, and the axis of features or None.
        check: raises where the arguments do not fit.
        forms: what computes it, by dispatch key.
    """
    LIBRARY.define(f"{name}(Tensor drive, {arguments}) -> Tensor")
    for key, form in forms.items():
        LIBRARY.impl(name, _checked(name, check, form), key)

    def fake(drive: Tensor, *others: Any) -> Tensor:
        _check_devices(name, drive, *others)
        return answers_like(drive, kept=others[-2])

    torch.library.register_fake(f"snnconvert::{name}", fake, lib=LIBRARY)
    found: Callable[..., Tensor] = getattr(torch.ops.snnconvert, name).default
    return found


def _checked(
    name: str, check: Callable[..., None], form: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    def checked(*given: Any) -> Tensor:
        _check_devices(name, *given)
        check(*given)
        return form(*given)

    return checked


def _check_devices(name: str, drive: Tensor, *others: Any) -> None:
    """Refuse tensors of several devices: a form reads all of them where the drive is."""
    devices = {x.device for x in (drive, *others) if isinstance(x, Tensor)}
    if len(devices) > 1:
        raise InputError(
            f"{name}: all tensors must be on the device of the drive, {drive.device}; received "
            f"some on {', '.join(sorted(map(str, devices)))}"
        )


def answers_like(drive: Tensor, kept: int) -> Tensor:
    """Return memory for so many answers of each step, ``[T kept, ...]``, in the order in memory of
    a step's drive where that has no gaps."""
    order = order_of(drive)
    return _turned_back(
        drive.new_empty(len(drive) * kept, *(drive.shape[1 + d] for d in order)), order
    )


def in_order(form: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a form whose answers lie as `answers_like`, of one whose answers are contiguous.

    Args:
        form: takes a drive, ``R`` before it, others, and the axis of features or None.
    """

    def ordered(drive: Tensor, before: Tensor, *others: Any) -> Tensor:
        order, axis = order_of(drive), others[-1]
        answers = form(
            drive.permute(0, *(1 + d for d in order)),
            before.permute(order),
            *others[:-1],
            None if axis is None else order.index(axis),
        )
        return _turned_back(answers, order)

    return ordered


def order_of(drive: Tensor) -> tuple[int, ...]:
    """Return the dimensions of a step by how they lie in memory, the outermost first; where there
    are gaps as they are."""
    sizes, strides = drive.shape[1:], drive.stride()[1:]
    plain = tuple(range(len(sizes)))
    order = tuple(sorted(plain, key=lambda d: -strides[d]))
    expected = 1
    for d in reversed(order):
        if sizes[d] != 1 and strides[d] != expected:
            return plain
        expected *= sizes[d]
    return order


def _turned_back(answers: Tensor, order: tuple[int, ...]) -> Tensor:
    """Return answers whose dimensions are in an order with them as they were."""
    return answers.permute(0, *(1 + order.index(d) for d in range(len(order))))
