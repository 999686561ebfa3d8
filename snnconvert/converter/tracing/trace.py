"""Trace: a model and example inputs become one functional graph with a dynamic batch.

``torch.export`` runs the model once on fake tensors and records the ATen operators, the module
that each came from, and shapes in terms of a symbolic batch size.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, ShapesCollection

from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.failures import explain_failure
from snnconvert.converter.tracing.functional import make_functional
from snnconvert.converter.tracing.traced import Role, TracedInput, TracedModel
from snnconvert.errors import TraceError, first_line
from snnconvert.sources.modules import module_problem
from snnconvert.sources.names import keyword_problem


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
    # torch.export writes Python of names, the model's own and those of its inputs.
    if problem := module_problem(model) or keyword_problem(kwargs):
        raise TraceError(f"the model cannot be traced: {problem}")
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
            raise TraceError(explain_failure(model, args, kwargs, error)) from error
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


def _batch_symbols(placeholder: fx.Node) -> set[Any]:
    value = placeholder.meta.get("val")
    if not isinstance(value, Tensor) or not value.dim() or isinstance(value.shape[0], int):
        return set()
    return set(value.shape[0].node.expr.free_symbols)
