"""Trace: a model and example inputs become one functional graph with a dynamic batch.

``torch.export`` runs the model once on fake tensors and records the ATen operators, the module
that each came from, and shapes in terms of a symbolic batch size. What it finds out about sizes
is kept, and what it cannot see of a single sample is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from snnconvert.converter.tracing.batch import (
    BatchDims,
    leaves_named,
    names_none,
    said_candidates,
    said_dims,
    said_fixed,
)
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.exporting import (
    ExampleCall,
    Exported,
    export_fixed,
    export_open,
    refused,
)
from snnconvert.converter.tracing.failures import explain_failure, explain_own_failure
from snnconvert.converter.tracing.fast_paths import said_of_fast_path
from snnconvert.converter.tracing.from_program import traced_from
from snnconvert.converter.tracing.kept_parameters import kept_parameters
from snnconvert.converter.tracing.names import forward_names, leaf_names
from snnconvert.converter.tracing.outputs import registered_output_classes
from snnconvert.converter.tracing.preparing import (
    as_traced,
    refuse_train_mode,
    refuse_uninitialized,
    unwrapped,
)
from snnconvert.converter.tracing.repeated_calls import said_of_repeated_calls
from snnconvert.converter.tracing.single import one_sample, why_not_single
from snnconvert.converter.tracing.source_runs import SourceRun, run_alike
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import SnnconvertError, TraceError
from snnconvert.sources.exits import never_exits
from snnconvert.sources.modules import module_problem
from snnconvert.sources.names import keyword_problem
from snnconvert.sources.source import Source
from snnconvert.torch_private import pytree
from snnconvert.wording import shown


@exclusive
@never_exits
def trace(
    model: nn.Module | ExportedProgram,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    held: Sequence[str | int] = (),
    batch_dims: BatchDims | None = None,
) -> TracedModel:
    """Trace a model in eval mode on example inputs.

    Args:
        model: the network, which stays as it is; an ``ExportedProgram`` is taken as it is.
        args: positional example inputs. A batch of one is doubled, because ``torch.export`` would
            take the number 1 for a fixed size; whether one sample is right too is then tried.
        kwargs: keyword example inputs. What is not a tensor is a constant of the trace.
        held: names or positions of floating-point inputs that are the same at every step, as
            masks, boxes and timesteps are.
        batch_dims: the dimension of all inputs that is the batch, or that of each by its name or
            position (None: it has none); None: it is found.

    Raises:
        InputError: ``held`` or ``batch_dims`` name an input that is not there.
        TraceError: the model is in train mode, does not run on the inputs, or cannot be exported;
            names module and line.
    """
    if isinstance(model, ExportedProgram):
        return _from_program(model, held, batch_dims)
    model, note = unwrapped(model)
    # torch.export writes Python of names, the model's own and those of its inputs.
    if problem := module_problem(model) or keyword_problem(kwargs or {}):
        raise TraceError(f"the model cannot be traced: {problem}")
    refuse_train_mode(model)
    refuse_uninitialized(model)
    call = _call(model, tuple(args), dict(kwargs or {}), held, batch_dims)
    notes = [note] if note else []
    with as_traced(model) as without_cache, kept_parameters(model):
        if without_cache:
            notes.append(_NO_CACHE)
        exported = _exported(model, call)
        traced = _traced(exported, notes, held)
        tried, ran = _tried(model, traced, call, notes, held)
        return replace(tried, notes=(*tried.notes, *_said_of_runs(model, call, ran)))


def trace_source(source: Source) -> TracedModel:
    """Trace a loaded model on its example inputs (errors as of `trace`)."""
    return trace(
        source.model, source.args, source.kwargs, held=source.held, batch_dims=source.batch_dims
    )


def _said_of_runs(model: nn.Module, call: ExampleCall, ran: SourceRun | None) -> list[str]:
    """Say what the answers of a model, which ran or could not, depend on beside its inputs."""
    if ran is None:
        return []
    try:
        said = said_of_repeated_calls(model, ran), said_of_fast_path(model, call.leaves, call.spec)
    except Exception:  # it may not run a second time
        return []
    return [note for note in said if note]


def _from_program(
    program: ExportedProgram, held: Sequence[str | int], batch_dims: BatchDims | None
) -> TracedModel:
    try:
        return traced_from(program, held=held, batch_dims=batch_dims)
    except SnnconvertError:
        raise
    except Exception as error:  # a program of a file can be wrong in ways that only show here
        raise TraceError(
            "the exported program cannot be made functional "
            f"({type(error).__name__}: {shown(error, 300)})"
        ) from error


def _call(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    held: Sequence[str | int],
    batch_dims: BatchDims | None,
) -> ExampleCall:
    leaves, spec = pytree.tree_flatten((args, kwargs))
    positional = forward_names(model, len(args))
    names = leaf_names(positional, args, kwargs)
    kept = {i for key in held for i in leaves_named(key, names, positional, "held")}
    dims = {} if batch_dims is None else said_dims(batch_dims, names, positional, leaves)
    without = frozenset(i for i, dim in dims.items() if dim is None)
    said = None if names_none(dims) else said_candidates(leaves, dims)
    return ExampleCall(leaves, spec, names, frozenset(kept), said, without)


def _exported(model: nn.Module, call: ExampleCall) -> Exported:
    """Export with an open batch where that can be, else on the example as it was given."""
    notes = []
    try:
        found = export_open(model, call)
        if found is not None:
            return found
        notes += _fixed(call)
    except Exception as dynamic_error:
        if note := registered_output_classes(model, call):
            return _with_note(_exported(model, call), note)
        notes += [refused(dynamic_error), *_fixed(call)]
    try:
        fixed = export_fixed(model, call)
    except Exception as error:
        raise TraceError(explain_failure(model, call, error)) from error
    return replace(fixed, notes=(*notes, *fixed.notes))


def _fixed(call: ExampleCall) -> list[str]:
    """Say of the dimensions that a user named that they are not open."""
    if call.said is None:
        tensors = {i for i, x in enumerate(call.leaves) if isinstance(x, Tensor)}
        return [said_fixed({}, call.names)] if tensors and tensors <= call.without else []
    return [said_fixed({i: dim for i, (dim, *_) in call.said.marks.items()}, call.names)]


def _with_note(exported: Exported, note: str) -> Exported:
    return replace(exported, notes=(*exported.notes, note))


def _traced(exported: Exported, notes: Sequence[str], held: Sequence[str | int]) -> TracedModel:
    return traced_from(
        exported.program, [*notes, *exported.notes], held=held, found=exported.batch_dims
    )


def _tried(
    model: nn.Module,
    traced: TracedModel,
    call: ExampleCall,
    notes: Sequence[str],
    held: Sequence[str | int],
) -> tuple[TracedModel, SourceRun | None]:
    """Try a trace on a single sample; where that is the example, and it differs, trace it alone.

    Returns:
        The trace, and the run of the model that it was tried beside, on the example where it does
        not run on one sample; None: it lacks kernels for this device.
    """
    sample = one_sample(traced) if traced.batch else None
    ran, reason = None, ""
    try:
        if sample is not None:
            ran = run_alike(model, sample, traced.in_spec)
            reason = why_not_single(model, traced, ran)
        else:
            ran = run_alike(model, call.leaves, call.spec)
    except NotImplementedError:  # and it can still be traced
        return traced, None
    except Exception as alone:
        reason = f"the model does not run on it ({type(alone).__name__})"
        try:
            ran = run_alike(model, call.leaves, call.spec)
        except Exception as error:
            raise TraceError(explain_own_failure(model, error)) from error
    if not reason:
        return replace(traced, not_single=""), ran
    if _is_single(traced, call):
        only = (*notes, f"{_SINGLE}: {reason}; the conversion is bound to a batch of one")
        return _traced(export_fixed(model, call), only, held), ran
    note = f"{_SINGLE}: {reason}; the conversion takes batches of two and more"
    return replace(traced, not_single=reason, notes=(*traced.notes, note)), ran


def _is_single(traced: TracedModel, call: ExampleCall) -> bool:
    """Tell whether the example was a batch of one, which was doubled."""
    pairs = zip(call.leaves, traced.inputs, strict=True)
    return any(isinstance(x, Tensor) and x.shape != given.example.shape for x, given in pairs)


_SINGLE = "the model treats a single sample otherwise than several"
_NO_CACHE = (
    "the configuration's use_cache was off while the model was traced, so that its outputs hold no "
    "past keys and values"
)
