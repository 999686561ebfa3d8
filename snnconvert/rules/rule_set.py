"""A rule set: the rules of a file and of those that it extends, in the order they apply in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from snnconvert.documents import DocumentDumper
from snnconvert.documents.fields import VERSION
from snnconvert.errors import InputError, RuleError
from snnconvert.rules.neuron import (
    LEFT_OPEN,
    NeuronSettings,
    NeuronSpec,
    options_problem,
    settings_of,
)
from snnconvert.rules.schema import MAX_TIME_STEPS, Match, RuleSpec, Settings
from snnconvert.wording import received


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: unique within the rule set.
        match: which operations the rule takes.
        action: one of `schema.ACTIONS`, or the dotted name of a user's class.
        neuron: what its neurons have of their own.
        target: the dotted name of a user's function that they follow; None: they follow what the
            source computes there.
        origin: where the rule stands, ``file:line``; of no account when rules are compared.
        bundled: whether it comes with the package, written for any network, so that it may well
            take nothing; of no account when rules are compared.
    """

    name: str
    match: Match = field(hash=False)
    action: str
    origin: str = field(default="", compare=False)
    bundled: bool = field(default=False, compare=False)
    neuron: NeuronSpec = LEFT_OPEN
    target: str | None = None

    def __str__(self) -> str:
        return f"rule {self.name!r} ({self.origin})" if self.origin else f"rule {self.name!r}"


@dataclass(frozen=True)
class RuleSet:
    """The merged rules and settings of a rule file; the first rule that matches wins.

    Attributes:
        rules: a file's own rules, then those of the file that it extends.
        time_steps: number of SNN time steps ``T``.
        encoding: name of the encoding of coded inputs.
        absorb_batch_norm: whether the linear map before a BatchNorm absorbs it.
        neuron: of rules that place neurons.
        description: that of the file itself; it is not inherited.
        origin: the file's name; of no account when rule sets are compared.
        notes: what a reader should know of the file, such as names that are others now; likewise.
        own_tables: whether a file that does not come with the package asks for tables of all
            functions; likewise.
        files: the files that it was read from, without those of the package; likewise.
    """

    rules: tuple[Rule, ...]
    time_steps: int = Settings.model_fields["time_steps"].default
    encoding: str = Settings.model_fields["encoding"].default
    absorb_batch_norm: bool = Settings.model_fields["absorb_batch_norm"].default
    neuron: NeuronSpec = LEFT_OPEN
    description: str | None = None
    origin: str = field(default="", compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    own_tables: bool = field(default=False, compare=False)
    files: tuple[Path, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.time_steps <= MAX_TIME_STEPS:
            raise InputError(
                f"time_steps must be a whole number from 1 to {MAX_TIME_STEPS}, the most that rule "
                f"files and saved conversions hold; received {received(self.time_steps)}"
            )

    def neuron_of(self, rule: Rule) -> NeuronSettings:
        """Return the neuron that a rule places, with nothing left open.

        Raises:
            RuleError: its type does not have an option, or has no values for one that is auto.
        """
        spec = rule.neuron.over(self.neuron)
        if problem := options_problem(spec):
            raise RuleError([f"{rule}: {problem}"])
        return settings_of(spec)

    def to_yaml(self) -> str:
        """Text of one rule file that needs no other, and reads back as an equal rule set."""
        document: dict[str, Any] = {"version": VERSION}
        if self.description is not None:
            document["description"] = self.description
        document |= {name: getattr(self, name) for name in Settings.model_fields}
        document["rules"] = [
            {name: getattr(rule, name) for name in RuleSpec.model_fields} for rule in self.rules
        ]
        for holder in (document, *document["rules"]):
            if holder["neuron"] == LEFT_OPEN:
                del holder["neuron"]
        for rule in document["rules"]:
            if rule["target"] is None:
                del rule["target"]
        text = yaml.dump(
            document, Dumper=DocumentDumper, sort_keys=False, allow_unicode=True, width=float("inf")
        )
        return str(text)


def _represent_model(dumper: DocumentDumper, model: BaseModel) -> yaml.Node:
    return dumper.represent_data(model.model_dump(exclude_defaults=True))


DocumentDumper.add_multi_representer(BaseModel, _represent_model)
