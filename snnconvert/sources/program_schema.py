"""Checks the JSON of an exported program against PyTorch's own schema of it, text by text.

The schema says what is a number, a list, a record or a text. What each text may be stands here,
in one table; a text, a key or a kind of record that the table does not have is refused.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from snnconvert.sources.budget import MOST_DIMENSIONS
from snnconvert.sources.names import (
    ARGUMENT,
    CLASS,
    INPUT,
    KEY,
    PATH,
    VALUE,
    NameKind,
    name_problem,
)
from snnconvert.sources.size_expressions import SYMBOL, expression_problem
from snnconvert.sources.trees import call_problem, tree_problem
from snnconvert.torch_private import ProgramUnion
from snnconvert.torch_private import program_schema as schema
from snnconvert.wording import shown

Check = Callable[[str], str]
_LONGEST_TEXT = 100_000
_LARGEST = 1 << 63
_DEEPEST = 60
_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu")
_DIMENSIONS = ("TensorMeta.sizes", "TensorMeta.strides")
_REPEATED = re.compile(r"@\d+", re.ASCII)  # a module that is called again: "encoder.layer@1"
_FUNCTION = re.compile(r"[\w.<>:]+", re.ASCII)
# Numbers of JSON that are not numbers of it, and are numbers of a program.
_ODD_FLOATS = ("Infinity", "-Infinity", "NaN", "inf", "-inf", "nan")


def named(kind: NameKind) -> Check:
    return lambda text: name_problem(kind, text)


def or_empty(check: Check) -> Check:
    return lambda text: check(text) if text else ""


def printable(text: str) -> str:
    """Why a text that is only shown or compared is refused."""
    if len(text) > _LONGEST_TEXT or not all(c.isprintable() or c in "\n\t" for c in text):
        return f"the text {shown(text)} is too long, or has control characters"
    return ""


def module_problem(text: str) -> str:
    return or_empty(named(PATH))(_REPEATED.sub("", text))


def _stack_problem(text: str) -> str:
    """Why a stack of modules, ``key,path,class;key,path,class``, is refused."""
    for entry in text.split(";"):
        key, _, rest = entry.partition(",")
        path, _, kind = rest.rpartition(",")
        problem = printable(key) or module_problem(path) or name_problem(CLASS, kind)
        if problem:
            return problem
    return ""


def _functions_problem(text: str) -> str:
    for entry in text.split(";"):
        name, _, target = entry.partition(",")
        if printable(name) or not _FUNCTION.fullmatch(target) or "__" in target:
            return f"{shown(entry)} is not the name of a function"
    return ""


def _json_problem(text: str) -> str:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return f"{shown(text)} is not JSON"
    return printable(text)


def _symbol_problem(text: str) -> str:
    return "" if SYMBOL.fullmatch(text) else f"{shown(text)} is not the name of a size"


def _device_problem(text: str) -> str:
    return "" if text in _DEVICES else f"{shown(text)} is not a device that holds values"


def _guard_problem(text: str) -> str:
    # Guards are dropped when the program has been loaded; nothing reads them before.
    return "" if len(text) <= _LONGEST_TEXT else "a guard is too long"


_METADATA: Mapping[str, Check] = {
    "stack_trace": printable,
    "nn_module_stack": _stack_problem,
    "source_fn_stack": _functions_problem,
    "torch_fn": printable,
    "custom": _json_problem,
    "from_node": _json_problem,
}

# What the texts of a record may be, and the keys of its mappings (`keys of ...`).
TEXTS: Mapping[str, Check] = {
    "Device.type": _device_problem,
    "SymExpr.expr_str": expression_problem,
    "SymIntArgument.as_name": named(VALUE),
    "SymFloatArgument.as_name": named(VALUE),
    "SymBoolArgument.as_name": named(VALUE),
    "TensorArgument.name": named(VALUE),
    "TokenArgument.name": named(VALUE),
    "GraphArgument.name": named(VALUE),
    "Argument.as_string": printable,
    "Argument.as_strings": printable,
    "keys of Argument.as_string_to_argument": named(KEY),
    "NamedArgument.name": or_empty(named(ARGUMENT)),
    "Node.name": named(VALUE),
    "Node.metadata": printable,
    "keys of Graph.tensor_values": named(VALUE),
    "keys of Graph.sym_int_values": named(VALUE),
    "keys of Graph.sym_bool_values": named(VALUE),
    "keys of Graph.sym_float_values": named(VALUE),
    "ConstantValue.as_string": printable,
    "InputToConstantInputSpec.name": named(VALUE),
    "InputToParameterSpec.parameter_name": named(PATH),
    "InputToBufferSpec.buffer_name": named(PATH),
    "InputToTensorConstantSpec.tensor_constant_name": named(PATH),
    "BufferMutationSpec.buffer_name": named(PATH),
    "ParameterMutationSpec.parameter_name": named(PATH),
    "GradientToParameterSpec.parameter_name": named(PATH),
    "GradientToUserInputSpec.user_input_name": named(VALUE),
    "UserInputMutationSpec.user_input_name": named(VALUE),
    "ModuleCallSignature.in_spec": call_problem,
    "ModuleCallSignature.out_spec": tree_problem,
    "ModuleCallSignature.forward_arg_names": named(INPUT),
    "ModuleCallEntry.fqn": module_problem,
    "NamedTupleDef.field_names": named(INPUT),
    "GraphModule.metadata": printable,
    "keys of GraphModule.metadata": named(KEY),
    "keys of GraphModule.treespec_namedtuple_fields": named(CLASS),
    "keys of ExportedProgram.opset_version": named(ARGUMENT),
    "keys of ExportedProgram.range_constraints": _symbol_problem,
    "ExportedProgram.verifiers": named(ARGUMENT),
    "ExportedProgram.torch_version": printable,
    "ExportedProgram.guards_code": _guard_problem,
    "keys of PayloadConfig.config": named(PATH),
    "PayloadMeta.path_name": printable,
}
# What would be unpickled, or run by other means than a graph.
REFUSED = {
    "Argument.as_custom_obj": "custom objects are not accepted",
    "InputSpec.custom_obj": "custom objects are not accepted",
    "keys of Graph.custom_obj_values": "custom objects are not accepted",
}


class RefusedError(Exception):
    """A part of a program is not what the schema and the table of texts allow."""


def record_problems(kind: type[Any], value: Any, operator: Check) -> list[str]:
    """What in a record of a program is not accepted, one sentence each.

    Arguments:
        kind: a dataclass of ``torch._export.serde.schema``.
        value: the parsed JSON.
        operator: why a program may not call an operator of a name.
    """
    walk = _Walk(operator, {})
    try:
        walk.record(kind, value, 0)
    except RefusedError as error:  # the walk does not go on where a record is of another form
        walk.tell(str(error))
    return list(walk.problems)


@dataclasses.dataclass(frozen=True)
class _Walk:
    """A walk through the JSON along the schema, and what was found on it."""

    operator: Check
    problems: dict[str, None]

    def record(self, kind: Any, value: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise RefusedError(f"it is nested more than {_DEEPEST} levels deep")
        if not isinstance(value, dict):
            raise RefusedError(f"{shown(value)} stands where a {kind.__name__} is expected")
        fields = fields_of(kind)
        union = issubclass(kind, ProgramUnion)
        if union and len(value) != 1:
            raise RefusedError(f"{shown(list(value))} is not one kind of {kind.__name__}")
        for name, entry in value.items():
            if name not in fields:
                raise RefusedError(f"{shown(name)} is not a part of a {kind.__name__}")
            self.entry(f"{kind.__name__}.{name}", fields[name], entry, depth + 1)
        lacking = [] if union else required_of(kind) - value.keys()
        if lacking:
            raise RefusedError(f"a {kind.__name__} lacks {', '.join(sorted(lacking))}")

    def entry(self, where: str, kind: Any, value: Any, depth: int) -> None:
        """Checks the value of a field, an item of its list or of its mapping."""
        if where in REFUSED and value:
            raise RefusedError(REFUSED[where])
        inner = typing.get_args(kind)
        origin = typing.get_origin(kind)
        if origin in (typing.Union, types.UnionType):
            if value is not None:
                self.entry(where, inner[0], value, depth)
        elif origin is list:
            items = _listed(where, value)
            if where in _DIMENSIONS and len(items) > MOST_DIMENSIONS:
                raise RefusedError(f"{where} are more than {MOST_DIMENSIONS}")
            for item in items:
                self.entry(where, inner[0], item, depth)
        elif origin is dict:
            self.mapping(where, inner[1], value, depth)
        elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
            self.record(kind, value, depth)
        elif kind is str:
            self.text(where, value)
        else:
            _check_number(where, kind, value)

    def mapping(self, where: str, kind: Any, value: Any, depth: int) -> None:
        if not isinstance(value, dict):
            raise RefusedError(f"{where} is not a mapping")
        for key, item in value.items():
            if where == "Node.metadata":
                self.tell(_METADATA.get(key, _unknown)(item) if isinstance(item, str) else key)
                continue
            self.text(f"keys of {where}", key)
            self.entry(where, kind, item, depth)

    def text(self, where: str, value: Any) -> None:
        if not isinstance(value, str):
            raise RefusedError(f"{where} is {shown(value)}, which is not text")
        is_operator = where in ("Node.target", "Argument.as_operator")
        check = self.operator if is_operator else TEXTS.get(where)
        if check is None:
            raise RefusedError(REFUSED.get(where, f"{where} is not accepted"))
        self.tell(check(value))

    def tell(self, problem: str) -> None:
        if problem:
            self.problems[problem] = None


def _unknown(text: str) -> str:
    return f"{shown(text)} is said of a node under a key that is not known"


def _listed(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RefusedError(f"{where} is not a list")
    return value


def _check_number(where: str, kind: Any, value: Any) -> None:
    if kind is bool:
        sound = isinstance(value, bool)
    elif isinstance(kind, type) and issubclass(kind, enum.IntEnum):
        # Sparse and packed layouts have invariants that a file could break.
        members = [kind["Strided"]] if kind is schema.Layout else list(kind)
        sound = type(value) is int and value in [int(member) for member in members]
    elif kind is int:
        sound = type(value) is int and abs(value) < _LARGEST
    else:
        sound = kind is float and (type(value) in (int, float) or value in _ODD_FLOATS)
    if not sound:
        raise RefusedError(f"{where} cannot be {shown(value)}")


@functools.cache
def fields_of(kind: Any) -> Mapping[str, Any]:
    """The fields of a record of the schema, and their types."""
    return typing.get_type_hints(kind, globalns=vars(schema))


@functools.cache
def required_of(kind: Any) -> frozenset[str]:
    """The fields of a record that have no default."""
    missing = dataclasses.MISSING
    return frozenset(
        field.name
        for field in dataclasses.fields(kind)
        if field.default is missing and field.default_factory is missing
    )


def texts_of(kind: Any, where: str = "", seen: set[Any] | None = None) -> Iterator[str]:
    """Every place of a text in a type of the schema, as :data:`TEXTS` names them."""
    seen = set() if seen is None else seen
    inner, origin = typing.get_args(kind), typing.get_origin(kind)
    if origin is dict:
        yield f"keys of {where}"
        yield from texts_of(inner[1], where, seen)
    elif origin is not None:
        yield from texts_of(inner[0], where, seen)
    elif kind is str:
        yield where
    elif isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind not in seen:
        seen.add(kind)
        for name, field in fields_of(kind).items():
            yield from texts_of(field, f"{kind.__name__}.{name}", seen)
