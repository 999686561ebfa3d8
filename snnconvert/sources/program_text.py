"""Checks the JSON of an exported program for text that loading or running it would execute.

Deserialising a program evaluates its size expressions (with sympy, which calls ``eval``), imports
modules that its tree specifications name, and resolves every operator name to a Python object
that is called when the graph runs. Honest programs need little of that power.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from snnconvert.sources.importing import import_named
from snnconvert.sources.pickle_policy import holds_networks
from snnconvert.torch_private import OpOverload, schema_of
from snnconvert.wording import shown


def _named(names: str, prefix: str = "") -> frozenset[str]:
    return frozenset(prefix + name for name in names.split())


# The operator libraries that are accepted, and the modules that register their operators.
OPERATORS: Mapping[str, str] = {
    "aten": "torch",
    "prims": "torch",
    "torchvision": "torchvision",
    "transformers": "transformers.integrations.moe",
}
HIGHER_ORDER = _named(
    "associative_scan cond flex_attention invoke_subgraph map_impl scan while_loop wrap "
    "wrap_with_autocast wrap_with_set_grad_enabled"
)
PYTHON_OPERATORS = (
    _named(
        "abs add and_ eq floordiv ge getitem gt index invert le lt mod mul ne neg not_ or_ pos "
        "pow sub truediv xor",
        "_operator.",
    )
    | _named("ceil exp floor log log2 sqrt trunc", "math.")
    | _named(
        "constrain_range float fresh_size int ite max min not sqrt sum",
        "torch.sym_",
    )
    | _named("log2 sqrt", "torch._sym_")
)
_OPERATOR = re.compile(r"torch\.ops\.([A-Za-z]\w*)\.([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?", re.ASCII)
_SYMBOL = re.compile(r"[a-z_]{1,20}\d{1,5}|[a-z_]{1,20}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,30})?(e[-+]?\d{1,3})?")
_CALLS = _named(
    "Abs Add And Eq Equality Float GreaterThan Integer LessThan Max Min Mod Mul Ne Not Or Pow "
    "Rational StrictGreaterThan StrictLessThan Symbol Unequality ceiling floor "
    "CeilDiv CeilToInt CleanDiv FloatPow FloatTrueDiv FloorDiv FloorToInt Identity IntTrueDiv "
    "LShift ModularIndexing PowByNatural PythonMod RShift RoundDecimal RoundToInt ToFloat "
    "TruncToFloat TruncToInt Where"
)
_ASSUMPTIONS = _named("evaluate finite integer nonnegative positive precision real")
_POWERS = ("Pow", "FloatPow", "PowByNatural", "LShift")
_LONGEST_EXPRESSION = 4000
_LARGEST_EXPONENT = 64
_TREES = ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
_OUTPUTS = "transformers.modeling_outputs"


def problems_of(document: Any, packages: tuple[str, ...]) -> list[str]:
    """What in the JSON of a program is refused, one sentence each; empty for an honest program.

    Arguments:
        document: the parsed ``models/model.json``.
        packages: packages whose operator libraries are accepted beside :data:`OPERATORS`.
    """
    libraries = {**{package: package for package in packages}, **OPERATORS}
    checks: Mapping[str, Callable[[Any], str]] = {
        "target": lambda value: _operator_problem(value, libraries),
        "as_operator": lambda value: _operator_problem(value, libraries),
        "expr_str": expression_problem,
        "in_spec": tree_problem,
        "out_spec": tree_problem,
        "range_constraints": _symbols_problem,
    }
    found = {checks[key](value) for key, value in _items(document) if key in checks}
    return sorted(found - {""})


def _items(document: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of every mapping in ``document``."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _operator_problem(name: Any, libraries: Mapping[str, str]) -> str:
    """Why an operator's name is refused. What is not text belongs to a value called ``target``."""
    if not isinstance(name, str) or name in PYTHON_OPERATORS:
        return ""
    match = _OPERATOR.fullmatch(name)
    if match is None:
        return f"{shown(name)} is not an operator of torch.ops"
    namespace, packet, overload = match.groups()
    if namespace == "higher_order":
        known = packet in HIGHER_ORDER and overload is None
        return "" if known else f"{shown(name)} is not an accepted higher-order operator"
    if namespace not in libraries:
        return f"{shown(name)} is of the operator library {namespace!r}, which is not accepted"
    try:
        import_named(libraries[namespace])
        operator = getattr(getattr(getattr(torch.ops, namespace), packet), overload or "default")
    except (ImportError, AttributeError, RuntimeError):
        return f"{shown(name)} is not registered by the package {libraries[namespace]}"
    if not isinstance(operator, OpOverload):
        return f"{shown(name)} is not an operator"
    if any(argument.name == "filename" for argument in schema_of(operator).arguments):
        return f"{shown(name)} reads or writes files"
    return ""


def expression_problem(text: Any) -> str:
    """Why a size expression is refused: only sums, products and comparisons of symbols pass."""
    refusal = f"the size expression {shown(text)} is not plain arithmetic"
    if not isinstance(text, str) or len(text) > _LONGEST_EXPRESSION:
        return refusal
    try:
        body = ast.parse(text.strip(), mode="eval").body
        return "" if _is_arithmetic(body) else refusal
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return refusal


def _is_arithmetic(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return bool(_SYMBOL.fullmatch(node.id)) or node.id in ("True", "False")
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float) and abs(node.value) < 1 << 64
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_arithmetic(node.operand)
    return isinstance(node, ast.Call) and _is_accepted_call(node)


def _is_accepted_call(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Name) or node.func.id not in _CALLS:
        return False
    if not all(
        option.arg in _ASSUMPTIONS and isinstance(option.value, ast.Constant)
        for option in node.keywords
    ):
        return False
    name = node.func.id
    if name in ("Symbol", "Float") and node.args and isinstance(node.args[0], ast.Constant):
        pattern = _SYMBOL if name == "Symbol" else _NUMBER
        return len(node.args) == 1 and bool(pattern.fullmatch(str(node.args[0].value)))
    if name in _POWERS and not _is_small_power(node):
        return False
    return all(_is_arithmetic(argument) for argument in node.args)


def _is_small_power(node: ast.Call) -> bool:
    """Whether a power's exponent is a small number and its base holds no other power."""
    if len(node.args) != 2:
        return False
    base, exponent = node.args
    if isinstance(exponent, ast.Call) and len(exponent.args) == 1:
        exponent = exponent.args[0]
    if isinstance(exponent, ast.UnaryOp):
        exponent = exponent.operand
    nested = any(isinstance(n, ast.Name) and n.id in _POWERS for n in ast.walk(base))
    return (
        not nested
        and isinstance(exponent, ast.Constant)
        and isinstance(exponent.value, int | float)
        and exponent.value <= _LARGEST_EXPONENT
    )


def _symbols_problem(constraints: Any) -> str:
    if not isinstance(constraints, dict):
        return "the range constraints are not a mapping"
    wrong = [name for name in constraints if not _SYMBOL.fullmatch(name)]
    return f"{shown(wrong[0])} is not the name of a size" if wrong else ""


def tree_problem(text: Any) -> str:
    """Why the specification of a nested input or output is refused."""
    if not isinstance(text, str):
        return ""
    refusal = f"the tree {shown(text)} is not of tuples, lists, dicts and model outputs"
    try:
        protocol, root = json.loads(text)
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if not _is_accepted_node(node["type"], node["context"]):
                return refusal
            waiting += node["children_spec"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return refusal
    return "" if protocol == 1 else refusal


def _is_accepted_node(kind: str | None, context: Any) -> bool:
    if kind is None or context is None:
        return kind is None and context is None
    if isinstance(context, str):
        context = json.loads(context)
    if any(key == "__enum__" for key, _ in _items(context)):
        return False
    return kind in _TREES or _is_model_output(kind)


def _is_model_output(kind: str) -> bool:
    """Whether ``kind`` is an output class of transformers; its module is imported for it."""
    module = kind.rpartition(".")[0]
    known = module == _OUTPUTS or (module.startswith("transformers.") and holds_networks(module))
    if not known or "__" in kind:
        return False
    try:
        import_named(module)
    except Exception:
        return False
    return True
