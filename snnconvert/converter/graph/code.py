"""A converted graph as a Python function, and its literals of dtype and device."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from typing import Any

from torch import fx

_serial = itertools.count()


def compile_graph(graph: fx.Graph) -> Callable[..., Any]:
    """Return the function ``(tree, clock, *inputs) -> outputs`` that a graph describes."""
    code = graph.python_code(root_module="self")
    filename = f"<snnconvert graph {next(_serial)}>"
    # Tracebacks through the function then show its lines.
    linecache.cache[filename] = (len(code.src), None, code.src.splitlines(True), filename)
    namespace: dict[str, Any] = dict(code.globals)
    exec(compile(code.src, filename, "exec"), namespace)
    function: Callable[..., Any] = namespace["forward"]
    return function
