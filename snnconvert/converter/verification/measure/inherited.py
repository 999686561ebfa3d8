"""What layers inherit: their values where their own neurons say all that they follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import fx

from snnconvert.converter.graph.meta import SOURCE
from snnconvert.converter.graph.spike_coded import is_neuron, is_spike_coded
from snnconvert.converter.verification.measure.watched import Watched, drive_of


class Inherited:
    """Runs beside one step, each layer on the network's own values, but without its own neurons.

    A layer's own neurons are those between it and the nodes of the source before it: what they
    leave unsaid is what it adds to the error; all else it inherits.

    Args:
        watched: the network that runs.
        value_of: gives the value of a node that ran.
    """

    def __init__(self, watched: Watched, value_of: Callable[[fx.Node], Any]) -> None:
        self.watched, self.value_of = watched, value_of
        self._values: dict[fx.Node, Any] = {}

    def see(self, node: fx.Node) -> Any:
        """Return the value of a node that is about to be forgotten, without the neurons between it
        and the nodes of the source before it; None where there are none.

        To be called with each node in the order of computation.
        """
        if is_neuron(node):
            target = self.watched.neuron_of(node).target
            value = replace(target, table=None)(self._value(drive_of(node)))
        elif any(x in self._values for x in node.all_input_nodes):
            value = self._computed(node)
        else:
            return None
        if value is not None and (is_spike_coded(node) or not node.meta.get(SOURCE)):
            self._values[node] = value
        return value

    def forget(self, nodes: list[fx.Node]) -> None:
        """Drop values that nothing reads any more."""
        for node in nodes:
            self._values.pop(node, None)

    def _value(self, node: fx.Node) -> Any:
        return self._values[node] if node in self._values else self.value_of(node)

    def _computed(self, node: fx.Node) -> Any:
        given: Any = fx.map_arg((node.args, node.kwargs), self._value)
        args, kwargs = given
        operator: Any = node.target
        if node.op == "call_function":
            return operator(*args, **kwargs)
        if node.op == "call_method" and operator == "cumulative":  # the others keep a state
            of, *rest = args
            return of.cumulative(*rest, **kwargs)
        return None
