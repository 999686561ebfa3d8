"""An exported program as a traced model: a functional graph, and what its inputs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, fx
from torch.export import ExportedProgram

from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.tracing.batch import (
    BatchDims,
    leaves_named,
    names_none,
    said_candidates,
    said_dims,
    said_fixed,
    symbols,
)
from snnconvert.converter.tracing.functional import make_functional
from snnconvert.converter.tracing.guards import Guard, read_guards
from snnconvert.converter.tracing.names import leaf_names, program_names
from snnconvert.converter.tracing.traced import (
    Role,
    TracedInput,
    TracedModel,
    first_floating_dtype,
    number_dtypes,
)
from snnconvert.errors import TraceError
from snnconvert.ops.sequence import is_number
from snnconvert.sources.programs import CONDITIONS
from snnconvert.torch_private import guards_of, pytree


def traced_from(
    program: ExportedProgram,
    notes: Sequence[str] = (),
    *,
    held: Sequence[str | int] = (),
    batch_dims: BatchDims | None = None,
    found: Mapping[int, int] | None = None,
    not_single: str | None = None,
) -> TracedModel:
    """Make the graph of an exported program functional and say what its inputs are.

    Args:
        program: with the example inputs that it was exported on.
        notes: what is known of the trace.
        held, batch_dims: see `trace`.
        found: the dimension of each input leaf that is the batch, where that was found out.
        not_single: see :class:`TracedModel`.

    Raises:
        InputError: ``held`` or ``batch_dims`` name an input that is not there.
        TraceError: the program was exported without example inputs.
    """
    args, kwargs = _example_of(program)
    texts = tuple(getattr(program, CONDITIONS, None) or guards_of(program))
    positional = program_names(program, len(args))
    graph_module, program, functional_notes = make_functional(program)
    nodes = [n for n in graph_module.graph.nodes if n.op == "placeholder"]
    examples, in_spec = pytree.tree_flatten((args, kwargs))
    names = leaf_names(positional, args, kwargs)
    fixed = _FIXED
    if batch_dims is not None:
        found = _said(said_dims(batch_dims, names, positional, examples), examples)
        fixed = said_fixed(found, names)
    batch = _batch(nodes, found)
    kept = {i for key in held for i in leaves_named(key, names, positional, "held")}
    given = enumerate(zip(names, nodes, examples, strict=True))
    inputs = tuple(_input(*one, batch, i in kept) for i, one in given)
    out_spec = program.call_spec.out_spec
    assert out_spec is not None
    all_notes = [*notes, *functional_notes]
    if not batch and not notes:
        all_notes.append(fixed)
    return TracedModel(
        graph=graph_module.graph,
        root=graph_module,
        program=program,
        tensors=program.state_dict,
        inputs=inputs,
        in_spec=in_spec,
        out_spec=out_spec,
        batch=batch,
        notes=tuple(all_notes),
        conditions=texts,
        guards=_guards(texts, inputs),
        ranges={symbol: _ends(limits) for symbol, limits in program.range_constraints.items()},
        dtype=first_floating_dtype([*program.state_dict.values(), *examples]),
        dtypes=number_dtypes([*program.state_dict.values(), *program.constants.values()]),
        not_single=not_single,
    )


def _example_of(program: ExportedProgram) -> tuple[Any, Any]:
    if program.example_inputs is None:
        raise TraceError(
            "the exported program carries no example inputs; export it again with "
            "torch.export.export(model, args) so that they are kept"
        )
    return program.example_inputs


_FIXED = (
    "the model fixes the size of what stands for the batch (dimension 0 of its first input), so "
    "the conversion is bound to the example's; batch_dims= (--batch-dim) says another "
    "dimension"
)


def _said(said: Mapping[int, int | None], examples: Sequence[Any]) -> dict[int, int]:
    """Return the dimension of each input leaf that is the batch, by what a user says of some."""
    if names_none(said):
        return {i: 0 for i, x in enumerate(examples) if isinstance(x, Tensor) and i not in said}
    return {i: dim for i, (dim, *_) in said_candidates(examples, said).marks.items()}


def _input(
    name: str, node: fx.Node, example: Any, batch: frozenset[Any], held: bool
) -> TracedInput:
    sizes = _sizes(node)
    dims = [d for d, n in enumerate(sizes) if not isinstance(n, int) and n.free_symbols & batch]
    return TracedInput(
        name, _role(example, held), example, sizes, dims[0] if len(dims) == 1 else None
    )


def _role(example: Any, held: bool) -> Role:
    if not isinstance(example, Tensor):
        return "constant"
    return "coded" if is_number(example) and not held else "held"


def _sizes(placeholder: fx.Node) -> tuple[Any, ...]:
    value = placeholder.meta.get("val")
    sizes = value.shape if isinstance(value, Tensor) else ()
    fixed: list[tuple[Any, int | None]] = [(n, fixed_size(n)) for n in sizes]
    return tuple(n.node.expr if known is None else known for n, known in fixed)


def _batch(nodes: Sequence[fx.Node], found: Mapping[int, int] | None) -> frozenset[Any]:
    """Return the symbols of the batch: of the dimensions that are known, else of dimension 0."""
    if found is not None:
        return frozenset(s for i, dim in found.items() for s in symbols(nodes[i], dim))
    return frozenset(s for node in nodes for s in symbols(node, 0))


def _guards(texts: Sequence[str], inputs: Sequence[TracedInput]) -> tuple[Guard, ...]:
    shapes = [x.shape if isinstance(x := given.example, Tensor) else () for given in inputs]
    names = [given.name for given in inputs]
    return read_guards(texts, names, shapes, lambda i, d: inputs[i].shape[d] is None)


def _ends(limits: Any) -> tuple[int, int | None]:
    """Return the smallest and largest size; a symbol of data may have no smallest value."""
    least, most = (int(x) if x.is_Integer else None for x in (limits.lower, limits.upper))
    return least or 0, most
