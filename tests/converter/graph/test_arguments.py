"""Arguments of nodes by the names of their schemas."""

from __future__ import annotations

import operator

import pytest
import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of, set_argument

aten = torch.ops.aten


def called(operator: object, *args: object, **kwargs: object) -> fx.Node:
    return fx.Graph().call_function(operator, args, kwargs)


def test_defaults_are_filled_in() -> None:
    found = arguments_of(called(aten.softmax.int, "x", -1))
    assert found == {"self": "x", "dim": -1, "dtype": None}


def test_positional_and_keyword_arguments_have_their_names() -> None:
    found = arguments_of(called(aten.add.Tensor, "x", "y", alpha=2))
    assert found == {"self": "x", "other": "y", "alpha": 2}


def test_what_has_no_schema_is_numbered() -> None:
    assert arguments_of(called(operator.add, "x", 3)) == {"0": "x", "1": 3}


@pytest.mark.parametrize("given", [{"args": ("x", -1)}, {"args": ("x",), "kwargs": {"dim": -1}}])
def test_an_argument_is_replaced_where_it_stands(given: dict[str, object]) -> None:
    node = called(aten.softmax.int, *given["args"], **given.get("kwargs", {}))
    set_argument(node, "dim", 1)
    assert arguments_of(node)["dim"] == 1
    assert len(node.args) == len(given["args"])


def test_an_argument_that_was_left_out_is_added() -> None:
    node = called(aten.add.Tensor, "x", "y")
    set_argument(node, "alpha", 3)
    assert arguments_of(node)["alpha"] == 3 and node.kwargs == {"alpha": 3}


def test_a_name_that_is_no_argument_is_refused() -> None:
    with pytest.raises(ValueError, match="beta"):
        set_argument(called(aten.add.Tensor, "x", "y"), "beta", 3)
