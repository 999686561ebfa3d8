"""Make an exported graph functional: no operator writes to a tensor that another one reads.

``ExportedProgram.run_decompositions`` does this for any graph, but traces it a second time, which
costs more than the export itself (measured: 2.2 times it for resnet18). Most graphs need only what
is done here on the graph: ``relu_`` of a fresh tensor is ``relu``. Where a write is seen through a
view, or a part of the model runs under ``torch.vmap`` or autocast, the second trace is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.tracing.overloads import functional_dtype, functional_overload
from snnconvert.errors import TraceError, first_line
from snnconvert.ops.kinds import operator_name
from snnconvert.torch_private import VMAP_MODULE, OpOverload, names_of_graph_modules, schema_of

_aten = torch.ops.aten
_DROPOUTS = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
_IDENTITIES = ("detach", "detach_", "alias", "lift_fresh")
_CHECKS = ("_assert", "sym_constrain_range", "_check_is_size")


def make_functional(
    program: ExportedProgram,
) -> tuple[fx.GraphModule, ExportedProgram, list[str]]:
    """Return the functional graph, the program that it is the graph of, and notes on both.

    Raises:
        TraceError: torch.export traced the model, and cannot do what follows a trace.
    """
    notes: list[str] = []
    graph_module = _unlifted(program)
    if _has_modes(graph_module.graph) or not _write_nothing(graph_module.graph):
        program = _traced_again(program)
        graph_module = _unlifted(program)
        notes += _drop_last_writes(graph_module.graph)
    _spell_batch_norm(graph_module.graph)
    _spell_views(graph_module.graph)
    # Nothing is written any more, so what nobody reads may go, random draws included.
    graph_module.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
    return graph_module, program, notes


def _traced_again(program: ExportedProgram) -> ExportedProgram:
    try:
        return program.run_decompositions({})
    except Exception as error:
        raise TraceError(
            "torch.export traced the model but cannot make its trace functional "
            f"({type(error).__name__}: {first_line(error)}). The model writes to tensors that are "
            "views of others, or computes under torch.func or autocast: write that part without, "
            "or convert the submodules around it"
        ) from error


def _unlifted(program: ExportedProgram) -> fx.GraphModule:
    try:
        graph_module: Any = program.module(check_guards=False)
    except Exception as error:
        raise TraceError(
            f"torch.export traced the model but cannot make a module of it: {first_line(error)}. "
            f"{_said_of_names(program)}"
        ) from error
    _inline_regions(graph_module)
    for node in list(graph_module.graph.nodes):
        if node.op != "call_function":
            continue
        name = _name(node)
        if (name.removesuffix("_") in _DROPOUTS and not node.args[2]) or name in _IDENTITIES:
            node.replace_all_uses_with(node.args[0])
            graph_module.graph.erase_node(node)
        elif name.startswith(_CHECKS):
            graph_module.graph.erase_node(node)
    return graph_module


def _said_of_names(program: ExportedProgram) -> str:
    """Name the children of a model that hide what a graph module keeps under their names."""
    first = {name.partition(".")[0] for name in (*program.state_dict, *program.constants)}
    hidden = sorted(first & names_of_graph_modules())
    if not hidden:
        return "A submodule may have the name of what torch keeps there: rename it"
    names = ", ".join(f"'{name}'" for name in hidden)
    return f"The names {names} of submodules or tensors hide what torch keeps there: rename them"


def _name(node: fx.Node) -> str:
    return operator_name(node.target)


def _inline_regions(graph_module: fx.GraphModule) -> None:
    """Put the nodes of regions that change nothing (grad mode, disabled autocast) in the graph."""
    for node in list(graph_module.graph.nodes):
        name = _name(node)
        if name == "higher_order::wrap_with_set_grad_enabled":
            _inline(graph_module, node, node.args[1], node.args[2:])
        elif name == "higher_order::wrap_with_autocast" and node.args[2] is False:
            _inline(graph_module, node, node.args[4], node.args[5:])


def _inline(
    graph_module: fx.GraphModule, node: fx.Node, region: fx.Node, operands: tuple[Any, ...]
) -> None:
    inner: Any = getattr(graph_module, str(region.target))
    _inline_regions(inner)
    placeholders = [n for n in inner.graph.nodes if n.op == "placeholder"]
    copies = dict(zip(placeholders, operands, strict=True))
    with graph_module.graph.inserting_before(node):
        outputs = graph_module.graph.graph_copy(inner.graph, copies)
    values: Any = outputs
    # The region returns a tuple, which the graph around it takes apart again.
    for user in list(node.users):
        if _name(user) == "getitem":
            user.replace_all_uses_with(values[user.args[1]])
            graph_module.graph.erase_node(user)
    graph_module.graph.erase_node(node)


def _has_modes(graph: fx.Graph) -> bool:
    """Tell whether a part of the graph runs under ``torch.vmap`` or autocast.

    The nodes of the one enter and leave a mode, and mean nothing one by one; those of the other are
    a graph of their own, in which no cast is written. A second trace runs through them and records
    the operators on whole batches, and the casts.
    """
    return any(
        getattr(node.target, "__module__", None) == VMAP_MODULE
        or _name(node) == "higher_order::wrap_with_autocast"
        for node in graph.nodes
        if node.op == "call_function"
    )


def _written(node: fx.Node) -> fx.Node | None:
    """Return the argument that a node writes to, if it writes to one."""
    if not isinstance(node.target, OpOverload):
        return None
    for argument in schema_of(node.target).arguments:
        if argument.alias_info is not None and argument.alias_info.is_write:
            written: Any = arguments_of(node).get(argument.name)
            return written
    return None


def _viewed(node: fx.Node) -> Iterator[fx.Node]:
    """Yield the arguments that the outputs of a node may share memory with."""
    if _name(node) == "getitem":
        yield node.args[0]  # type: ignore[misc]
    elif isinstance(node.target, OpOverload):
        for argument in schema_of(node.target).arguments:
            if argument.alias_info is None:
                continue
            value = arguments_of(node).get(argument.name)
            if isinstance(value, fx.Node):
                yield value
        if _name(node) in ("reshape", "flatten", "contiguous", "to", "chunk", "expand_as"):
            yield node.args[0]  # type: ignore[misc]


def _write_nothing(graph: fx.Graph) -> bool:
    """Replace each writing operator by its functional form; False where that is not enough."""
    memory: dict[fx.Node, set[fx.Node]] = {}
    order = {node: i for i, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        written = _written(node)
        if written is None:
            sharing = {node}.union(*(memory[v] for v in _viewed(node)))
            for member in sharing:
                memory[member] = sharing
            continue
        if not _write_one(graph, node, written, memory, order):
            return False
    return True


def _write_one(
    graph: fx.Graph,
    node: fx.Node,
    written: fx.Node,
    memory: dict[fx.Node, set[fx.Node]],
    order: dict[fx.Node, int],
) -> bool:
    operator: Any = node.target
    overload = functional_overload(operator)
    read_elsewhere = any(
        order.get(user, len(order)) > order[node]
        for member in memory[written] - {written}
        for user in member.users
    )
    lasting = any(member.op in ("placeholder", "get_attr") for member in memory[written])
    if overload is None or read_elsewhere or lasting:
        return False
    with graph.inserting_before(node):
        fresh = graph.call_function(overload, node.args, node.kwargs)
        fresh.meta = dict(node.meta)
        own, made = node.meta["val"].dtype, functional_dtype(overload, node.args, node.kwargs)
        if made not in (own, None):
            # What is written keeps its dtype; the functional form may have that of the other.
            fresh.meta["val"] = node.meta["val"].to(made)
            fresh = graph.call_function(_aten.to.dtype, (fresh, own))
            fresh.meta = dict(node.meta)
    written.replace_all_uses_with(
        fresh, delete_user_cb=lambda user: order.get(user, -1) > order[node]
    )
    node.replace_all_uses_with(fresh)
    graph.erase_node(node)
    order[fresh] = order[node]
    memory[fresh] = {fresh}
    return True


def _drop_last_writes(graph: fx.Graph) -> list[str]:
    """Remove what a second trace writes back at its end, to buffers and inputs: a converted module
    changes neither. An output that was written keeps what it would hold."""
    notes = []
    for node in list(graph.nodes):
        written = _written(node)
        if written is not None:
            notes.append(f"'{written.target}' is written by the model; the write is left out")
            node.replace_all_uses_with(arguments_of(node)["src"])
            graph.erase_node(node)
    return notes


def _spell_batch_norm(graph: fx.Graph) -> None:
    """Give the batch normalisation of a second trace the name that it has in a first one."""
    for node in list(graph.nodes):
        if _name(node) != "_native_batch_norm_legit_no_training":
            continue
        x, weight, bias, mean, var, momentum, eps = node.args
        for user in list(node.users):
            if user.args[1] != 0:
                continue
            with graph.inserting_before(node):
                call = graph.call_function(
                    _aten.batch_norm.default,
                    (x, weight, bias, mean, var, False, momentum, eps, True),
                )
            call.meta = dict(user.meta)
            user.replace_all_uses_with(call)
            graph.erase_node(user)


def _spell_views(graph: fx.Graph) -> None:
    """Spell views as reshapes: a view relies on the strides that its producer had in the source,
    which need not be those of what will stand in the producer's place."""
    for node in graph.nodes:
        if node.target is _aten.view.default:
            node.target = _aten.reshape.default
