"""What a rule file may hold, as pydantic models.

A new setting is a field of :class:`Settings`, a new key of a rule a field of :class:`RuleSpec`;
loading, merging, error messages and the JSON Schema follow from the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from snnconvert import ops
from snnconvert.documents import Described, Version
from snnconvert.documents.fields import VERSION
from snnconvert.ops.encoding import ENCODINGS, FORMER_NAMES
from snnconvert.ops.facts import fact_names
from snnconvert.ops.kinds import KINDS, is_kind, kind_meant
from snnconvert.rules.conditions import ConditionError, Scalar, parse_condition
from snnconvert.rules.globs import MAX_LENGTH, GlobError, check_glob
from snnconvert.rules.neuron import LEFT_OPEN, NeuronSpec, options_problem

ACTIONS = ("td", "encode", "keep", "spike_operands", "neuron", "spiking")
SPIKING_ACTIONS = ("spike_operands", "neuron", "spiking")
TARGET_ACTIONS = ("neuron", "spiking")  # that put a neuron in the place of a function
# Time grows with T (a small ViT takes a minute at 1024, an ImageNet network hours), and a file may
# be a stranger's. Rate-coded networks are published up to 1024 steps, graded ones up to 32.
MAX_TIME_STEPS = 1024
MAX_NAME = 200

_ITS_OWN = "snnconvert"
_KIND = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")
_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"
_OF_YOUR_OWN: JsonDict = {
    "type": "string",
    "pattern": f"^{_DOTTED}$",
    "description": "the dotted name of a class of your own",
}
_T = TypeVar("_T")


@dataclass(frozen=True)
class KindNames:
    """The op kinds that a rule may name: those of the table, and a test for all that are known."""

    names: tuple[str, ...]
    is_kind: Callable[[str], bool]
    meant: Callable[[str], str | None] = lambda name: None


@dataclass(frozen=True)
class Context:
    """What checking a rule file depends on, besides the file."""

    kinds: KindNames
    allow: tuple[str, ...] = ()


def known_kinds() -> KindNames:
    """The op kinds of :mod:`snnconvert.ops.kinds`."""
    return KindNames(tuple(KINDS), is_kind, kind_meant)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _check_name(name: str) -> str:
    if name.strip() and name.isprintable() and len(name) <= MAX_NAME:
        return name
    raise PydanticCustomError("bad_name", "")


def _check_encoding(encoding: str) -> str:
    encoding = FORMER_NAMES.get(encoding, encoding)
    if encoding in ENCODINGS:
        return encoding
    raise PydanticCustomError("unknown_encoding", "")


def _check_kind(kind: str, info: ValidationInfo) -> str:
    kinds = info.context.kinds if isinstance(info.context, Context) else known_kinds()
    if kind == "*" or (_KIND.fullmatch(kind) and kinds.is_kind(kind)):
        return kind
    context = {"allowed": kinds.names, "meant": kinds.meant(kind)}
    raise PydanticCustomError("unknown_kind", "", context)


def _check_fact(fact: str, info: ValidationInfo) -> str:
    known = fact_names(info.data.get("op", ()))
    if known is None or fact in known:
        return fact
    raise PydanticCustomError("unknown_fact", "", {"allowed": sorted(known)})


def _check_glob(glob: str) -> str:
    try:
        check_glob(glob)
    except GlobError as error:
        raise PydanticCustomError("bad_glob", "{problem}", {"problem": str(error)}) from None
    return glob


def _check_condition(value: Any) -> Scalar:
    if value is not None and not isinstance(value, str | int | float | bool):
        raise PydanticCustomError("condition_type", "")
    try:
        parse_condition(value)
    except ConditionError as error:
        raise PydanticCustomError("bad_condition", "{problem}", {"problem": str(error)}) from None
    return value


def _is_operator(action: str) -> bool:
    """Whether a dotted name is that of an operator class of the package itself."""
    module, _, name = action.rpartition(".")
    found = getattr(ops, name) if name in ops.__all__ else None
    return isinstance(found, type) and module in (ops.__name__, found.__module__)


def _operators() -> tuple[str, ...]:
    names = (f"{ops.__name__}.{name}" for name in ops.__all__)
    return tuple(name for name in names if _is_operator(name))


def _check_action(action: str, info: ValidationInfo) -> str:
    if action in ACTIONS:
        return action
    if not re.fullmatch(_DOTTED, action):
        raise PydanticCustomError("unknown_action", "")
    if _is_allowed(action, info):
        return action
    if action.startswith(f"{_ITS_OWN}."):
        if _is_operator(action):
            return action
        raise PydanticCustomError("unknown_operator", "", {"allowed": _operators()})
    raise PydanticCustomError("action_not_allowed", "", {"package": action.split(".")[0]})


def _check_target(target: str, info: ValidationInfo) -> str:
    if not re.fullmatch(_DOTTED, target, re.ASCII):
        raise PydanticCustomError("bad_target", "")
    if _is_allowed(target, info):
        return target
    raise PydanticCustomError("target_not_allowed", "", {"package": target.split(".")[0]})


def _is_allowed(name: str, info: ValidationInfo) -> bool:
    allow = info.context.allow if isinstance(info.context, Context) else ()
    return any(name.startswith(f"{package}.") for package in allow)


def _one_or_more(item: Mapping[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]})


_ANY_SCALAR = {"type": ["string", "number", "boolean", "null"]}
OneOrMore: TypeAlias = Annotated[tuple[_T, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Globs: TypeAlias = Annotated[
    OneOrMore[Annotated[str, AfterValidator(_check_glob)]],
    _one_or_more({"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}),
]
Kinds: TypeAlias = Annotated[
    OneOrMore[Annotated[str, AfterValidator(_check_kind)]], _one_or_more({"type": "string"})
]
Conditions: TypeAlias = Annotated[
    OneOrMore[Annotated[Scalar, PlainValidator(_check_condition)]], _one_or_more(_ANY_SCALAR)
]


class Match(Described):
    """Which operations a rule takes: those that meet all the keys that are given."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    op: Kinds = Field((), description='Op kinds, or "*" for every kind.', examples=["linear"])
    path: Globs = Field((), description="Globs on the module path.", examples=["blocks.*.attn"])
    module: Globs = Field(
        (),
        description="Globs on the class of the operation's own module; without a dot, on the "
        "bare class name.",
        examples=["Linear"],
    )
    within: Globs = Field(
        (),
        description="The same on the class of any enclosing module, its own included.",
        examples=["*.Attention"],
    )
    where: Mapping[Annotated[str, AfterValidator(_check_fact)], Conditions] = Field(
        {},
        description="Conditions on facts of the operation (literal arguments, sizes): a value, a "
        'comparison such as ">= 64", or a list of which any may hold.',
        examples=[{"in_features": ">= 64"}],
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Match:
        if not any((self.op, self.path, self.module, self.within, self.where)):
            raise PydanticCustomError("empty_match", "")
        return self


def _check_options(spec: NeuronSpec) -> NeuronSpec:
    if spec.type is not None and (problem := options_problem(spec)):
        raise PydanticCustomError("neuron_options", "", {"problem": problem})
    return spec


CheckedNeuron: TypeAlias = Annotated[NeuronSpec, AfterValidator(_check_options)]


class RuleSpec(Described):
    """One rule: what it matches and what becomes of that."""

    model_config = ConfigDict(title="rule")

    name: Annotated[str, AfterValidator(_check_name)] = Field(
        description="Unique name of the rule, as reports show it.", examples=["exact head"]
    )
    match: Match = Field(
        description="Which operations the rule takes; the first rule that matches wins.",
        examples=[{"op": "*"}],
    )
    action: Annotated[str, AfterValidator(_check_action)] = Field(
        description="td: exact; spike_operands: a neuron on each operand of a linear map or "
        "product; neuron: one on the output, or in the place of a ReLU; spiking: whichever of the "
        "two the operator has; encode, keep; or the dotted name of a class of your own.",
        examples=["td"],
        json_schema_extra={"anyOf": [{"enum": list(ACTIONS)}, _OF_YOUR_OWN]},
    )
    neuron: CheckedNeuron = Field(
        LEFT_OPEN,
        description="What the neurons of this rule have of their own.",
        examples=[{"levels": 10}],
    )

    target: Annotated[str, AfterValidator(_check_target)] | None = Field(
        None,
        description="The dotted name of a function of your own, of one tensor and elementwise, "
        "that neurons follow in the place of what the rule takes: of each operator where 'op' is "
        "given, else of each call of the modules.",
        examples=["mypackage.functions.soft_exp"],
        json_schema_extra={
            "anyOf": [{"type": "string", "pattern": f"^{_DOTTED}$"}, {"type": "null"}]
        },
    )

    @model_validator(mode="after")
    def _has_use_for_its_neuron(self) -> RuleSpec:
        if self.neuron != LEFT_OPEN and self.action not in SPIKING_ACTIONS:
            raise PydanticCustomError("neuron_without_use", "", {"action": self.action})
        if self.target is not None and self.action not in TARGET_ACTIONS:
            raise PydanticCustomError("target_without_use", "", {"action": self.action})
        return self


class Settings(Described):
    """What a rule file sets for the whole conversion; inherited through ``extends``."""

    time_steps: Annotated[int, Field(ge=1, le=MAX_TIME_STEPS)] = Field(
        8, description="Number of SNN time steps.", examples=[8]
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field(
        "at_once",
        description="How coded inputs become increments.",
        examples=["at_once"],
        json_schema_extra={"enum": list(ENCODINGS)},
    )
    absorb_batch_norm: bool = Field(
        False,
        description="Whether the linear map before a BatchNorm absorbs it.",
        examples=[False],
    )
    neuron: CheckedNeuron = Field(
        LEFT_OPEN,
        description="The neuron of rules that place neurons.",
        examples=[{"type": "multi_threshold", "levels": 8}],
    )


class RuleFile(Settings):
    """A rule file of snnconvert: how the operations of a network become spiking ones."""

    version: Version = Field(description="Version of the format.", examples=[VERSION])
    description: str | None = Field(
        None, description="What the file is for, for its readers.", examples=["Everything TD"]
    )
    extends: str | None = Field(
        None,
        description="A bundled rule file's name, or a path relative to this file; its rules "
        "stand after this file's, its settings hold where this file has none.",
        examples=["default"],
    )
    rules: tuple[RuleSpec, ...] = Field(
        (),
        description="The rules; the first that matches an operation takes it.",
        examples=[[{"name": "everything exact", "match": {"op": "*"}, "action": "td"}]],
    )

    @model_validator(mode="after")
    def _has_rules(self) -> RuleFile:
        if not self.rules and self.extends is None:
            raise PydanticCustomError("no_rules", "")
        return self


def rule_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a rule file, for editors that check and complete YAML."""
    schema = RuleFile.model_json_schema()
    op = schema["$defs"]["Match"]["properties"]["op"]
    op["examples"] = ["*", *known_kinds().names]
    op["description"] += " Names of ATen operators, such as roll, are op kinds too."
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "snnconvert rule file",
    }
