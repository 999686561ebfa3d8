"""The equivalence report: what was compared, how close it is, and which rule did what."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import nn

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.reports.cost_tables import short_cost_tables
from snnconvert.converter.reports.made import Made
from snnconvert.converter.reports.nodes import NodeRow, node_rows
from snnconvert.converter.reports.on_data import DataCloseness
from snnconvert.converter.reports.paragraphs import Paragraph, as_text
from snnconvert.converter.reports.recorded import rebuilt
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.converter.reports.spiking_tables import steps_of, tables_of
from snnconvert.files import write_atomically
from snnconvert.rules import Decision
from snnconvert.wording import as_json, shown

SCHEMA = 1
"""Of reports as plain data: a part that is renamed, removed or means something else raises it; one
that is added does not."""


@dataclass(frozen=True)
class LeafError:
    """The error of one output leaf (see `verify`).

    Attributes:
        name: of the output.
        per_step: largest relative error of its values at each step.
        max_abs_error: largest absolute error over all steps.
        degenerate: whether all its values are equal, which proves nothing.
    """

    name: str
    per_step: tuple[float, ...]
    max_abs_error: float
    degenerate: bool

    @property
    def max_rel_error(self) -> float:
        """Return the largest relative error over all steps."""
        return max(self.per_step, default=0.0)


@dataclass(frozen=True)
class KindRow:
    """One op kind under one rule.

    Attributes:
        kind: op kind.
        nodes: how many there are.
        rule: name of the rule that took them; ``(none)``: none did.
        action: what was done with them.
        max_rel_error: their worst relative error; None where none is compared by itself.
    """

    kind: str
    nodes: int
    rule: str
    action: str
    max_rel_error: float | None

    def cells(self) -> tuple[str, ...]:
        """Return it as a row of a table of text."""
        error = "-" if self.max_rel_error is None else f"{self.max_rel_error:.1e}"
        return (self.kind, str(self.nodes), self.rule, self.action, error)


@dataclass(frozen=True)
class EquivalenceReport:
    """How close a conversion is to its source.

    Attributes:
        passed: whether no relative error is above the tolerance.
        max_abs_error: largest absolute error over all steps and output leaves.
        max_rel_error: largest relative error over all steps and output leaves (see `verify`).
        source_rel_error: that against the source model itself at the last step; None: not run.
        tolerance: largest relative error that passes.
        dtype: in which both sides were computed.
        time_steps: number of steps of random increments.
        leaves: per output leaf.
        kinds: per op kind and rule.
        first_failure: the first node, in the order of computation, above the tolerance.
        first_failure_at: its op kind, module path and rule.
        notes: what a reader should know: fallbacks, unused rules.
        spiking: how a network with neurons ran on data; None where there are none. All else is
            then said of the network with every neuron replaced by what it follows.
        spiking_tolerance: largest relative error of its outputs at the last step that passes.
        to_be_trained: modules that compute something else than the source until they are trained.
        on_data: how a conversion without neurons answered on data; None where none was given.
        keeps_signs: whether no input passed values of the other sign than its own: the source
            raises, or gives NaN, on such values.
        nodes: what became of each node that changes over time, in the order of computation.
        made: how the report was made; None: not recorded.
        recorded_in: the file that the report was read from: what it says is then not verified.
    """

    passed: bool
    max_abs_error: float
    max_rel_error: float
    source_rel_error: float | None
    tolerance: float
    dtype: str
    time_steps: int
    leaves: tuple[LeafError, ...]
    kinds: tuple[KindRow, ...]
    first_failure: str | None
    first_failure_at: str | None = None
    notes: tuple[str, ...] = ()
    spiking: SpikingReport | None = None
    spiking_tolerance: float | None = None
    to_be_trained: tuple[str, ...] = ()
    on_data: DataCloseness | None = None
    keeps_signs: bool = False
    nodes: tuple[NodeRow, ...] = ()
    made: Made | None = None
    recorded_in: str = field(default="", compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, which `docs/report.md` describes."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, recorded_in: str = "") -> EquivalenceReport:
        """Return the report of which `to_dict` made plain data.

        Args:
            data: the plain data, as JSON gives it back.
            recorded_in: the file that the data stood in; the report then says that it is a claim.

        Raises:
            TypeError, ValueError: the data are not those of a report.
        """
        known = {name: value for name, value in data.items() if name != "schema"}
        found = data.get("schema", SCHEMA)  # a report of before there were any names none
        if type(found) is not int or not 1 <= found <= SCHEMA:
            raise ValueError(f"its schema is {shown(found)}; known are those up to {SCHEMA}")
        return replace(rebuilt(cls, known), recorded_in=recorded_in)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the report as JSON; with a path, write it there too."""
        # Infinite errors (wrong shape, NaN against a number) have no JSON number.
        text = as_json(self.to_dict())
        if path is not None:
            write_atomically(path, (text + "\n").encode())
        return text

    def to_markdown(self) -> str:
        """Return the report as a Markdown page."""
        recorded = " (as recorded, not verified here)" if self.recorded_in else ""
        rows = [f"| {' | '.join(map(escape, row.cells()))} |" for row in self.kinds]
        return "\n".join(
            [
                f"# Equivalence: {'passed' if self.passed else 'FAILED'}{recorded}",
                "",
                escape(self.verdict()),
                "",
                "| op kind | nodes | rule | action | worst relative error |",
                "|---|---|---|---|---|",
                *rows,
                "",
                escape(_KINDS),
                *(_spiking_markdown(self.spiking) if self.spiking else []),
                *(
                    ["", "Notes:", ""] + [f"- {escape(n)}" for n in self.notes]
                    if self.notes
                    else []
                ),
                "",
            ]
        )

    def verdict(self) -> str:
        """Return the result as a sentence."""
        if not self.recorded_in:
            return self._found()
        return (
            f"as recorded in the file {shown(self.recorded_in)}, not verified here (verify again "
            f"with snnconvert.verify(model, snn)): {self._found()}"
        )

    def _found(self) -> str:
        last = (
            ""
            if self.source_rel_error is None
            else f"; against the source model at the last step {self.source_rel_error:.1e}"
        )
        signed, kept = "signed increments", "increments (inputs keep their signs)"
        increments = kept if self.keeps_signs else signed
        compared = (
            f"{self.time_steps} steps of random {increments} in {self.dtype}, "
            f"{len(self.leaves)} output{'s' if len(self.leaves) != 1 else ''}: "
            f"worst relative error {self.max_rel_error:.1e}{last} (tolerance {self.tolerance:.0e})"
        )
        if self.spiking is not None:
            compared = f"without spikes, {compared}; {self._spiking_verdict(self.spiking)}"
        if self.on_data is not None and not self.on_data.passed:
            compared = f"{compared}; {self.on_data.sentence()}"
        if self.passed:
            return f"equivalent: {compared}"
        if self.to_be_trained:
            several = len(self.to_be_trained) != 1
            return (
                f"NOT equivalent: a starting point for training, as {', '.join(self.to_be_trained)}"
                f" compute{'' if several else 's'} something else than the source until "
                f"{'they are' if several else 'it is'} trained; {compared}"
            )
        if self.first_failure:
            return (
                f"NOT equivalent: {compared}; the first node out of tolerance is "
                f"'{self.first_failure}' ({self.first_failure_at}); later nodes inherit its error"
            )
        if self.max_rel_error <= self.tolerance:
            return f"NOT equivalent: {compared}"
        if max((leaf.max_rel_error for leaf in self.leaves), default=0.0) <= self.tolerance:
            return (
                f"NOT equivalent: {compared}; the conversion equals its trace, but the model "
                "itself answers otherwise (it takes another path when it is traced, or its weights "
                "are others)"
            )
        return f"NOT equivalent: {compared}; no single node is out of tolerance"

    def _spiking_verdict(self, spiking: SpikingReport) -> str:
        last = spiking.steps[-1]
        tables = spiking.tables_error
        alone = "" if tables is None else f"with tables alone, relative error {tables:.2g}; "
        dtype = f" in {spiking.dtype}" if spiking.dtype else ""
        agreement = "" if last.top1 is None else f", {last.top1:.2%} of predictions the source's"
        bits = f" of {spiking.bits_per_spike:.1f} bits" if spiking.bits_per_spike else ""
        return (
            f"{alone}with spikes (degree {spiking.degree}){dtype}, at T={last.step}, "
            f"K={spiking.latency.bursts} on {spiking.said_of_samples()}: relative error "
            f"{last.rel_error:.2g} (tolerance {self.spiking_tolerance:g}){agreement}, "
            f"{spiking.spikes_per_value:.3g} spikes per value{bits}"
        )

    def paragraphs(self) -> tuple[Paragraph, ...]:
        """Return the report for a person: op kinds, every step with spikes, verdict and notes."""
        spiking: tuple[Paragraph, ...] = ()
        if self.spiking is not None:
            # Every step, and what the sites and layers come to.
            steps, sentences = steps_of(self.spiking), self.spiking.sentences()
            costs = [Paragraph(x.table) for x in short_cost_tables(self.spiking)]
            spiking = (Paragraph(steps), *costs, Paragraph(sentences=(*sentences, _MORE)))
        return (_kinds(self.kinds), *spiking, _concluded(self.verdict(), self.notes))

    def __str__(self) -> str:
        return as_text(self.paragraphs())


_MORE = (
    "each layer's error and cost and each neuron's rate: snn.report.spiking.layers, .ledger and "
    ".sites in Python, "
    "--report F.md from the command line"
)


def kind_rows(conversion: Conversion, errors: Mapping[str, float]) -> tuple[KindRow, ...]:
    """Group the nodes of a conversion by op kind, rule and action (arguments as `node_rows`)."""
    groups: dict[tuple[str, str, str], list[float | None]] = {}
    for node in node_rows(conversion, errors):
        key = (node.kind, node.rule or "(none)", node.action)
        groups.setdefault(key, []).append(node.max_rel_error)
    return tuple(
        KindRow(
            kind, len(found), rule, action, max((e for e in found if e is not None), default=None)
        )
        for (kind, rule, action), found in sorted(groups.items())
    )


def describe_node(decisions: Sequence[Decision], name: str) -> str:
    """Say of a node which op kind it is, where it stands, and which rule took it."""
    for decision in decisions:
        operation = decision.operation
        if operation.name == name:
            return f"{operation.kind} at {operation.place}, {decision.reason}"
    return "no operation of its own"


def to_be_trained(tree: nn.Module) -> tuple[str, ...]:
    """Name the modules of classes that say so of themselves."""
    return tuple(
        f"{path or 'the model'} ({type(module).__name__})"
        for path, module in tree.named_modules()
        if getattr(module, "to_be_trained", False)
    )


def unverified(kinds: Sequence[KindRow], notes: Sequence[str] = ()) -> tuple[Paragraph, ...]:
    """Return what is said of a conversion that was not verified."""
    return _kinds(kinds), _concluded("not verified", notes)


def escape(text: str) -> str:
    """Make text of a model or rule file harmless in Markdown and HTML."""
    for character, harmless in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        text = text.replace(character, harmless)
    return text.replace("\n", " ")


_KINDS = (
    "worst relative error: of the cumulative values of these nodes, at any step, without spikes; "
    "zero where the conversion computes them by the source's own operators on the same numbers. -: "
    "nodes that are not compared by themselves, as they only move, scale or add what arrives and "
    "act on increments as they are, or were absorbed or taken apart; what follows them is compared."
)


def _kinds(kinds: Sequence[KindRow]) -> Paragraph:
    header = ("op kind", "nodes", "rule", "action", "worst rel. error")
    return Paragraph((header, [row.cells() for row in kinds]))


def _concluded(verdict: str, notes: Sequence[str]) -> Paragraph:
    return Paragraph(sentences=(verdict, *(f"note: {note}" for note in notes)))


def _spiking_markdown(spiking: SpikingReport) -> list[str]:
    lines = ["", "## With spikes", "", *(f"- {escape(line)}" for line in spiking.sentences())]
    for explained in tables_of(spiking):
        header, rows = explained.table
        lines += ["", f"### {explained.title}", ""]
        lines += ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
        lines += ["| " + " | ".join(map(escape, row)) + " |" for row in rows]
        lines += ["", escape(explained.columns)] if explained.columns else []
    return lines
