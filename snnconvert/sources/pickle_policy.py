"""Decides which globals of a pickle are accepted: module classes, and a short list beside them.

Three uses are told apart. *Made*: a class instantiated without arguments, whose state is then set;
it must be an ``nn.Module`` class (or a harmless record) of an accepted package. *Called*: only the
functions that rebuild tensors and plain values; never a class, so no constructor sees arguments of
a pickle. *Stored*: activation functions, dtypes, and the layer classes that models keep as
attributes; a class stored anywhere may be called later by a ``forward``, so only packages whose
constructors just build layers are accepted there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from snnconvert.sources.importing import import_installed, import_named, is_installed
from snnconvert.sources.pickle_scan import ENCODE, FROM_TYPE, ORDERED_DICT, Request
from snnconvert.sources.trust import Trust
from snnconvert.wording import shown

# Modules of the accepted packages that hold network classes; nothing outside them is imported.
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "torch": ("torch.nn", "torch.ao.nn"),
    "timm": ("timm.models", "timm.layers"),
    "torchvision": ("torchvision.models", "torchvision.ops"),
    "transformers": (
        "transformers.models",
        "transformers.activations",
        "transformers.modeling_layers",
        "transformers.pytorch_utils",
    ),
}

# Beside the models' own modules there are conversion scripts, which are not to be imported.
_TRANSFORMERS_MODEL = re.compile(r"transformers\.models\.\w+\.(modeling|configuration)_\w+")

# Classes from here may be stored as values: their constructors only build layers.
LAYERS = ("torch.nn.modules", "timm.layers", "torchvision.ops")

# Records without behaviour that models and checkpoints carry.
RECORDS = frozenset(
    {
        "argparse.Namespace",
        "timm.models._features.FeatureInfo",
        "transformers.generation.configuration_utils.GenerationConfig",
    }
)

CALLED = frozenset(
    {
        ORDERED_DICT,
        FROM_TYPE,
        ENCODE,
        "collections.Counter",
        "builtins.complex",
        "builtins.frozenset",
        "builtins.set",
        "builtins.slice",
        "timm.layers.format.Format",
        "torch.Size",
        "torch.device",
        "torch.serialization._get_layout",
        "torch._utils._rebuild_meta_tensor_no_storage",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._utils._rebuild_qtensor",
        "torch._utils._rebuild_sparse_tensor",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
    }
)

_ACTIVATIONS = (
    "celu elu gelu glu hardsigmoid hardswish hardtanh leaky_relu logsigmoid log_softmax mish prelu "
    "relu relu6 rrelu selu sigmoid silu softmax softmin softplus softsign tanh tanhshrink"
)
_NATIVE_ACTIVATIONS = "elu gelu glu hardsigmoid hardswish hardtanh leaky_relu log_sigmoid mish"
FUNCTIONS = frozenset(
    [f"torch.nn.functional.{name}" for name in _ACTIVATIONS.split()]
    + [f"torch._C._nn.{name}" for name in f"{_NATIVE_ACTIVATIONS} relu6 silu softplus".split()]
)

_TENSOR_CLASSES = frozenset(
    {
        "torch.Tensor",
        "torch.nn.parameter.Parameter",
        "torch.nn.parameter.Buffer",
        "torch.storage.TypedStorage",
        "torch.storage.UntypedStorage",
    }
)
_CODE_CARRIERS = (torch.fx.GraphModule, torch.jit.ScriptModule)


@dataclass(frozen=True)
class Verdict:
    """What is accepted, as the pairs that ``torch.serialization.safe_globals`` takes, and what not.

    Arguments:
        accepted: ``(object, "module.name")``.
        refused: for each refused name, the reason.
    """

    accepted: tuple[tuple[Any, str], ...]
    refused: Mapping[str, str]


def judge(request: Request, trust: Trust, modules: bool = True) -> Verdict:
    """Judges every name of ``request``; a package is imported only if no name is refused.

    Arguments:
        request: what the pickle asks for.
        trust: the packages that are accepted beside :data:`PACKAGES`.
        modules: whether module classes are accepted at all.
    """
    refused: dict[str, str] = {name: "" for name in sorted(request.violations)}
    for name in sorted(request.names()):
        reason = _refusal_by_name(name, request, trust, modules)
        if reason:
            refused[name] = reason
    accepted: dict[str, Any] = {}
    for name in sorted(request.names()) if not refused else ():
        try:
            accepted[name] = _resolve(name, trust)
        except _RefusedError as error:
            refused[name] = str(error)
    pairs = tuple((v, n) for n, v in accepted.items() if not _is_known_to_torch(n))
    return Verdict(pairs, refused)


def holds_networks(module: str, allow: Iterable[str] = ()) -> bool:
    """Whether a module is where an accepted package defines networks, and so may be imported."""
    if is_below(module, allow):
        return True
    if is_below(module, ("transformers.models",)):
        return _TRANSFORMERS_MODEL.fullmatch(module) is not None
    return is_below(module, [prefix for group in PACKAGES.values() for prefix in group])


def is_below(module: str, prefixes: Iterable[str]) -> bool:
    """Whether ``module`` is one of ``prefixes`` or inside of one."""
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


class _RefusedError(Exception):
    pass


def _refusal_by_name(name: str, request: Request, trust: Trust, modules: bool) -> str:
    """Why ``name`` is refused, as far as its name and use tell; empty if they do not."""
    module = name.rpartition(".")[0]
    is_class = modules and holds_networks(module, trust.allow)
    if name in request.called and name not in CALLED:
        what = "a class of an accepted package" if is_class else "not on the list of functions"
        return f"is called with arguments of the file ({what}; only tensors are rebuilt by calls)"
    if name in request.made and not is_class and name not in RECORDS:
        return _why_not_class(module, modules)
    if name in request.stored and not _may_be_stored(name, module, modules):
        if not is_class:
            return _why_not_class(module, modules)
        return "is stored as a value, which a forward could call; only layer classes may be"
    if any(part.startswith("__") for part in name.split(".")):
        return "is a private name of Python"
    return ""


def _why_not_class(module: str, modules: bool) -> str:
    package = module.partition(".")[0]
    if not modules:
        return "only tensors are expected here"
    if package == "__main__":
        return "was defined in a script, which cannot be found again"
    if package in PACKAGES:
        return f"is not below {' or '.join(PACKAGES[package])}"
    return f"package {shown(package)!r} is not accepted"


def _may_be_stored(name: str, module: str, modules: bool) -> bool:
    return (
        name in FUNCTIONS
        or name in CALLED
        or name in _TENSOR_CLASSES
        or _is_torch_value(name)
        or (modules and is_below(module, LAYERS))
    )


def _is_torch_value(name: str) -> bool:
    """dtypes, quantisation schemes, memory formats and storage classes: values without a body."""
    module, _, attribute = name.rpartition(".")
    if module != "torch":
        return False
    value = vars(torch).get(attribute)
    kinds = (torch.dtype, torch.qscheme, torch.memory_format, torch.layout)
    return isinstance(value, kinds) or attribute.endswith("Storage")


def _is_known_to_torch(name: str) -> bool:
    """Whether PyTorch's own safe loader has the name already, and in its own way."""
    return name in _TENSOR_CLASSES or name == ENCODE or _is_torch_value(name)


def _resolve(name: str, trust: Trust) -> Any:
    module, _, attribute = name.rpartition(".")
    find = import_named if is_below(module, trust.allow) else import_installed
    try:
        value = vars(find(module)).get(attribute)
    except Exception as error:
        raise _RefusedError(f"cannot be imported ({shown(error)}){_install(module)}") from None
    if value is None:
        raise _RefusedError(f"does not exist in the installed version of {module}")
    if name in FUNCTIONS | CALLED | RECORDS | _TENSOR_CLASSES or _is_torch_value(name):
        return value
    if not isinstance(value, type):
        raise _RefusedError("is not a class")
    if not holds_networks(value.__module__, trust.allow):
        raise _RefusedError(f"comes from {value.__module__}, which is not accepted")
    if not issubclass(value, nn.Module) and not _is_configuration(value):
        raise _RefusedError("is not an nn.Module")
    if issubclass(value, _CODE_CARRIERS):
        raise _RefusedError("holds code")
    return value


def _install(module: str) -> str:
    """How to install the optional package of a module, where it is one that is not installed."""
    package = module.partition(".")[0]
    extra = {"timm": "timm", "torchvision": "timm", "transformers": "hf"}.get(package)
    if extra is None or is_installed(package):
        return ""
    return f"; install {package} with: pip install 'snnconvert[{extra}]'"


def _is_configuration(value: type[Any]) -> bool:
    """Whether this is a configuration record of transformers (such as ``BertConfig``)."""
    if not is_below(value.__module__, PACKAGES["transformers"]):
        return False
    from transformers import PreTrainedConfig

    return issubclass(value, PreTrainedConfig)
