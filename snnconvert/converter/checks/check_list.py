"""The list of models that ``snnconvert check`` reads: what the file may hold, and its errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from snnconvert.documents import Described, Document, Fault, FileKind, Problem, Version, read_text
from snnconvert.documents.fields import VERSION
from snnconvert.errors import CheckListError, DocumentError
from snnconvert.rules.schema import MAX_TIME_STEPS
from snnconvert.sources.paths import expanded
from snnconvert.wording import PATH_LENGTH, received, shown

_YAML = (".yaml", ".yml")
_CODE = "python:"


@dataclass(frozen=True)
class CheckEntry:
    """One model of the list, its paths made relative to the working directory.

    Attributes:
        name: as the file has it, with what it has of its own.
        model, arch, input: as in :class:`~snnconvert.sources.request.ModelRequest`.
        rules: bundled name or path of the rule file.
        skip: why the model is not run; empty: it is.
        calibration: file of inputs that thresholds are found from; None: the source's own inputs.
        data: file of held-out inputs, and their labels, that a spiking network is run on.
        tolerance: largest relative error in float64, without spikes, that passes; None: that of
            the check.
        spiking_tolerance: largest one of a network on spikes that passes; None: that of the check.
        time_steps: number of steps of random increments; None: that of the check.
        spiking_time_steps: ``T`` of a network on spikes; None: that of the rule file.
        output, classes: where predictions on data are read, as in
            :func:`~snnconvert.converter.verification.equivalence.verify`.
    """

    name: str
    model: str
    rules: str = "default"
    arch: str | None = None
    input: str | None = None
    skip: str = ""
    calibration: str | None = None
    data: str | None = None
    tolerance: float | None = None
    spiking_tolerance: float | None = None
    time_steps: int | None = None
    spiking_time_steps: int | None = None
    output: str | int | None = None
    classes: int | None = None

    @property
    def references(self) -> tuple[str, ...]:
        """All that files may be read by: references, rules, and paths of inputs."""
        names = (self.model, self.arch, self.input, self.rules, self.calibration, self.data)
        return tuple(name for name in names if name is not None)


def _written_short(entry: Any) -> Any:
    return {"model": entry} if isinstance(entry, str) else entry


def _check_reference(reference: str, info: ValidationInfo) -> str:
    """Refuse code of a package that is not allowed: a list may be a stranger's."""
    if not reference.startswith(_CODE):
        return reference
    module = reference.removeprefix(_CODE).partition(":")[0]
    allow: Sequence[str] = info.context or ()
    if any(f"{module}.".startswith(f"{package}.") for package in allow):
        return reference
    raise PydanticCustomError("code_not_allowed", "", {"package": module.partition(".")[0]})


_NO_REASONS = frozenset("no yes true false on off null none y n 0 1 ~".split())


def _check_reason(text: str) -> str:
    if text.strip().lower() in _NO_REASONS:
        raise PydanticCustomError("no_reason", "")
    return text


_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_Reference: TypeAlias = Annotated[_Text, AfterValidator(_check_reference)]


class _Settings(Described):
    """What holds for one model, or for all of the list that do not say otherwise."""

    rules: _Text | None = Field(
        None,
        description="A bundled rule file's name, or a path.",
        examples=["default"],
    )
    calibration: _Text | None = Field(
        None,
        description="File of inputs that thresholds of neurons are found from, samples first.",
        examples=["train.npy"],
    )
    data: _Text | None = Field(
        None,
        description="File of held-out inputs to run a spiking network on; a tensor named labels "
        "holds the right answers.",
        examples=["test.safetensors"],
    )
    tolerance: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Largest relative error in float64, without spikes, that passes.",
        examples=[1e-9],
    )
    spiking_tolerance: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Largest relative error of a network on spikes, at its last step, that passes.",
        examples=[0.1],
    )
    time_steps: Annotated[int, Field(ge=2, le=MAX_TIME_STEPS)] | None = Field(
        None, description="Time steps of random increments.", examples=[4]
    )
    spiking_time_steps: Annotated[int, Field(ge=1, le=MAX_TIME_STEPS)] | None = Field(
        None,
        description="Time steps of a network on spikes, in the place of the rule file's.",
        examples=[2],
    )


class _Entry(_Settings):
    """One model: a reference alone, or this."""

    model_config = ConfigDict(title="model")

    model: _Reference = Field(
        description="A reference as on the command line, or a path.", examples=["timm:resnet18"]
    )
    arch: _Reference | None = Field(
        None,
        description="The model that a file of weights belongs to.",
        examples=["timm:deit_tiny_patch16_224"],
    )
    input: _Text | None = Field(
        None, description="Example inputs: shapes, or a file.", examples=["2,3,224,224"]
    )
    output: Annotated[int, Field(ge=0)] | _Text | None = Field(
        None,
        description="Name or number of the output whose classes are compared on data.",
        examples=["logits"],
    )
    classes: int | None = Field(
        None, description="Its dimension that holds the classes.", examples=[1]
    )
    skip: Annotated[_Text, AfterValidator(_check_reason)] | None = Field(
        None, description="Why the model is not run.", examples=["its shapes depend on data"]
    )

    _short = model_validator(mode="before")(_written_short)


class _CheckFile(_Settings):
    """A list of models to convert and verify."""

    version: Version = Field(description="Version of the format.", examples=[VERSION])
    models: Annotated[tuple[_Entry, ...], Field(min_length=1)] = Field(
        description="The models.", examples=[["timm:resnet18"]]
    )


def _not_a_mapping(fault: Fault) -> str:
    each, what = ("each of 'models'", "a model, or ") if fault.location else ("the file", "")
    got = received(fault.value)
    return f"{each} must be {what}{fault.place.expected}; received {got}"


def _no_reason(fault: Fault) -> str:
    return (
        f"{fault.label} must be the reason why the model is not run, in words; received "
        f"{received(fault.value)}. Leave the key out where the model is to be run"
    )


CHECK_LISTS = FileKind(
    _CheckFile,
    {
        "code_not_allowed": lambda fault: fault.runs_code(fault.label),
        "model_type": _not_a_mapping,
        "no_reason": _no_reason,
    },
)


def read_check_list(
    path: str | os.PathLike[str], *, allow: Sequence[str] = (), rules: str | None = None
) -> tuple[CheckEntry, ...]:
    """Return the models of a list file, in its order.

    Paths of models, rule files and inputs are relative to the file's own directory; names such
    as ``timm:resnet18`` mean what they mean on the command line.

    Args:
        path: the file.
        allow: packages whose code a ``python:`` reference may name; nothing is imported here.
        rules: of the models that name none, in the place of the file's own; bundled name or path.

    Raises:
        CheckListError: with everything that is wrong, each as ``file:line: what``.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except DocumentError as error:
        raise CheckListError([f"{error}; give a list of models in YAML"]) from None
    reading = CHECK_LISTS.read(text, context=(allow,) if isinstance(allow, str) else tuple(allow))
    if reading.value is None:
        raise CheckListError(reading.told())
    entries = tuple(_entry(entry, reading.value, path.parent) for entry in reading.value.models)
    if rules is not None:
        named = [entry.rules is not None for entry in reading.value.models]
        entries = tuple(
            entry if own else replace(entry, rules=rules)
            for entry, own in zip(entries, named, strict=True)
        )
    missing = _missing_files(entries, reading.value, reading.document)
    reading.with_problems([*_twice(entries, reading.document), *missing]).checked(CheckListError)
    return entries


def _entry(entry: _Entry, file: _CheckFile, directory: Path) -> CheckEntry:
    keys = ("arch", *_Settings.model_fields, "input", "output", "classes")
    own = [f"{key} {value}" for key in keys if (value := getattr(entry, key)) is not None]
    settings = {
        key: getattr(entry if getattr(entry, key) is not None else file, key)
        for key in _Settings.model_fields
    }
    return CheckEntry(
        name=entry.model + (f" ({', '.join(own)})" if own else ""),
        model=_located(entry.model, directory, _is_path),
        rules=_located(settings["rules"] or "default", directory, _is_rule_file),
        arch=entry.arch,
        input=entry.input and _located(entry.input, directory, lambda text: "." in text),
        skip=entry.skip or "",
        calibration=settings["calibration"] and _located(settings["calibration"], directory),
        data=settings["data"] and _located(settings["data"], directory),
        tolerance=settings["tolerance"],
        spiking_tolerance=settings["spiking_tolerance"],
        time_steps=settings["time_steps"],
        spiking_time_steps=settings["spiking_time_steps"],
        output=entry.output,
        classes=entry.classes,
    )


def _located(name: str, directory: Path, is_path: Callable[[str], bool] = lambda name: True) -> str:
    return str(directory / expanded(name)) if is_path(name) else name


def _is_path(model: str) -> bool:
    _, colon, rest = model.partition(":")
    return not colon or rest.startswith(("/", "\\"))  # a drive is a path too


def _is_rule_file(rules: str) -> bool:
    return Path(rules).name != rules or rules.endswith(_YAML)


def _twice(entries: tuple[CheckEntry, ...], document: Document) -> Iterator[Problem]:
    first: dict[CheckEntry, int] = {}
    for index, entry in enumerate(entries):
        earlier = first.setdefault(replace(entry, name="", skip=""), index)
        if earlier != index:
            line, before = (document.line(("models", i)) for i in (index, earlier))
            yield Problem(line, f"{received(entry.name)} stands twice, first on line {before}")


def _missing_files(
    entries: tuple[CheckEntry, ...], file: _CheckFile, document: Document
) -> Iterator[Problem]:
    """Problems of calibration and data files that are not there, each told once at its key."""
    told = set()
    for index, (entry, written) in enumerate(zip(entries, file.models, strict=True)):
        for key in ("calibration", "data") if not entry.skip else ():
            name = getattr(entry, key)
            own = getattr(written, key) is not None
            location = ("models", index, key) if own else (key,)
            if name is None or os.path.isfile(name) or location in told:
                continue
            told.add(location)
            text = f"'{key}': {shown(name, PATH_LENGTH)} is no file; paths are relative to this one"
            yield Problem(document.line(location), text, location)
