"""What the package uses of torch that torch does not promise to keep, and for what.

Everything of torch whose name, or whose module's name, begins with an underscore stands here and
nowhere else, so that a new release of torch is one file to read. Other modules import from here;
``tests/test_torch_private.py`` says where one does not. Beside it stand the keys that export leaves
in ``node.meta`` (``converter/graph/meta.py``) and the names that a file from a stranger may hold
(``sources/``), which are data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn
from torch._C import PyTorchFileReader
from torch._dispatch.python import enable_python_dispatcher
from torch._export.serde import schema as program_schema
from torch._export.serde.union import _Union as ProgramUnion
from torch._ops import HigherOrderOperator, OpOverload, OpOverloadPacket
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
from torch.export import ExportedProgram
from torch.jit._trace import TracedModule
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.modules.conv import _ConvNd as ConvNd
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

__all__ = [
    "BatchNorm",  # the base of all batch norms, for one TD operator of them
    "ConvNd",  # the base of all convolutions, for their TD operators
    "FakeTensor",  # a tensor of a trace, which holds no numbers that could be kept and put back
    "FakeTensorMode",  # runs a program on shapes alone, to know what it would allocate
    "HigherOrderOperator",  # an operator that takes graphs, such as the branches of torch.cond
    "OpOverload",  # tells a node that calls an ATen operator, which has a schema, from others
    "OpOverloadPacket",  # tells the name of an ATen operator from others that torch.ops.aten has
    "ProgramUnion",  # the base of those records of a saved program that are one kind of several
    "PyTorchFileReader",  # torch.load's own reader of an archive, to check what it would read
    "TorchDispatchMode",  # sees every operator of the source's own run, for its reference values
    "TracedModule",  # a module that torch.jit.trace returned, which export takes inside of others
    "_disable_current_modes",  # runs a source as it is used: modes stop its compiled parts
    "enable_python_dispatcher",  # keeps symbolic sizes where an operator's C++ fixes them
    "program_schema",  # the records that the JSON of a saved program is made of
    "pytree",  # inputs and outputs in nested containers: flatten, map, name a leaf, compare
]

M = TypeVar("M", bound=nn.Module)

GROUPED_MM: OpOverload = torch.ops.aten._grouped_mm.default
"""What ``F.grouped_mm`` is in a graph: it lacks a float64 kernel."""

CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""The kernel of attention on the CPU, which PyTorch's counter of operations does not know."""

TRILINEAR = torch.ops.aten._trilinear
"""What ``F.bilinear`` is in a graph, which the counter does not know either."""

FOURIER_OF_COMPLEX = torch.ops.aten._fft_c2c
FOURIER_OF_REAL = torch.ops.aten._fft_r2c
FOURIER_TO_REAL = torch.ops.aten._fft_c2r
"""What Fourier transforms come to, which the counter leaves out."""

VMAP_MODULE = "torch._functorch.predispatch"
"""Where the functions live that stand in a graph for entering and leaving ``torch.vmap``."""

NEEDS_NUMBERS = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
"""What a run on shapes alone raises at a value that only a run on numbers can tell of."""

EXPORT_LOGGERS = ("torch.export", "torch.fx", "torch._export")
"""What prints the whole partial graph where an export fails."""

COMPUTES = ("forward", "_conv_forward")
"""Methods that say what a module of ``torch.nn`` computes; one who overrides them changes it."""

OVERRIDDEN = frozenset({"_apply", "_conv_forward", "_get_name"})
"""Methods of `nn.Module` that classes of the package define, or call on themselves.

``_apply`` is the one way that ``.to()``, ``.half()`` and ``.cuda()`` reach a state of one's own.
"""


def schema_of(operator: OpOverload) -> torch.FunctionSchema:
    """Return the schema of an ATen operator: names, defaults and aliases of its arguments."""
    return operator._schema


def is_dispatched(operator: OpOverload) -> bool:
    """Tell whether modes see an operator's calls; those of TorchScript's own none does."""
    return torch._C._dispatch_has_kernel(operator.name())


def overload_name(operator: Any) -> str:
    """Return ``Tensor`` of ``aten.add.Tensor``; nothing of what is not an ATen operator."""
    return getattr(operator, "_overloadname", "")


def parameters_of(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Return the registry of a module's own parameters, to be read or written."""
    return module._parameters


def buffers_of(module: nn.Module) -> dict[str, Tensor | None]:
    """Return the registry of a module's own buffers, to be read or written."""
    return module._buffers


def children_of(module: nn.Module) -> dict[str, nn.Module | None]:
    """Return the registry of a module's children, to be read or written.

    ``add_module`` refuses a name that the class has as an attribute, which sources may use.
    """
    return module._modules


def child_of(module: nn.Module, name: str) -> nn.Module | None:
    """Return a module's own child; None where it has none, and before it is initialised."""
    children: dict[str, nn.Module | None] = module.__dict__.get("_modules", {})
    return children.get(name)


def compiled_by(module: nn.Module) -> nn.Module | None:
    """Return what a module that ``torch.compile`` returned compiles; None of any other."""
    return child_of(module, "_orig_mod")


def unsaved_buffers_of(module: nn.Module) -> set[str]:
    """Return the names of those buffers that ``state_dict()`` leaves out."""
    return module._non_persistent_buffers_set


def hold_registries_of(module: nn.Module, other: nn.Module) -> None:
    """Make two modules hold the very same parameters, buffers and children, from now on."""
    for registry in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
        object.__setattr__(module, registry, getattr(other, registry))


def has_forward_hooks(module: nn.Module) -> bool:
    """Tell whether hooks may change what a module receives or returns."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def has_hooks(module: nn.Module) -> bool:
    """Tell whether a call of a module runs hooks, forward or backward: its own, or all modules'."""
    return bool(
        has_forward_hooks(module)
        or module._backward_hooks
        or module._backward_pre_hooks
        or nn.modules.module._has_any_global_hook()
    )


def names_of_graph_modules() -> set[str]:
    """Return the names under which a graph module keeps what is its own; a child hides it there.

    The registry of children is left out: no module can have a child of its name.
    """
    return set(dir(fx.GraphModule(nn.Module(), fx.Graph()))) - {"_modules"}


def version_of(tensor: Tensor) -> int:
    """Return the count of writes to a tensor, which tells whether one happened since."""
    return tensor._version


def flattening_of(container: Any) -> pytree.NodeDef:
    """Return how a container that is no leaf is flattened; all named tuples share one way."""
    return pytree.SUPPORTED_NODES[pytree._get_node_type(container)]


def apply_to_tensors(module: M, function: Callable[[Tensor], Tensor]) -> M:
    """Replace every parameter and buffer of a module and its children, as ``.to()`` does."""
    return module._apply(function)


def weight_names(layer: nn.RNNBase) -> list[str]:
    """Name the weights of a recurrent layer in the order in which its ATen operator takes them."""
    return [name for names in layer._all_weights for name in names]


def relist_weights(layer: nn.RNNBase) -> None:
    """Make a recurrent layer list its weights anew, after they were replaced."""
    layer._init_flat_weights()


def dtype_of_code(code: Any) -> torch.dtype:
    """Return the dtype that a saved program has as a number.

    Raises:
        KeyError: no dtype has this number.
        TypeError: it is no number.
    """
    # Imported late: it brings all of export, for which operators alone need not wait.
    from torch._export.serde.serialize import deserialize_scalar_type

    return deserialize_scalar_type(code)


def set_state(program: ExportedProgram, state: dict[str, Any]) -> None:
    """Give an exported program other tensors; what else holds its old ones keeps them."""
    program._state_dict = state


def set_constants(program: ExportedProgram, constants: dict[str, Any]) -> None:
    """Give an exported program other tensors that its ``state_dict`` leaves out."""
    program._constants = constants


def set_ranges(program: ExportedProgram, ranges: dict[Any, Any]) -> None:
    """Give an exported program other smallest and largest sizes, by symbol."""
    program._range_constraints = ranges


def guards_of(program: ExportedProgram) -> list[str]:
    """Return what export found out of sizes, as text of Python."""
    return list(program._guards_code)


def set_guards(program: ExportedProgram, guards: Iterable[str]) -> None:
    """Give an exported program such text, which is saved with it."""
    program._guards_code = list(guards)


def forget_guards(program: ExportedProgram) -> None:
    """Drop the text of a loaded program that ``module(check_guards=True)`` would execute."""
    program._guards_code = []
