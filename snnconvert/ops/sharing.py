"""Taking over the Parameters, buffers and settings of a ``torch.nn`` module, never copying them."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from snnconvert.errors import ConversionError, InputError
from snnconvert.torch_private import (
    COMPUTES,
    buffers_of,
    children_of,
    has_forward_hooks,
    parameters_of,
    unsaved_buffers_of,
)

M = TypeVar("M", bound=nn.Module)


def check_counterpart(
    operator: type[nn.Module], module: nn.Module, counterparts: tuple[type[nn.Module], ...]
) -> None:
    """Raise InputError unless ``module`` computes what one of the counterparts computes."""
    received = f"{type(module).__module__}.{type(module).__qualname__}"
    if not counterparts:
        raise InputError(
            f"{operator.__name__} has no torch.nn counterpart, received a {received}; "
            f"construct it with {operator.__name__}(...)"
        )
    if not isinstance(module, counterparts):
        names = " or ".join(f"torch.nn.{counterpart.__name__}" for counterpart in counterparts)
        raise InputError(f"{operator.__name__}.from_ann takes a {names}, received a {received}")
    if _differs(module, counterparts):
        reason = "overrides what its torch.nn class computes"
    elif has_forward_hooks(module):
        reason = "has forward hooks, which may change what it computes"
    elif is_parametrized(module):
        reason = "has parametrizations, so that its weights are not Parameters of its own"
    else:
        return
    raise InputError(
        f"{operator.__name__}.from_ann: the {received} {reason}; remove them, "
        "or use TemporalDifference(module), which runs the module itself"
    )


def _differs(module: nn.Module, counterparts: tuple[type[nn.Module], ...]) -> bool:
    mro = type(module).__mro__
    own = mro[: next(i for i, c in enumerate(mro) if c in counterparts)]
    return any(name in vars(place) for place in (module, *own) for name in COMPUTES)


def share(cls: type[M], module: nn.Module) -> M:
    """Return a ``cls`` with the settings and the very tensors of ``module``, without its hooks."""
    shared = cls.__new__(cls)
    nn.Module.__init__(shared)
    fresh = set(vars(shared))
    vars(shared).update({name: value for name, value in vars(module).items() if name not in fresh})
    parameters_of(shared).update(parameters_of(module))
    buffers_of(shared).update(buffers_of(module))
    unsaved_buffers_of(shared).update(unsaved_buffers_of(module))
    for name, child in children_of(module).items():
        children_of(shared)[name] = None if child is None else share(type(child), child)
    shared.training = module.training
    return shared


def put(module: nn.Module, name: str, value: Tensor | None) -> None:
    """Make ``value`` the module's tensor of that name: Parameter, or buffer if it is not one."""
    parameters_of(module).pop(name, None)
    buffers_of(module).pop(name, None)
    if value is None or isinstance(value, nn.Parameter):
        module.register_parameter(name, value)
    elif isinstance(value, Tensor):
        module.register_buffer(name, value)
    else:
        raise ConversionError(
            f"{type(module).__name__}: '{name}' must be a tensor or None, "
            f"received {type(value).__name__}"
        )
