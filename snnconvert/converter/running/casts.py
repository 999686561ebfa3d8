"""Casts of a conversion: what becomes of its dtypes, and which are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.dtypes import has_complex, literal_dtypes, real_dtype
from snnconvert.converter.graph.meta import module_path, tensors_in
from snnconvert.converter.tracing.inputs import TensorOptions
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import ConversionError
from snnconvert.torch_private import pytree
from snnconvert.wording import listed

_HALVES = (torch.float16, torch.bfloat16)


def after_cast(
    source: TracedModel, placed: TensorOptions, fn: Callable[[Tensor], Tensor]
) -> TensorOptions:
    """Return where the tensors of a conversion are, and in which dtypes, once ``fn`` was applied.

    What becomes of a dtype is found for each that the source's tensors have: a model may keep parts
    in one of their own, which ``.to()`` casts as all others.

    Args:
        source: what was converted.
        placed: where and in which dtypes its tensors are.
        fn: what `torch.nn.Module.to` and the like apply to each tensor.

    Raises:
        ConversionError: no graph can follow, or nobody can know what the cast would make of it.
    """
    own = {source.dtype, *map(real_dtype, source.dtypes)}
    now = {d: placed.dtypes.get(d, d) for d in own}

    def made(dtype: torch.dtype) -> Tensor:
        return fn(torch.empty(0, dtype=dtype, device=placed.device))

    tensors = {d: made(to).dtype for d, to in now.items()}
    if other := next((to for to in tensors.values() if not to.is_floating_point), None):
        raise ConversionError(f"the conversion cannot be cast to {other}: {_ALLOWED}")
    if made(torch.int64).dtype is not torch.int64:
        raise ConversionError(f"the integers of a conversion cannot be cast: {_ALLOWED}")
    if tensors == now:  # of a graph that has followed already
        return replace(placed, device=made(placed.dtype).device)
    _refuse_complex(source, tensors)
    _refuse_unknown(source, tensors)
    return TensorOptions(tensors[source.dtype], made(placed.dtype).device, literal_dtypes(tensors))


_ALLOWED = (
    "its floating-point tensors take a floating-point dtype (.double(), .float(), .half(), "
    ".bfloat16(), .to(torch.float64)), and all others stay"
)


def by_parts(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what applies ``fn`` to the real and imaginary parts of complex tensors: ``.double()``
    leaves these as they are, and ``.to(torch.float64)`` would drop what is imaginary."""

    def applied(x: Tensor) -> Tensor:
        if not x.is_complex():
            return fn(x)
        return torch.view_as_complex(fn(torch.view_as_real(x.resolve_conj())))

    return applied


def _refuse_complex(source: TracedModel, tensors: Mapping[torch.dtype, torch.dtype]) -> None:
    for dtype in source.dtypes:
        wanted = tensors[real_dtype(dtype)]
        if dtype.is_complex and not has_complex(wanted):
            raise ConversionError(
                f"the conversion cannot be cast to {wanted}: the source holds tensors of {dtype}, "
                f"and no complex dtype has parts of {wanted}; cast it to another"
            )


def _refuse_unknown(source: TracedModel, tensors: Mapping[torch.dtype, torch.dtype]) -> None:
    """Raise ConversionError where nobody can know what a cast would make of the source.

    In a float32 trace ``h.to(torch.float32)``, a pin, and ``h.to(x.dtype)``, which follows its
    model, are the same call. Cast to a half type, one changes and the other does not.
    """
    wanted = tensors.get(torch.float32)
    if wanted not in _HALVES:
        return
    named = [_described(node) for node in source.graph.nodes if _pins_or_follows(node)]
    if named:
        raise ConversionError(
            f"the conversion cannot be cast to {wanted}: its source was traced with tensors of "
            "float32, and names that dtype where its values have it already, or a narrower one "
            f"({listed(named, 3)}); the trace does not tell whether such a cast stays float32 in "
            f"{wanted} (as in many norms) or follows the model. Cast the source, and convert that: "
            f"convert(model.to({wanted}), ...)"
        )


def _described(node: fx.Node) -> str:
    path = module_path(node)
    return f"'{node.name}' in '{path}'" if path else f"'{node.name}'"


def _pins_or_follows(node: fx.Node) -> bool:
    """Tell whether a call names float32, and is given no wider numbers than that."""
    arguments = pytree.tree_leaves((node.args, node.kwargs))
    if node.op != "call_function" or torch.float32 not in arguments:
        return False
    values = [x for n in node.all_input_nodes for x in tensors_in(n.meta.get("val"))]
    floats = [x for x in values if isinstance(x, Tensor) and x.is_floating_point()]
    return bool(floats) and all(x.dtype in (torch.float32, *_HALVES) for x in floats)
