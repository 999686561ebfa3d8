"""What nodes carry."""

from __future__ import annotations

import torch
from torch import fx, nn

from snnconvert.converter.graph.meta import (
    STANDS_FOR,
    fixed_size,
    module_path,
    module_stack,
    source_name,
    tensors_in,
)


def node_with(**meta: object) -> fx.Node:
    node = fx.Graph().placeholder("x")
    node.meta.update(meta)
    return node


def test_a_node_stands_for_itself_unless_it_says_otherwise() -> None:
    assert source_name(node_with()) == "x"
    assert source_name(node_with(**{STANDS_FOR: "linear"})) == "linear"


def test_a_stack_is_read_from_classes_and_from_names() -> None:
    stack = {
        "a": ("", "my.Net"),
        "b": ("blocks.0", nn.Linear),
        "_empty_nn_module_stack_from_metadata_hook": ("x", "y"),
    }
    node = node_with(nn_module_stack=stack)
    assert module_stack(node) == [("", "my.Net"), ("blocks.0", "torch.nn.modules.linear.Linear")]
    assert module_path(node) == "blocks.0"


def test_a_module_that_is_called_twice_has_one_path() -> None:
    node = node_with(nn_module_stack={"a": ("head@1.fc", nn.Linear)})
    assert module_path(node) == "head.fc"


def test_a_node_without_a_stack_is_the_roots() -> None:
    assert module_stack(node_with()) == [] and module_path(node_with(nn_module_stack=None)) == ""


def test_sizes_that_the_trace_left_open_are_none() -> None:
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(nn.Linear(3, 4), (torch.zeros(2, 3),), dynamic_shapes=dynamic)
    (x,) = (node for node in program.graph.nodes if node.name == "input")
    assert [fixed_size(size) for size in x.meta["val"].shape] == [None, 3]
    assert fixed_size(7) == 7


def test_tensors_are_found_in_nested_values() -> None:
    x, y = torch.zeros(1), torch.ones(1)
    assert list(tensors_in((x, [None, {"k": y}], 3))) == [x, y]
