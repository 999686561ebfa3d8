"""From a rule file, and those that it extends, to a rule set.

A file is read, checked and merged before anything else is done with it, and all that is wrong in
the whole chain of files is told at once. Nothing that a file names is imported or run.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from snnconvert.documents import Document, FileKind, Problem, Reading, Text
from snnconvert.documents.document import MAX_BYTES
from snnconvert.errors import DocumentError, RuleError
from snnconvert.rules.files import extended, named
from snnconvert.rules.former import FORMER_KEYS, former_names
from snnconvert.rules.neuron import LEFT_OPEN, asks_for_tables
from snnconvert.rules.rates import rates_without_effect
from snnconvert.rules.rule_set import Rule, RuleSet
from snnconvert.rules.schema import Context, RuleFile, RuleSpec, Settings, known_kinds
from snnconvert.rules.words import WORDS
from snnconvert.wording import received

MAX_FILES = 32
# Over a whole chain of files. Each glob may be tried on each path of a network, so that both
# bound how long matching takes: a few seconds on the largest networks.
MAX_GLOBS = 5_000
MAX_GLOB_CHARACTERS = 100_000

RULES = FileKind(RuleFile, WORDS, FORMER_KEYS)

_Layer: TypeAlias = Reading[RuleFile]


def load_rules(
    source: str | os.PathLike[str] | RuleSet,
    *,
    allow: Sequence[str] = (),
    allow_outside: bool = False,
) -> RuleSet:
    """The rules of a bundled name or a file; a rule set is returned as it is.

    Args:
        source: a bundled name such as ``"default"``, or a path: a string with a separator or one
            that ends in ``.yaml`` or ``.yml``, or any path object.
        allow: packages whose classes an ``action`` may name; nothing is imported here.
        allow_outside: whether ``extends`` may lead out of the folder of the file.

    Raises:
        RuleError: with everything that is wrong, each as ``file:line: rule 'name': what``.
    """
    if isinstance(source, RuleSet):
        return source
    try:
        text = named(source)
    except DocumentError as error:
        raise RuleError(error.problems) from None
    return _load(text, allow, allow_outside)


def parse_rules(text: str, origin: str = "<string>", *, allow: Sequence[str] = ()) -> RuleSet:
    """The rules of a rule file's text, which may extend bundled files only.

    Args:
        text: the YAML.
        origin: what messages call the text.
        allow: packages whose classes an ``action`` may name.

    Raises:
        RuleError: with everything that is wrong, each as ``origin:line: rule 'name': what``.
    """
    if not isinstance(text, str):
        raise RuleError([f"{origin}: the text of a rule file is a str, received {received(text)}"])
    return _load(Text(origin, text), allow, allow_outside=False)


def _load(text: Text, allow: Sequence[str], allow_outside: bool) -> RuleSet:
    context = Context(known_kinds(), (allow,) if isinstance(allow, str) else tuple(allow))
    layers = _globs_counted(_names_checked(_chain(text, context, allow_outside)))
    if problems := [problem for layer in layers for problem in layer.told()]:
        raise RuleError(problems)
    return _merge([(layer, layer.checked(RuleError)) for layer in layers])


def _chain(text: Text, context: Context, allow_outside: bool) -> list[_Layer]:
    """The file and all that it extends, nearest first, each checked on its own."""
    fence = Path(os.path.realpath(text.path.parent)) if text.path and not allow_outside else None
    layers = [RULES.read(text, context)]
    while (name := _extends(layers[-1].document)) is not None:
        try:
            text = _fits(extended(name, text, fence), layers)
        except DocumentError as error:
            line = layers[-1].document.line(("extends",))
            problem = Problem(line, f"cannot extend {received(name)}: {error}")
            layers[-1] = layers[-1].with_problems([problem])
            break
        layers.append(RULES.read(text, context))
    return layers


def _extends(document: Document) -> str | None:
    name = document.data.get("extends") if isinstance(document.data, dict) else None
    return name if isinstance(name, str) else None


def _fits(text: Text, layers: list[_Layer]) -> Text:
    """The text, unless the chain of files would have no end, or be too long with it."""
    if any(text.identity == layer.text.identity for layer in layers):
        names = [*(layer.origin for layer in layers), text.origin]
        raise RuleError([f"the files extend each other in a circle: {' -> '.join(names)}"])
    if len(layers) == MAX_FILES:
        raise RuleError([f"a chain of more than {MAX_FILES} files, the most allowed"])
    if sum(layer.text.size for layer in layers) + text.size > MAX_BYTES:
        raise RuleError([f"the files together are larger than {MAX_BYTES} bytes, the most allowed"])
    return text


def _globs_counted(layers: list[_Layer]) -> list[_Layer]:
    """The layers, with a problem at the rule with which they have more globs than are allowed."""
    number = length = 0
    for at, layer in enumerate(layers):
        for index, rule in enumerate(layer.value.rules if layer.value else ()):
            globs = (*rule.match.path, *rule.match.module, *rule.match.within)
            number, length = number + len(globs), length + sum(map(len, globs))
            if number > MAX_GLOBS or length > MAX_GLOB_CHARACTERS:
                location = ("rules", index, "match")
                text = (
                    f"more than {MAX_GLOBS} globs, or {MAX_GLOB_CHARACTERS} characters of them, "
                    "the most allowed over a file and those that it extends; write fewer that "
                    "match more"
                )
                problem = Problem(layer.document.line(location), text, location)
                return [*layers[:at], layer.with_problems([problem]), *layers[at + 1 :]]
    return layers


def _names_checked(layers: list[_Layer]) -> list[_Layer]:
    """The layers, with a problem wherever a rule has the name of another, of any of the files."""
    taken: dict[str, str] = {}
    # Backwards, so that a clash between files is told of the file that extends the other.
    checked = [layer.with_problems(_clashes(layer, taken)) for layer in reversed(layers)]
    return checked[::-1]


def _clashes(layer: _Layer, taken: dict[str, str]) -> Iterator[Problem]:
    """Problems of the rules whose name is in ``taken``, to which the others' names are added."""
    for index, name in _rule_names(layer.document):
        location = ("rules", index, "name")
        line = layer.document.line(location)
        if name in taken:
            text = f"the name is taken by the rule at {taken[name]}; names are unique over a file "
            yield Problem(line, text + "and those that it extends", location)
        else:
            taken[name] = f"{layer.origin}:{line}"


def _rule_names(document: Document) -> Iterator[tuple[int, str]]:
    rules: Any = document.data.get("rules") if isinstance(document.data, dict) else ()
    for index, rule in enumerate(rules if isinstance(rules, tuple) else ()):
        name = rule.get("name") if isinstance(rule, dict) else None
        if isinstance(name, str):
            yield index, name


def _merge(files: list[tuple[_Layer, RuleFile]]) -> RuleSet:
    """Rules of the nearest file first; of each setting, that of the nearest file that has it."""
    settings: dict[str, Any] = {}
    for _, file in reversed(files):
        given = file.model_fields_set & Settings.model_fields.keys()
        neuron = file.neuron.over(settings.get("neuron", LEFT_OPEN))
        settings |= {name: getattr(file, name) for name in given} | {"neuron": neuron}
    rules = tuple(
        Rule(
            **{name: getattr(spec, name) for name in RuleSpec.model_fields},
            origin=f"{layer.origin}:{layer.document.line(('rules', index))}",
            bundled=layer.text.bundled,
        )
        for layer, file in files
        for index, spec in enumerate(file.rules)
    )
    notes = [former_names(layer.document, layer.origin) for layer, _ in files]
    layer, nearest = files[0]
    return RuleSet(
        rules,
        **settings,
        description=nearest.description,
        origin=layer.origin,
        own_tables=any(asks_for_tables(f.neuron) for layer, f in files if not layer.text.bundled),
        files=tuple(layer.text.path for layer, _ in files if layer.text.path is not None),
        notes=(*itertools.chain(*notes), *rates_without_effect(rules, settings["neuron"])),
    )
