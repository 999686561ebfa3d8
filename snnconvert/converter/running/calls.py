"""How a graph calls the modules of its tree: with their hooks, and also where one was replaced."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn

from snnconvert.converter.building.tree import Container
from snnconvert.errors import ConversionError
from snnconvert.torch_private import has_hooks


def with_calls(graph: fx.Graph) -> fx.Graph:
    """Return a copy of a graph whose calls of modules see to hooks and replaced layers."""
    copy = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        new = copies[node] = copy.node_copy(node, lambda n: copies[n])
        module: Any = node.args[0] if node.args else None
        if node.op == "call_method" and isinstance(module, fx.Node) and module.op == "get_attr":
            new.op, new.target = "call_function", call
            new.args = (new.args[0], str(module.target), node.target, *new.args[1:])
    return copy


def replaced(graph: fx.Graph, tree: nn.Module) -> list[str]:
    """Return the paths of modules that the user put in the place of what a graph calls."""
    called = {
        (str(node.args[0].target), str(node.target))
        for node in graph.nodes
        if node.op == "call_method" and isinstance(node.args[0], fx.Node)
    }
    return sorted(p for p, method in called if not hasattr(tree.get_submodule(p), method))


def call(module: nn.Module, path: str, method: str, *args: Any) -> Any:
    """Return what a module of a conversion answers.

    Its hooks, forward and backward, see what it takes and gives as tensors of cumulative values,
    all time steps of a chunk in the batch where they are folded; once, for one step's batch, what
    is the same at every step.
    A layer that the user put in the place of another is a function
    of cumulative values, as the first was.

    Args:
        module: the operator or neuron; its ``path`` is for messages.
        method: of an operator ``cumulative``, of a neuron ``track``.
        *args: of the method.
    """
    own = getattr(module, method, None)
    if own is None:
        return _call_replaced(module, path, method, args)
    if not has_hooks(module):
        return own(*args)
    # A hook may keep what it sees, and views that hooks of gradients make cannot be written to.
    own = getattr(module, method.removesuffix("_"))

    def forward(*tensors: Tensor) -> Any:
        given = iter(tensors)
        return own(*(next(given) if isinstance(x, Tensor) else x for x in args))

    module.__dict__["forward"] = forward
    try:
        answer = module(*(x for x in args if isinstance(x, Tensor)))
    finally:
        del module.__dict__["forward"]
    return _own(answer)  # a hook may have kept what it saw


def _own(answer: Any) -> Any:
    """Return an answer in memory of its own: what follows may work in place."""
    return answer.clone() if isinstance(answer, Tensor) else answer


def _call_replaced(module: nn.Module, path: str, method: str, args: tuple[Any, ...]) -> Any:
    if not method.startswith("cumulative") or isinstance(module, Container):
        raise ConversionError(
            f"'{path}' was replaced by a {type(module).__name__}, which has no method '{method}()' "
            "of a neuron; put one of snnconvert.ops.neurons there, or convert again by other rules"
        )
    return _own(module(*args))  # it may be the argument, or a tensor of the layer's
