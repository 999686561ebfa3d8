"""Finds out what a pickle would do, without doing it.

A pickle is a program for a stack machine. The scan runs it on stand-ins: it knows for every
instruction which global is called, which class is instantiated and what is stored, but imports
and calls nothing. It knows the instructions that PyTorch's ``weights_only`` loader knows, and
refuses all others.
"""

from __future__ import annotations

import pickletools
import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # protocol 2 names modules as Python 2 did
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from snnconvert.errors import SourceError
from snnconvert.wording import shown

_NAME = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_]\w*", re.ASCII)
_PROTOCOL = 2
_BYTES = {
    1: "Bool Byte Char QInt8 QUInt8 QUInt4x2 QUInt2x4 Untyped",
    2: "Half BFloat16 Short",
    4: "Float Int QInt32",
    8: "Double Long ComplexFloat",
    16: "ComplexDouble",
}
# The bytes of one element of each storage class; of one that is not known, the fewest are taken.
_ELEMENTS = {f"torch.{n}Storage": size for size, names in _BYTES.items() for n in names.split()}
_STORED_CODECS = ("latin1", "latin-1")

ORDERED_DICT = "collections.OrderedDict"
FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
ENCODE = "_codecs.encode"


@dataclass(frozen=True)
class Global:
    """A stand-in for a class or function that the pickle names."""

    name: str


@dataclass(frozen=True)
class Instance:
    """A stand-in for a new object of a class."""

    of: str


@dataclass(frozen=True)
class Result:
    """A stand-in for what a call returned."""

    of: str


@dataclass(frozen=True)
class Plain:
    """A stand-in for a number, a container or a storage."""

    kind: str


@dataclass
class Request:
    """What one or more pickles ask for; names are ``module.name``.

    Arguments:
        called: globals that are called with arguments of the pickle.
        made: classes that are instantiated without arguments.
        stored: globals that end up as values, wherever that is.
        violations: instructions that no honest checkpoint holds.
        storages: how many bytes each storage of tensors has, by its key.
    """

    called: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    violations: set[str] = field(default_factory=set)
    storages: dict[Any, int] = field(default_factory=dict)

    def names(self) -> set[str]:
        """Every global that is asked for."""
        return self.called | self.made | self.stored


def scan(stream: BinaryIO, request: Request, where: str) -> None:
    """Adds to ``request`` what the next pickle in ``stream`` asks for."""
    machine = _Machine(request)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            handler = _HANDLERS.get(opcode.name)
            if handler is None or (opcode.name == "PROTO" and argument != _PROTOCOL):
                raise SourceError(
                    f"{where}: the pickle has the instruction {opcode.name} {shown(argument)}, "
                    "which safe loading does not know; save it again with torch.save and its "
                    f"default pickle protocol {_PROTOCOL}"
                )
            handler(machine, argument)
    except (ValueError, IndexError, KeyError, TypeError, UnicodeError) as error:
        raise SourceError(
            f"{where}: damaged or truncated pickle ({type(error).__name__}: {shown(error)})"
        ) from None


class _Machine:
    """The stack, the marks and the memo of a pickle in the course of a scan."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def store(self, *values: Any) -> None:
        """Notes the globals among ``values``, which become part of another value."""
        self.request.stored.update(v.name for v in values if isinstance(v, Global))

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def name_global(self, argument: str) -> None:
        if not _NAME.fullmatch(argument):
            self.request.violations.add(f"the name {shown(argument)!r}")
        module, _, name = argument.partition(" ")
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        self.stack.append(Global(f"{module}.{name}"))

    def call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if isinstance(function, Global):
            self.request.called.add(function.name)
            self._check_arguments(function.name, arguments)
            self.stack.append(Result(function.name))
        else:
            self.request.violations.add("a call of a value that the pickle itself made")
            self.stack.append(Plain("unknown"))

    def _check_arguments(self, name: str, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            self.request.violations.add(f"a call of {shown(name)} without a tuple of arguments")
        elif name == FROM_TYPE and arguments and isinstance(arguments[0], Global):
            self.request.called.add(arguments[0].name)
        elif name == FROM_TYPE:
            self.request.violations.add(f"a call of {name} with a computed function")
        elif name == ENCODE and not _is_byte_text(arguments):
            self.request.violations.add(f"a call of {name} with another codec than latin1")

    def make(self, _: Any) -> None:
        arguments, made = self.stack.pop(), self.stack.pop()
        if not isinstance(made, Global):
            self.request.violations.add("an instance of a class that the pickle itself made")
            self.stack.append(Plain("unknown"))
            return
        if arguments != ():
            self.request.violations.add(f"arguments for {shown(made.name)}.__new__")
        self.request.made.add(made.name)
        self.stack.append(Instance(made.name))

    def build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        self.store(state)
        fits = isinstance(target, Instance) or target == Result(ORDERED_DICT)
        if not fits:
            self.request.violations.add("state for what is neither a module nor a mapping")
        elif state not in (Plain("dict"), Result(ORDERED_DICT)):
            self.request.violations.add(f"state for {shown(target.of)} that is not a dictionary")

    def make_tuple(self, items: list[Any]) -> None:
        self.store(*items)
        self.stack.append(tuple(items))

    def take(self, count: int) -> list[Any]:
        items = self.stack[-count:]
        if len(items) < count:
            raise IndexError("the stack is empty")
        del self.stack[-count:]
        return items

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def push_value(self, value: Any) -> None:
        self.stack.append(value)

    def load_storage(self, _: Any) -> None:
        key = self.stack.pop()
        if isinstance(key, tuple) and key[:1] == ("module",):
            self.request.violations.add(
                "a module saved by PyTorch before 1.6; save it again with a current torch.save"
            )
            self.stack.append(key[1])
        else:
            self._note_storage(key)
            self.stack.append(Plain("storage"))

    def _note_storage(self, key: Any) -> None:
        """Notes how many bytes ``("storage", class, key, place, elements, ...)`` asks for."""
        named = isinstance(key, tuple) and len(key) >= 5 and isinstance(key[1], Global)
        if not named or not isinstance(key[4], int) or not isinstance(key[2], str):
            self.request.violations.add("a storage of tensors that is not described as one")
            return
        size = max(0, key[4]) * _ELEMENTS.get(key[1].name, 1)
        self.request.storages[key[2]] = max(size, self.request.storages.get(key[2], 0))

    def stop(self, _: Any) -> None:
        self.store(self.stack.pop())


def _is_byte_text(arguments: tuple[Any, ...]) -> bool:
    """Whether these are the arguments by which pickles of protocol 2 write bytes."""
    return (
        len(arguments) == 2
        and all(isinstance(argument, str) for argument in arguments)
        and arguments[1] in _STORED_CODECS
    )


def _push(kind: str) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(Plain(kind))


def _take(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.make_tuple(machine.take(count))


_HANDLERS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "STOP": _Machine.stop,
    "GLOBAL": _Machine.name_global,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.make,
    "BUILD": _Machine.build,
    "APPEND": lambda machine, _: machine.store(*machine.take(1)),
    "APPENDS": lambda machine, _: machine.store(*machine.pop_mark()),
    "SETITEM": lambda machine, _: machine.store(*machine.take(2)),
    "SETITEMS": lambda machine, _: machine.store(*machine.pop_mark()),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.make_tuple(machine.pop_mark()),
    "TUPLE1": _take(1),
    "TUPLE2": _take(2),
    "TUPLE3": _take(3),
    "EMPTY_TUPLE": lambda machine, _: machine.make_tuple([]),
    "EMPTY_LIST": _push("list"),
    "EMPTY_DICT": _push("dict"),
    "EMPTY_SET": _push("set"),
    "NONE": _push("None"),
    "NEWTRUE": _push("bool"),
    "NEWFALSE": _push("bool"),
    "BININT": _Machine.push_value,
    "BININT1": _Machine.push_value,
    "BININT2": _Machine.push_value,
    "LONG1": _Machine.push_value,
    "BINFLOAT": _push("float"),
    "BINUNICODE": _Machine.push_value,
    "SHORT_BINSTRING": _push("bytes"),
    "BINPERSID": _Machine.load_storage,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
}
