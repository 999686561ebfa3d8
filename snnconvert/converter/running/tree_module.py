"""A module that runs on a tree with the names of a source, which may be those of its methods."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from snnconvert.converter.building.tree import Container, check_replaced
from snnconvert.torch_private import hold_registries_of


class TreeModule(nn.Module):
    """The modules and tensors of a tree, as a module with attributes of its own.

    Attributes:
        tree: what a graph runs on. Its names cannot clash with this class's; both see the same
            tensors and modules, so that `to` and `load_state_dict` reach the graph.
    """

    tree: Container
    _own: ClassVar[frozenset[str]] = frozenset({"tree"})

    def __setattr__(self, name: str, value: Any) -> None:
        # A child of the source may be called "report" or "graph"; it keeps its place in the tree.
        if name in self._own:
            object.__setattr__(self, name, value)
        else:
            check_replaced(self, name, value)
            super().__setattr__(name, value)

    def get_submodule(self, target: str) -> nn.Module:
        """Return the module at a path of the source, whatever this class has under its name."""
        return self.tree.get_submodule(target) if target else self

    def get_parameter(self, target: str) -> nn.Parameter:
        """Return the Parameter at a path of the source."""
        return self.tree.get_parameter(target)

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a path of the source."""
        return self.tree.get_buffer(target)

    def _adopt(self, tree: Container) -> None:
        self.tree = tree
        hold_registries_of(self, tree)
