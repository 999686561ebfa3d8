"""Which dtypes a conversion may be cast to."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.dtypes import cast
from snnconvert.converter.graph.meta import module_path, tensors_in
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import ConversionError
from snnconvert.torch_private import pytree
from snnconvert.wording import listed

_HALVES = (torch.float16, torch.bfloat16)


def refuse_cast(source: TracedModel, wanted: torch.dtype) -> None:
    """Raise ConversionError where nobody can know what a cast would make of the source.

    In a float32 trace ``h.to(torch.float32)``, a pin, and ``h.to(x.dtype)``, which follows its
    model, are the same call. Cast to a half type, one changes and the other does not.
    """
    if source.dtype is not torch.float32 or wanted not in _HALVES:
        return
    named = [_described(node) for node in source.graph.nodes if _names_its_own_dtype(node)]
    if named:
        raise ConversionError(
            f"the conversion cannot be cast to {wanted}: its source was traced in float32 and "
            f"names that dtype where its values have it already ({listed(named, 3)}); the trace "
            f"does not tell whether such a cast stays float32 in {wanted} (as in many norms) or "
            f"follows the model. Cast the source, and convert that: convert(model.to({wanted}), "
            "...)"
        )


def with_complex(
    fn: Callable[[Tensor], Tensor], before: torch.dtype, after: torch.dtype
) -> Callable[[Tensor], Tensor]:
    """Return a cast to or from float64 that reaches complex tensors too.

    ``.double()`` leaves them, and complex64 weights cannot meet what the graph makes of float64.

    Args:
        fn: casts the tensors of a module.
        before, after: floating-point dtype of the module.
    """
    wide = {torch.complex32: torch.complex128, torch.complex64: torch.complex128}
    narrow = {torch.complex128: torch.complex64} if before is torch.float64 else {}
    dtypes = wide if after is torch.float64 else narrow
    return lambda x: cast(fn(x), dtypes) if x.is_complex() else fn(x)


def _described(node: fx.Node) -> str:
    path = module_path(node)
    return f"'{node.name}' in '{path}'" if path else f"'{node.name}'"


def _names_its_own_dtype(node: fx.Node) -> bool:
    """Tell whether a call on float32 tensors names float32, which changes nothing."""
    arguments = pytree.tree_leaves((node.args, node.kwargs))
    if node.op != "call_function" or torch.float32 not in arguments:
        return False
    values = [x for n in node.all_input_nodes for x in tensors_in(n.meta.get("val"))]
    floats = [x for x in values if isinstance(x, Tensor) and x.is_floating_point()]
    return bool(floats) and all(x.dtype is torch.float32 for x in floats)
