"""Names of leaves, with and without the help of their classes."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple

import torch.utils._pytree as pytree

from snnconvert.converter.graph.paths import named_leaves


@dataclasses.dataclass
class Pair:
    left: object
    right: object


class Opaque:
    def __init__(self, values):
        self._values = values


pytree.register_pytree_node(Pair, lambda p: ([p.left, p.right], None), lambda v, _: Pair(*v))
pytree.register_pytree_node(
    Opaque, lambda o: (o._values[::-1], None), lambda v, _: Opaque(list(v)[::-1])
)
Point = namedtuple("Point", "x y")


def names(value):
    found = named_leaves(value)
    assert [leaf for _, leaf in found] == pytree.tree_leaves(value)
    return [name for name, _ in found]


def test_names_say_where_leaves_stand():
    assert names(3) == [""]
    assert names((1, [2, {"a": 3}])) == ["[0]", "[1][0]", "[1][1]['a']"]
    assert names(OrderedDict(b=1, a=2)) == ["['b']", "['a']"]
    assert names(Point(1, (2, 3))) == [".x", ".y[0]", ".y[1]"]
    assert names({}) == []


def test_classes_without_names_give_those_of_their_attributes():
    assert names(Pair(1, {"a": 2})) == [".left", ".right['a']"]
    assert names({"out": [Pair(1, Pair(2, 3))]}) == [
        "['out'][0].left", "['out'][0].right.left", "['out'][0].right.right"
    ]  # fmt: skip


def test_leaves_that_are_one_object_have_names_of_their_own():
    one = object()
    assert names(Pair(one, one)) == [".left", ".right"]


def test_where_nothing_names_a_leaf_its_number_does():
    assert names(Opaque([1, 2])) == ["[0]", "[1]"]
