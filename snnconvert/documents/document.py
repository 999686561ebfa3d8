"""A YAML text as plain data in which every value knows its line.

The text may come from a stranger: its size, depth and number of values are bounded (aliases
count as often as they are used), no tag builds an object, no key may stand twice, and a text
that is no YAML is a problem with a line like any other. Scalars follow the core schema of
YAML 1.2: ``true`` and ``false`` are the only booleans, ``1e-5`` is a number, ``on`` is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import yaml

from snnconvert.wording import received, shown

Location: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000
MAX_DEPTH = 32
MAX_DIGITS = 18

_TAG = "tag:yaml.org,2002:"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
_RESOLVERS = (
    (_TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    (_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    (_TAG + "int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    (_TAG + "float", re.compile(rf"^(?:{_FLOAT})$"), list("-+.0123456789")),
)
_PATTERNS = {tag: pattern for tag, pattern, _ in _RESOLVERS}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file, at a line and a place of its data."""

    line: int
    text: str
    location: Location = ()


@dataclass(frozen=True)
class Document:
    """What a text holds: ``data`` (None where it could not be read) and where each value stands.

    ``refused`` are the places whose value could not be read and is None in ``data``; the whole
    document is one such place, ``()``. ``former`` are the lines of
    keys that are called otherwise now.
    """

    data: Any
    problems: tuple[Problem, ...]
    lines: Mapping[Location, int] = field(default_factory=dict)
    key_lines: Mapping[Location, int] = field(default_factory=dict)
    refused: frozenset[Location] = frozenset()
    former: Mapping[str, int] = field(default_factory=dict)

    def with_present_keys(self, present: Mapping[str, str]) -> Document:
        """The document with keys at the top as they are called now.

        Args:
            present: what a former key is called now. Where a text has both, the former one stays.
        """
        data = self.data if isinstance(self.data, dict) else {}
        found = {old: new for old, new in present.items() if old in data and new not in data}
        if not found:
            return self

        def moved(lines: Mapping[Location, int]) -> dict[Location, int]:
            return {
                (found.get(str(place[0]), place[0]), *place[1:]) if place else place: line
                for place, line in lines.items()
            }

        return replace(
            self,
            data={found.get(key, key): value for key, value in data.items()},
            lines=moved(self.lines),
            key_lines=moved(self.key_lines),
            former={old: self.key_line((old,)) for old in found},
        )

    def line(self, location: Location) -> int:
        """Line of the value at ``location``, or of the nearest value that encloses it."""
        while location not in self.lines and location:
            location = location[:-1]
        return self.lines.get(location, 1)

    def key_line(self, location: Location) -> int:
        """Line of the key at ``location``."""
        return self.key_lines.get(location, self.line(location))


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(self, line: int, text: str) -> None:
        self.problem = Problem(line, text)
        super().__init__(text)


class _BoundedLoader(yaml.SafeLoader):
    """Composes nodes, never objects, up to a depth and a number of nodes."""

    depth = 0
    count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        self.count += 1
        _bound(self.depth, self.count, self.event_line())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def event_line(self) -> int:
        return int(self.peek_event().start_mark.line) + 1


class DocumentDumper(yaml.SafeDumper):
    """Writes text that `read_document` takes for the very values that were written."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_one_or_more(self, data: tuple[Any, ...]) -> yaml.Node:
        return self.represent_data(data[0]) if len(data) == 1 else self.represent_list(data)


DocumentDumper.add_representer(tuple, DocumentDumper.represent_one_or_more)

# Replaced, not extended: the resolvers of YAML 1.1 read `no`, `1:30` and dates as other things.
_BoundedLoader.yaml_implicit_resolvers = {}
DocumentDumper.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _RESOLVERS:
    _BoundedLoader.add_implicit_resolver(_tag, _pattern, _first)
    DocumentDumper.add_implicit_resolver(_tag, _pattern, _first)


def read_document(content: str | bytes) -> Document:
    """Reads one YAML text; all that is wrong with it is in ``problems``, nothing is raised."""
    try:
        root = _compose(_text(content))
        builder = _Builder()
        data = builder.value(root, (), 1)
    except _Refused as refusal:
        return Document(None, (refusal.problem,), refused=frozenset([()]))
    return Document(
        data,
        tuple(builder.problems),
        builder.lines,
        builder.key_lines,
        frozenset(builder.refused),
    )


def plain_scalar(text: str) -> str | int | float | bool | None:
    """The value that ``text`` has where it stands unquoted in a file."""
    for tag, pattern in _PATTERNS.items():
        if pattern.match(text):
            too_long = tag == _TAG + "int" and len(text) > MAX_DIGITS
            value: str | int | float | bool | None = text if too_long else _SCALARS[tag](text)
            return value
    return text


def as_bytes(content: str | bytes) -> bytes:
    """A text in UTF-8, whatever it holds."""
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content


def _text(content: str | bytes) -> str:
    if len(as_bytes(content)) > MAX_BYTES:
        raise _Refused(1, f"the file is larger than {MAX_BYTES} bytes, the most allowed")
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise _Refused(
            line, f"byte 0x{byte:02x} is not UTF-8 text; save the file as UTF-8"
        ) from None


def _bound(depth: int, count: int, line: int) -> None:
    if depth > MAX_DEPTH:
        raise _Refused(line, f"nested deeper than {MAX_DEPTH} levels, the most allowed")
    if count > MAX_VALUES:
        raise _Refused(
            line, f"more than {MAX_VALUES} values (an alias counts each time), the most allowed"
        )


def _compose(text: str) -> yaml.Node:
    loader: _BoundedLoader | None = None
    try:
        loader = _BoundedLoader(text)
        # check_node() is False on an empty stream, and True again if a second document follows.
        root = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            raise _Refused(
                loader.event_line(), "a second YAML document; the file is to be a single one"
            )
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Refused(
            line, f"character {_character(error)!a} is not allowed; use printable text"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise _Refused(*_syntax(error)) from None
    except (ValueError, OverflowError):  # such as "\U00110000" or %YAML 1.<5000 digits>
        line = 1 if loader is None else loader.get_mark().line + 1
        raise _Refused(line, "not valid YAML: a character or version out of range") from None
    if root is None:
        raise _Refused(1, "the file is empty; it is to start with 'version: 1'")
    return root


def _character(error: yaml.reader.ReaderError) -> str:
    character = error.character
    return character if isinstance(character, str) else chr(character)


def _syntax(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "cannot be read"
    hint = ""
    if r"'\t'" in problem:
        hint = "; indent with spaces, not tabs"
    elif error.context == "while scanning an alias":
        hint = '; a value that starts with * stands in quotes, as in op: "*"'
    context = f" ({error.context})" if error.context else ""
    line = 1 if mark is None else mark.line + 1
    return line, f"not valid YAML: {shown(problem)}{context}{hint}"


class _Builder:
    """Turns nodes into plain data (lists as tuples), remembering lines and collecting problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.lines: dict[Location, int] = {}
        self.key_lines: dict[Location, int] = {}
        self.refused: set[Location] = set()
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, location: Location, line: int) -> Any:
        """The data of ``node``, which is used at ``line`` (an alias's own line is its anchor's)."""
        self._count += 1
        _bound(len(self._open) + 1, self._count, line)
        if id(node) in self._open:
            raise _Refused(line, "an alias that contains itself")
        self.lines[location] = own = node.start_mark.line + 1
        self._open.add(id(node))
        data = _KINDS[type(node)](self, node, location, own)
        self._open.discard(id(node))
        return data

    def mapping(self, node: yaml.MappingNode, location: Location, line: int) -> Any:
        if node.tag != _TAG + "map":
            return self._refuse_tag(node, location, line)
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            key = self._key(key_node, location, key_line)
            if key is None:
                continue
            here = (*location, key)
            if key in data:
                first = self.key_lines[here]
                text = f"the key {received(key)} stands twice, first on line {first}; remove one"
                self.problems.append(Problem(key_line, text, here))
                continue
            self.key_lines[here] = key_line
            data[key] = self.value(value_node, here, key_line)
        return data

    def sequence(self, node: yaml.SequenceNode, location: Location, line: int) -> Any:
        if node.tag != _TAG + "seq":
            return self._refuse_tag(node, location, line)
        return tuple(
            self.value(item, (*location, index), item.start_mark.line + 1)
            for index, item in enumerate(node.value)
        )

    def scalar(self, node: yaml.ScalarNode, location: Location, line: int) -> Any:
        convert = _SCALARS.get(node.tag)
        if convert is None:
            return self._refuse_tag(node, location, line)
        text = node.value
        pattern = _PATTERNS.get(node.tag)
        if pattern is not None and not pattern.match(text):
            what = node.tag.removeprefix(_TAG)
            return self._refuse(f"{received(text)} is not of the type !!{what}", location, line)
        if _UNPRINTABLE.search(text):
            return self._refuse(
                f"{received(text)} holds a control character; use printable text", location, line
            )
        if node.tag == _TAG + "int" and len(text) > MAX_DIGITS:
            return self._refuse(
                f"a number of {len(text)} digits; at most {MAX_DIGITS} are allowed", location, line
            )
        return convert(text)

    def _key(self, node: yaml.Node, location: Location, line: int) -> str | None:
        self._count += 1
        if isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "str":
            if not _UNPRINTABLE.search(node.value):
                return str(node.value)
            shown = f"{received(node.value)} holds a control character"
        else:
            shown = f"{received(node.value)} is not text"
        self.problems.append(Problem(line, f"the key {shown}; keys are printable text", location))
        return None

    def _refuse_tag(self, node: yaml.Node, location: Location, line: int) -> None:
        tag = node.tag.replace(_TAG, "!!")
        text = f"the tag {received(tag)} is not allowed; the file may hold plain values only"
        return self._refuse(text, location, line)

    def _refuse(self, text: str, location: Location, line: int) -> None:
        self.refused.add(location)
        self.problems.append(Problem(line, text, location))


_KINDS: Mapping[type, Callable[[_Builder, Any, Location, int], Any]] = {
    yaml.MappingNode: _Builder.mapping,
    yaml.SequenceNode: _Builder.sequence,
    yaml.ScalarNode: _Builder.scalar,
}
_SCALARS: Mapping[str, Callable[[str], Any]] = {
    _TAG + "str": str,
    _TAG + "null": lambda text: None,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "int": int,
    _TAG + "float": lambda text: float(text.lower().replace(".inf", "inf")),
}
