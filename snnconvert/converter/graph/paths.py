"""Where the leaves of a nested value stand: ``['logits']``, ``[0]``, ``.hidden``."""

from __future__ import annotations

from typing import Any

from snnconvert.torch_private import flattening_of, pytree


def named_leaves(value: Any) -> list[tuple[str, Any]]:
    """Return each leaf of a value with its place in it, in the order of its flattened form.

    A class that was registered without names of its children gives those of its attributes or
    keys that hold them, and their numbers where none does.
    """
    if pytree.tree_is_leaf(value):
        return [("", value)]
    node = flattening_of(value)
    if node.flatten_with_keys_fn is not None:
        keyed, _ = node.flatten_with_keys_fn(value)
        children = [(pytree.keystr((key,)), child) for key, child in keyed]
    else:
        children = _children(value, node.flatten_fn(value)[0])
    return [(at + path, leaf) for at, child in children for path, leaf in named_leaves(child)]


def names_of_leaves(spec: pytree.TreeSpec, count: int) -> list[str]:
    """Name the leaves of outputs of a structure, of which there are so many."""
    # Each leaf is another object: a class without names of its leaves is asked which it holds.
    outputs = pytree.tree_unflatten([object() for _ in range(count)], spec)
    return [path.strip("[]'.") or "output" for path, _ in named_leaves(outputs)]


def _children(value: Any, children: Any) -> list[tuple[str, Any]]:
    attributes = getattr(value, "__dict__", {}).items()
    members = [(f".{name}", child) for name, child in attributes]
    if isinstance(value, dict):
        members += [(f"[{key!r}]", child) for key, child in value.items()]
    names: list[tuple[str, Any]] = []
    for i, child in enumerate(children):
        taken = {name for name, _ in names}
        found = (name for name, own in members if own is child and name not in taken)
        names.append((next(found, f"[{i}]"), child))
    return names
