"""Taking over the Parameters, buffers and settings of a ``torch.nn`` module, never copying them."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from snnconvert.errors import ConversionError, InputError

M = TypeVar("M", bound=nn.Module)

_REGISTRIES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
_COMPUTES = ("forward", "_conv_forward")


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
    elif module._forward_hooks or module._forward_pre_hooks:
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
    return any(name in vars(place) for place in (module, *own) for name in _COMPUTES)


def share(cls: type[M], module: nn.Module) -> M:
    """Return a ``cls`` with the settings and the very tensors of ``module``, without its hooks."""
    shared = cls.__new__(cls)
    nn.Module.__init__(shared)
    fresh = set(vars(shared))
    vars(shared).update({name: value for name, value in vars(module).items() if name not in fresh})
    for registry in _REGISTRIES:
        getattr(shared, registry).update(getattr(module, registry))
    for name, child in module._modules.items():
        shared._modules[name] = None if child is None else share(type(child), child)
    shared.training = module.training
    return shared


def put(module: nn.Module, name: str, value: Tensor | None) -> None:
    """Make ``value`` the module's tensor of that name: Parameter, or buffer if it is not one."""
    module._parameters.pop(name, None)
    module._buffers.pop(name, None)
    if value is None or isinstance(value, nn.Parameter):
        module.register_parameter(name, value)
    elif isinstance(value, Tensor):
        module.register_buffer(name, value)
    else:
        raise ConversionError(
            f"{type(module).__name__}: '{name}' must be a tensor or None, "
            f"received {type(value).__name__}"
        )
