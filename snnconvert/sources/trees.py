"""Bounds the trees of a program's inputs and outputs: nested tuples, lists, dicts and records.

Loading a tree imports the module of every class that it names, and the keys of its dicts become
names of arguments.
"""

from __future__ import annotations

import json
from typing import Any

from snnconvert.sources.importing import import_installed
from snnconvert.sources.names import INPUT, KEY, first_problem
from snnconvert.sources.pickle_policy import holds_networks
from snnconvert.wording import shown

_TREES = ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
_OUTPUTS = "transformers.modeling_outputs"
_DEEPEST = 50
_LARGEST_KEY = 1 << 31


def tree_problem(text: Any) -> str:
    """Why the specification of a nested input or output is refused; empty where it is accepted."""
    refusal = f"the tree {shown(text)} is not of tuples, lists, dicts and model outputs"
    try:
        protocol, root = json.loads(text)
        waiting = [(root, 0)]
        while waiting:
            node, depth = waiting.pop()
            if depth > _DEEPEST:
                return f"a tree of inputs or outputs is more than {_DEEPEST} levels deep"
            kind, context, children = node["type"], node["context"], node["children_spec"]
            if not _is_accepted(kind, context, len(children)):
                return refusal
            if problem := _keys_problem(context):
                return problem
            waiting += [(child, depth + 1) for child in children]
    except (ValueError, TypeError, KeyError, RecursionError):
        return refusal
    return "" if protocol == 1 else refusal


def call_problem(text: Any) -> str:
    """As `tree_problem`, of the inputs of a call: positional ones and keywords."""
    if problem := tree_problem(text):
        return problem
    root = json.loads(text)[1]
    kinds = [child["type"] for child in root["children_spec"]]
    if root["type"] != "builtins.tuple" or kinds != ["builtins.tuple", "builtins.dict"]:
        return f"the tree {shown(text)} is not of positional and of keyword inputs"
    return first_problem(INPUT, _keys(root["children_spec"][1]["context"]))


def leaf_count(text: str) -> int:
    """How many leaves an accepted tree has."""
    count, waiting = 0, [json.loads(text)[1]]
    while waiting:
        node = waiting.pop()
        count += node["type"] is None
        waiting += node["children_spec"]
    return count


def _is_accepted(kind: str | None, context: Any, children: int) -> bool:
    if kind is None or context is None:
        return kind is None and context is None and children == 0
    if kind in ("builtins.tuple", "builtins.list"):
        return _parsed(context) is None
    if kind not in _TREES and not _is_model_output(kind):
        return False
    keys = _keys(context)
    return len(keys) == children == len(set(keys))


def _parsed(context: Any) -> Any:
    return json.loads(context) if isinstance(context, str) else context


def _keys(context: Any) -> list[Any]:
    """The keys of a dict or a record, as the context of its node spells them."""
    keys = _parsed(context)
    if not isinstance(keys, list):
        raise ValueError("no list of keys")
    if any(not isinstance(key, str | int) for key in keys):
        raise ValueError("a key is neither text nor a number")
    return keys


def _keys_problem(context: Any) -> str:
    keys = _parsed(context) or []
    if any(isinstance(key, int) and abs(key) > _LARGEST_KEY for key in keys):
        return f"a key of a tree is a number larger than {_LARGEST_KEY}"
    return first_problem(KEY, (key for key in keys if not isinstance(key, int)))


def _is_model_output(kind: str) -> bool:
    """Whether ``kind`` is an output class of transformers; its module is imported for it."""
    module = kind.rpartition(".")[0]
    known = module == _OUTPUTS or (module.startswith("transformers.") and holds_networks(module))
    if not known or "__" in kind:
        return False
    try:
        import_installed(module)
    except Exception:
        return False
    return True
