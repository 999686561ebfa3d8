"""Exporting a model with an open batch: ``torch.export`` and what it needs to be asked."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, ShapesCollection

from snnconvert.converter.tracing.batch import (
    Candidates,
    Marks,
    candidates,
    doubled,
    of_outputs,
    open_symbols,
    reaching,
    symbols,
)
from snnconvert.converter.tracing.guards import read_guards
from snnconvert.converter.tracing.source_runs import copies
from snnconvert.errors import first_line
from snnconvert.torch_private import EXPORT_LOGGERS, guards_of, pytree


@dataclass(frozen=True)
class Exported:
    """A program, and which dimension of each input leaf is the batch (leaves without have none)."""

    program: ExportedProgram
    batch_dims: Mapping[int, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExampleCall:
    """The call of a model on its example, flattened.

    Attributes:
        leaves: the example's.
        spec: tree of ``(args, kwargs)``.
        names: of the leaves.
        held: leaves that were declared held.
        said: the dimensions that the user says are the batch; None: none is said.
        without: leaves that the user says have no batch.
    """

    leaves: list[Any]
    spec: pytree.TreeSpec
    names: list[str]
    held: frozenset[int]
    said: Candidates | None
    without: frozenset[int] = frozenset()


def export_open(model: nn.Module, call: ExampleCall) -> Exported | None:
    """Export a model with an open batch; None where it leaves no dimension open.

    Raises:
        Exception: export refuses the model.
    """
    said = call.said
    found = candidates(call.leaves, call.held, call.without) if said is None else iter([said])
    ignored: Exported | None = None
    errors: list[Exception] = []
    for number, candidate in enumerate(found):
        try:
            program, candidate = _as_open(model, call, candidate)
        except Exception as error:
            # Where nothing was doubled, what export refuses does not depend on the candidates.
            if not number and _as_given(call, candidate.marks):
                raise
            errors.append(error)
            continue
        left = open_symbols(placeholders_of(program), candidate.marks)
        if batch := reaching(program.graph, left):
            return _with_batch(model, call, program, candidate, batch, usual=not number)
        if left and ignored is None:  # of an input that the model does not read
            ignored = Exported(program, _dims(program, candidate.marks, left))
    if errors and ignored is None:
        raise errors[0]
    return ignored


def _as_open(
    model: nn.Module, call: ExampleCall, candidate: Candidates
) -> tuple[ExportedProgram, Candidates]:
    """Export with candidates open. One of size one that export fixes was doubled in vain, and so
    was one that has to be as large as another of two: what the model repeats for a whole batch is
    no batch. It is no candidate, and has the size of the example."""
    program = export(model, call, candidate.marks)
    nodes, marks = placeholders_of(program), candidate.marks
    several = {
        symbol
        for i, dims in marks.items()
        for d in dims
        if call.leaves[i].shape[d] != 1
        for symbol in symbols(nodes[i], d)
    }

    def is_open(i: int, d: int) -> bool:
        own = symbols(nodes[i], d)
        return call.leaves[i].shape[d] != 1 or (bool(own) and several.isdisjoint(own))

    marks = {i: tuple(d for d in dims if is_open(i, d)) for i, dims in marks.items()}
    if marks == candidate.marks:
        return program, candidate
    kept = replace(candidate, marks={i: dims for i, dims in marks.items() if dims})
    return _as_open(model, call, kept)


def _as_given(call: ExampleCall, marks: Marks) -> bool:
    return all(a is b for a, b in zip(call.leaves, doubled(call.leaves, marks), strict=True))


def _with_batch(
    model: nn.Module,
    call: ExampleCall,
    program: ExportedProgram,
    candidate: Candidates,
    batch: list[Any],
    *,
    usual: bool,
) -> Exported:
    """Choose among what export left open; what else is open is fixed, by another export."""
    if candidate.decided:
        batch = chosen = _with_compared(program, call, candidate.marks, batch)
    else:
        chosen = _chosen(program, candidate, batch)
    dims = _dims(program, candidate.marks, chosen)
    if set(chosen) != set(batch):
        program = export(model, call, {i: (dim,) for i, dim in dims.items()})
    return Exported(program, dims, () if usual else (_said_of(call, dims),))


def export_fixed(model: nn.Module, call: ExampleCall) -> Exported:
    """Export a model on the sizes of the example alone."""
    return Exported(export(model, call, {}), {})


def refused(error: BaseException) -> str:
    """Say that a model cannot be exported with an open batch."""
    return (
        "torch.export refused a dynamic batch, so the conversion is bound to the example's "
        f"batch size: {first_line(error)}"
    )


def export(model: nn.Module, call: ExampleCall, marks: Marks) -> ExportedProgram:
    """Export a model with some dimensions of its inputs left open."""
    # Export marks the tensors that it is given, so it gets copies.
    leaves = copies(doubled(call.leaves, marks))
    shapes = ShapesCollection()
    for i, dims in marks.items():
        shapes[leaves[i]] = dict.fromkeys(dims, Dim.AUTO)
    args, kwargs = pytree.tree_unflatten(leaves, call.spec)
    with torch.no_grad(), warnings.catch_warnings(), _quiet_export():
        # Recurrent modules list their own weights anew at each call, which export remarks on.
        warnings.filterwarnings("ignore", message=".* assigned during export")
        return torch.export.export(
            model, args, kwargs, dynamic_shapes=shapes if marks else None, strict=False
        )


def placeholders_of(program: ExportedProgram) -> list[fx.Node]:
    """Return the placeholders of a program's own inputs, in order."""
    given = set(program.graph_signature.user_inputs)
    nodes = [n for n in program.graph.nodes if n.op == "placeholder"]
    return [n for n in nodes if n.name in given] if len(given) < len(nodes) else nodes


def _with_compared(
    program: ExportedProgram, call: ExampleCall, marks: Marks, batch: list[Any]
) -> list[Any]:
    """Return the symbols of the batch with those of candidates that export compared with them.

    A scatter asks of its index that it has no more rows than what it writes to, and the size of an
    index is that of no result.
    """
    nodes = placeholders_of(program)
    own = {(i, d): set(symbols(nodes[i], d)) for i, dims in marks.items() for d in dims}
    shapes = [x.shape if isinstance(x, Tensor) else () for x in call.leaves]
    guards = read_guards(guards_of(program), call.names, shapes, lambda i, d: (i, d) in own)
    found = set(batch)
    for guard in guards:
        compared = [own[place] for place in guard.leaves.values() if place in own]
        if any(known & found for known in compared):
            found = found.union(*compared)
    return [s for s in open_symbols(nodes, marks) if s in found]


def _chosen(program: ExportedProgram, candidate: Candidates, batch: list[Any]) -> list[Any]:
    if candidate.reference is None:
        return of_outputs(program.graph, batch)
    leaf, dim = candidate.reference
    own = symbols(placeholders_of(program)[leaf], dim)
    return [s for s in batch if s in own] or of_outputs(program.graph, batch)


def _dims(program: ExportedProgram, marks: Marks, chosen: Sequence[Any]) -> dict[int, int]:
    nodes = placeholders_of(program)
    return {
        i: dim
        for i, dims in marks.items()
        for dim in reversed(dims)
        if set(symbols(nodes[i], dim)) & set(chosen)
    }


def _said_of(call: ExampleCall, dims: Mapping[int, int]) -> str:
    where = ", ".join(f"dimension {dim} of '{call.names[i]}'" for i, dim in dims.items())
    return (
        f"the batch was found to be {where}, and not dimension 0 of the first input; say another "
        "with batch_dims= (--batch-dim)"
    )


@contextlib.contextmanager
def _quiet_export() -> Iterator[None]:
    """Keep torch from printing the whole partial graph where an export fails."""
    loggers = [logging.getLogger(name) for name in EXPORT_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
