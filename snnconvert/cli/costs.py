"""``snnconvert costs``: list and show cost models, and their JSON Schema."""

from __future__ import annotations

from snnconvert.cli.terminal import say_json, table
from snnconvert.costs.models import bundled_costs, cost_schema, load_costs, read_bundled_costs


def list_costs(as_json: bool) -> int:
    """Print names and descriptions of the bundled cost models."""
    found = {name: load_costs(name).description for name in bundled_costs()}
    if as_json:
        say_json([{"name": name, "description": said} for name, said in found.items()])
    else:
        table((), list(found.items()))
    return 0


def show_costs(name: str) -> int:
    """Print the text of a bundled cost model."""
    print(read_bundled_costs(name), end="")
    return 0


def show_cost_schema() -> int:
    """Print the JSON Schema of cost models."""
    say_json(cost_schema())
    return 0
