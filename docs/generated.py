"""Tables that the site takes from the code, as Markdown, each by the name that pages call it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from snnconvert.cli.commands.parsing import Group
from snnconvert.cli.commands.root import root
from snnconvert.converter.spikes.apart.table import APART
from snnconvert.ops.kinds import KINDS
from snnconvert.ops.layouts import Layout
from snnconvert.ops.neurons import NEURONS
from snnconvert.ops.surrogate import SURROGATES, surrogate_named
from snnconvert.ops.targets import CLIPS, FUNCTIONS, Function
from snnconvert.rules import bundled_rules, load_rules, rule_schema
from snnconvert.rules.neuron import settings_of


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown, with what would end a cell escaped."""
    names = list(header)
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, ["---"] * len(names), *cells])


def rule_files() -> str:
    """The bundled rule files: what each is for, T, K and neuron."""
    rows = []
    for name in bundled_rules():
        rules = load_rules(name)
        places = any(rule.action in ("spiking", "spike_operands", "neuron") for rule in rules.rules)
        neuron = settings_of(rules.neuron)
        spikes = (f"`{neuron.type}`", neuron.options.bursts) if places else ("none", "")
        rows.append((f"`{name}`", rules.description, rules.time_steps, spikes[1], spikes[0]))
    return table(("name", "what it is for", "T", "K", "neuron"), rows)


def keys() -> str:
    """The keys of a rule file, and of all that is in one."""
    schema = rule_schema()
    parts = {"A rule file": schema, **{f"`{n}`": schema["$defs"][d] for n, d in _PARTS.items()}}
    return "\n\n".join(f"### {title}\n\n{_keys(part)}" for title, part in parts.items())


_PARTS = {
    "rules": "RuleSpec",
    "match": "Match",
    "neuron": "NeuronSpec",
    "threshold": "ThresholdSpec",
    "table": "TableSpec",
}


def _keys(part: Mapping[str, Any]) -> str:
    required = part.get("required", ())
    rows = [
        (
            f"`{name}`",
            _values(of),
            "required" if name in required else _default(of),
            _sentence(of["description"]),
            f"`{json.dumps(of['examples'][0])}`",
        )
        for name, of in part["properties"].items()
    ]
    return table(("key", "value", "default", "what it says", "example"), rows)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _default(of: Mapping[str, Any]) -> str:
    value = of.get("default")
    return "" if value in (None, [], {}) or isinstance(value, dict) else f"`{json.dumps(value)}`"


def _values(of: Mapping[str, Any]) -> str:
    """Say what a JSON Schema allows."""
    if "$ref" in of:
        name = of["$ref"].rpartition("/")[2]
        return next(f"[{part}](#{part})" for part, kind in _PARTS.items() if kind == name)
    if "anyOf" in of:
        said = dict.fromkeys(_values(one) for one in of["anyOf"] if one.get("type") != "null")
        return " or ".join(said)
    if "const" in of:
        return f"`{json.dumps(of['const'])}`"
    if "enum" in of:
        return ", ".join(f"`{json.dumps(value)}`" for value in of["enum"])
    if of.get("type") == "array":
        return f"list of {_values(of['items'])}"
    kind = of.get("type", "any")
    named = " or ".join(_TYPES[one] for one in ([kind] if isinstance(kind, str) else kind))
    return named + _limits(of)


_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "mapping",
    "null": "`null`",
    "any": "any",
}


def _limits(of: Mapping[str, Any]) -> str:
    low = of.get("minimum", of.get("exclusiveMinimum"))
    if low is None:
        return ""
    over = "over " if "exclusiveMinimum" in of else ""
    return f", {over}{low:g} to {of['maximum']:.7g}" if "maximum" in of else f", from {low:g}"


def kinds() -> str:
    """The op kinds: what becomes of each on spikes, what stands for it, its operators."""
    rows = []
    for kind in KINDS.values():
        classes = dict.fromkeys(f"`{cls.__name__}`" for cls in kind.operators.values() if cls)
        rows.append(
            (
                f"`{kind.name}`",
                "yes" if kind.operands else "",
                "yes" if kind.name in (*FUNCTIONS, *CLIPS) else "",
                _apart(kind.name),
                " ".join(classes) or "the general one",
                _code(kind.operators) or _code(kind.regions),
            )
        )
    header = ("op kind", "map or product", "target", "apart by", "exact by", "operators")
    return table(header, rows)


def apart() -> str:
    """What is taken apart, by operator or op kind, and for which actions."""
    return table(
        ("operator or op kind", "apart by"), ((f"`{name}`", _apart(name)) for name in sorted(APART))
    )


def _apart(name: str) -> str:
    taking = APART.get(name)
    if taking is None:
        return ""
    return "`spiking`" if taking.into_maps is None else "`spiking`, `spike_operands`"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def targets() -> str:
    """The 1-D functions that a neuron may follow: limits of their values, and their tables."""
    clips = [(f"`{name}`", "within its limits", "none: comparisons") for name in CLIPS]
    rows = [(f"`{name}`", _span(of), _layout(of)) for name, of in FUNCTIONS.items()]
    return table(("op kind", "values", "table"), [*clips, *rows])


def _span(of: Function) -> str:
    low, high = (None if x is None else f"{x:.4g}" for x in (of.low, of.high))
    if low is None and high is None:
        return "any"
    if low is None or high is None:
        return f"from {low}" if high is None else f"up to {high}"
    return f"{low} to {high}"


def _layout(of: Function) -> str:
    if of.layout is None:
        return "none: whole steps, by comparisons"
    return f"`{type(of.layout).__name__}`" if isinstance(of.layout, Layout) else "by parameters"


def layouts() -> str:
    """How the entries of tables lie."""
    used = {type(of.layout) for of in FUNCTIONS.values() if isinstance(of.layout, Layout)}
    ordered = sorted(used, key=lambda cls: (len(cls.__mro__), cls.__module__, cls.__name__))
    return table(("table", "entries"), ((f"`{cls.__name__}`", _first_line(cls)) for cls in ordered))


def neurons() -> str:
    """The neuron types, with their options and defaults."""
    rows = []
    for name, neuron in NEURONS.items():
        options = neuron.Options()
        said = (f"`{key}` ({value})" for key, value in options.model_dump().items())
        rows.append((f"`{name}`", _first_line(neuron), ", ".join(said)))
    return table(("type", "what it is", "options (default)"), rows)


def surrogates() -> str:
    """The surrogate gradients, by the name that neurons take."""
    return table(
        ("name", "the step whose derivative it is"),
        ((f"`{name}`", _first_line(type(surrogate_named(name)))) for name in SURROGATES),
    )


def _first_line(of: object) -> str:
    """Return the first paragraph of a docstring, with its code as Markdown's."""
    text = str(inspect.getdoc(of)).partition("\n\n")[0]
    return " ".join(text.split()).replace("``", "`")


def commands() -> str:
    """The help of every command."""
    said = []
    for name, command in _commands("snnconvert", root):
        context = click.Context(command, info_name=name, terminal_width=90, max_content_width=90)
        said.append(f"## {name}\n\n```text\n{command.get_help(context).strip()}\n```")
    return "\n\n".join(said)


def _commands(name: str, command: click.Command | None) -> Iterable[tuple[str, click.Command]]:
    if isinstance(command, Group):
        yield from _commands(name, command.default)
        for below, inner in command.commands.items():
            yield from _commands(f"{name} {below}", inner)
    elif command is not None:
        yield name, command


TABLES: Mapping[str, Callable[[], str]] = {
    "apart": apart,
    "commands": commands,
    "keys": keys,
    "kinds": kinds,
    "layouts": layouts,
    "neurons": neurons,
    "rule files": rule_files,
    "surrogates": surrogates,
    "targets": targets,
}
"""By the names that pages ask for them with."""
