"""Places that rules can name, in groups that share neurons and so are chosen together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

Place: TypeAlias = tuple[str, str]
"""What one rule can name: operations of one kind at one module path."""
Group: TypeAlias = tuple[Place, ...]
"""Places that share neurons, which so are chosen together."""


def together(served: Mapping[Place, Iterable[str]]) -> dict[Group, list[str]]:
    """Return the neurons of places, of those that share any together."""
    groups: list[tuple[list[Place], dict[str, None]]] = []
    for place, paths in served.items():
        own = dict.fromkeys(paths)
        shared = [group for group in groups if group[1].keys() & own.keys()]
        groups = [group for group in groups if group not in shared]
        places = [p for group in shared for p in group[0]]
        groups.append(([*places, place], {k: None for g in shared for k in g[1]} | own))
    return {tuple(places): list(paths) for places, paths in groups}


def name_of(place: Place) -> str:
    """Return the name of the rule of a place."""
    path, kind = place
    return f"tuned: {kind} at {path or 'the root'}"
