"""Trace: a model and example inputs become one functional graph with a dynamic batch.

``torch.export`` runs the model once on fake tensors and records the ATen operators, the module
that each came from, and shapes in terms of a symbolic batch size.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.nn.utils.rnn import PackedSequence

from snnconvert.converter.dtypes import real_dtype
from snnconvert.converter.exclusive import exclusive
from snnconvert.converter.functional import make_functional
from snnconvert.errors import TraceError, first_line

Role = Literal["coded", "held", "constant"]
_TORCH = str(Path(torch.__file__).parent)
_STDLIB = str(Path(traceback.__file__).parent / "inspect.py")
_HERE = str(Path(__file__).parent)


@dataclass(frozen=True)
class TracedInput:
    """One leaf of the model's inputs.

    Attributes:
        name: where it stands in the call, e.g. ``args[0]`` or ``input_ids``.
        role: ``coded`` (floats: arrives as increments), ``held`` (integers and bools: the same
            at every step) or ``constant`` (not a tensor: fixed when the model was traced).
        example: the leaf of the example inputs.
        shape: sizes of the leaf, None where the trace left a size open (the batch); empty where
            it is not a tensor.
    """

    name: str
    role: Role
    example: Any
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class TracedModel:
    """The functional graph of a model.

    Attributes:
        graph: ATen operators; parameters under their own names; ``meta["val"]`` of each node
            holds its shape, ``meta["nn_module_stack"]`` the modules it came from.
        root: what the graph's ``get_attr`` nodes refer to, where it is not in ``tensors``.
        program: what ``torch.export`` returned; it is what a conversion saves.
        tensors: the source's parameters and buffers by name, shared.
        inputs: the leaves of the inputs, in the order of the graph's placeholders.
        in_spec: tree of ``(args, kwargs)``.
        out_spec: tree of the outputs.
        batch: symbols of the batch size; empty where the batch could not be dynamic.
        notes: what a reader of the report should know about this trace.
    """

    graph: fx.Graph
    root: nn.Module
    program: ExportedProgram
    tensors: Mapping[str, Tensor]
    inputs: tuple[TracedInput, ...]
    in_spec: pytree.TreeSpec
    out_spec: pytree.TreeSpec
    batch: frozenset[Any]
    notes: tuple[str, ...]


@exclusive
def trace(
    model: nn.Module | ExportedProgram,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> TracedModel:
    """Trace a model in eval mode on example inputs.

    Args:
        model: the network; an ``ExportedProgram`` is taken as it is.
        args: positional example inputs; tensors have the batch in dimension 0. A batch of one is
            doubled, because ``torch.export`` would take the number 1 for a fixed size.
        kwargs: keyword example inputs. What is not a tensor is a constant of the trace.

    Raises:
        TraceError: the model is in train mode, or cannot be exported; names module and line.
    """
    if isinstance(model, ExportedProgram):
        return traced_from(model)
    args, kwargs = tuple(args), dict(kwargs or {})
    _refuse_train_mode(model)
    doubled = _with_batch_of_two(args, kwargs)
    notes: list[str] = []
    try:
        program = _export(model, *doubled, dynamic=True)
    except Exception as dynamic_error:
        notes.append(
            "torch.export refused a dynamic batch, so the conversion is bound to the example's "
            f"batch size: {first_line(dynamic_error)}"
        )
        try:
            program = _export(model, args, kwargs, dynamic=False)
        except Exception as error:
            raise TraceError(_explain(model, args, kwargs, error)) from error
    return traced_from(program, notes)


def traced_from(program: ExportedProgram, notes: Sequence[str] = ()) -> TracedModel:
    """Make the graph of an exported program functional and say what its inputs are.

    Raises:
        TraceError: the program was exported without example inputs.
    """
    if program.example_inputs is None:
        raise TraceError(
            "the exported program carries no example inputs; export it again with "
            "torch.export.export(model, args) so that they are kept"
        )
    graph_module, program, functional_notes = make_functional(program)
    placeholders = [n for n in graph_module.graph.nodes if n.op == "placeholder"]
    examples, in_spec = pytree.tree_flatten(program.example_inputs)
    names = [_input_name(path) for path, _ in pytree.tree_leaves_with_path(program.example_inputs)]
    inputs, batch = [], set()
    for name, node, example in zip(names, placeholders, examples, strict=True):
        batch |= _batch_symbols(node)
        inputs.append(TracedInput(name, _role(example), example, _sizes(node)))
    out_spec = program.call_spec.out_spec
    assert out_spec is not None
    all_notes = [*notes, *functional_notes]
    if not batch and not notes:
        all_notes.append(
            "the model fixes the size of dimension 0 of its inputs, which stands for the batch, "
            "so the conversion is bound to the example's"
        )
    return TracedModel(
        graph=graph_module.graph,
        root=graph_module,
        program=program,
        tensors=program.state_dict,
        inputs=tuple(inputs),
        in_spec=in_spec,
        out_spec=out_spec,
        batch=frozenset(batch),
        notes=tuple(all_notes),
    )


def floating_dtype(traced: TracedModel) -> torch.dtype:
    """Return the dtype of the source's first floating-point parameter, buffer or input (of complex
    ones: of their parts)."""
    examples = [given.example for given in traced.inputs]
    for value in [*traced.tensors.values(), *examples]:
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            return real_dtype(value.dtype)
    return torch.get_default_dtype()


STANDS_FOR = "stands_for"  # meta: the node of the source whose value a changed node computes


def source_name(node: fx.Node) -> str:
    """Return the name of the source's node whose value a node computes."""
    return str(node.meta.get(STANDS_FOR, node.name))


def module_path(node: fx.Node) -> str:
    """Return the path of the module that a node came from (``""`` for the root)."""
    return module_stack(node)[-1][0] if module_stack(node) else ""


def module_stack(node: fx.Node) -> list[tuple[str, str]]:
    """Return ``(path, qualified class name)`` of all modules around a node, outermost first."""
    stack = node.meta.get("nn_module_stack") or {}
    return [
        (re.sub(r"@\d+", "", path), kind if isinstance(kind, str) else _qualified(kind))
        for key, (path, kind) in stack.items()
        if not key.startswith("_empty")
    ]


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _export(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, dynamic: bool
) -> ExportedProgram:
    # Export marks the tensors that it is given, so it gets copies.
    args, kwargs = pytree.tree_map(_copied, (args, kwargs))
    shapes = _dynamic_shapes(args, kwargs) if dynamic else None
    with torch.no_grad(), warnings.catch_warnings(), _quiet_export():
        # Recurrent modules list their own weights anew at each call, which export remarks on.
        warnings.filterwarnings("ignore", message=".* assigned during export")
        return torch.export.export(model, args, kwargs, dynamic_shapes=shapes, strict=False)


def _copied(x: Any) -> Any:
    return x.detach().clone() if isinstance(x, Tensor) else x


@contextlib.contextmanager
def _quiet_export() -> Iterator[None]:
    """Keep torch from printing the whole partial graph where an export fails."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.fx", "torch._export")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _dynamic_shapes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> ShapesCollection:
    shapes = ShapesCollection()
    batch = _batch_size(args, kwargs)
    for x in _tensors(args, kwargs):
        if x.shape[0] == batch:
            shapes[x] = {0: Dim.AUTO}
    return shapes


def _tensors(args: Any, kwargs: Any) -> list[Tensor]:
    return [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor) and x.dim()]


def _batch_size(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    tensors = _tensors(args, kwargs)
    floats = [x for x in tensors if x.is_floating_point()]
    return (floats or tensors)[0].shape[0] if tensors else None


def _with_batch_of_two(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if _batch_size(args, kwargs) != 1:
        return args, kwargs

    def double(x: Any) -> Any:
        return torch.cat([x, x]) if isinstance(x, Tensor) and x.dim() and x.shape[0] == 1 else x

    doubled: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_map(double, (args, kwargs))
    return doubled


def _refuse_train_mode(model: nn.Module) -> None:
    training = [name or "the model itself" for name, m in model.named_modules() if m.training]
    if training:
        shown = ", ".join(training[:3]) + (", ..." if len(training) > 3 else "")
        raise TraceError(
            f"{len(training)} modules are in train mode ({shown}), where dropout and batch "
            "statistics make the output random; call model.eval() first"
        )


def _input_name(path: tuple[Any, ...]) -> str:
    position, *rest = path
    if position.idx == 0:
        return "args" + pytree.keystr(tuple(rest))
    name, *inner = rest
    return f"{name.key}{pytree.keystr(tuple(inner))}"


def _role(example: Any) -> Role:
    if not isinstance(example, Tensor):
        return "constant"
    return "coded" if example.is_floating_point() or example.is_complex() else "held"


def _sizes(placeholder: fx.Node) -> tuple[int | None, ...]:
    value = placeholder.meta.get("val")
    sizes = value.shape if isinstance(value, Tensor) else ()
    return tuple(fixed_size(n) for n in sizes)


def fixed_size(size: Any) -> int | None:
    """Return a size of a traced shape as a number; None where the trace left it open.

    What export found to be always the same is still a symbol, of an expression that is a number.
    """
    if isinstance(size, int):
        return size
    return None if size.node.expr.free_symbols else int(size)


def _batch_symbols(placeholder: fx.Node) -> set[Any]:
    value = placeholder.meta.get("val")
    if not isinstance(value, Tensor) or not value.dim() or isinstance(value.shape[0], int):
        return set()
    return set(value.shape[0].node.expr.free_symbols)


def _explain(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException
) -> str:
    """Say why a model cannot be traced: it does not run on its inputs, or export refuses it."""
    try:
        # The model itself is run: some cannot be copied, and a run in eval mode changes nothing
        # that the failed export did not.
        with torch.no_grad():
            model(*args, **kwargs)
    except Exception as own:
        return (
            f"{_place(model, own)} does not run on the example inputs: {type(own).__name__}: "
            f"{first_line(own)}. Pass inputs on which the model works"
        )
    if _packs(error):
        return (
            f"torch.export cannot trace {_place(model, error)}: it runs on a PackedSequence, whose "
            "shape depends on the values of the lengths. Where all sequences are as long as the "
            "input, leave out pack_padded_sequence; else convert the recurrent layer and what "
            "follows it on padded inputs, and read each sequence's outputs before its padding "
            "(a reverse direction would start in the padding: give it sequences of one length). "
            "By hand, snnconvert.ops.TDLSTM, TDGRU and TDRNN take packed sequences"
        )
    return (
        f"torch.export cannot trace {_place(model, error)}: {type(error).__name__}: "
        f"{first_line(error)}. Where shapes or branches depend on the values of tensors, rewrite "
        "that line or convert the submodules around it; inputs and outputs must be tensors, "
        "numbers, tuples, lists, dicts, or classes that PyTorch was told of: a dataclass by "
        "torch.export.register_dataclass(YourClass)"
    )


def _packs(error: BaseException) -> bool:
    """Tell whether an error came from packing, or from what runs on a packed sequence."""
    return any(
        frame.f_globals.get("__name__") == PackedSequence.__module__
        or any(isinstance(value, PackedSequence) for value in frame.f_locals.values())
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _place(model: nn.Module, error: BaseException) -> str:
    """Name the innermost module and line of the user's code that an error came through."""
    paths = {id(m): name or "the model itself" for name, m in model.named_modules()}
    where, module = "", "the model"
    for frame, line in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if id(owner) in paths:
            module = f"module '{paths[id(owner)]}' ({type(owner).__name__})"
        filename = frame.f_code.co_filename
        if not filename.startswith((_TORCH, "<", _STDLIB, _HERE)):
            where = f" at {filename}:{line}"
    return module + where
