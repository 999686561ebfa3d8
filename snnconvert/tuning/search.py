"""The search of `tune`: what each neuron adds and costs by each choice, and mixtures of them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from torch import nn

from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.costs.ledger import summed
from snnconvert.costs.models import load_costs
from snnconvert.costs.operations import JOINS, OPERATIONS, PAYLOAD, SPIKES
from snnconvert.errors import InputError
from snnconvert.ops.neurons import Neuron
from snnconvert.progress import bar
from snnconvert.rules import SPIKING_ACTIONS, Rule
from snnconvert.rules.globs import MAX_LENGTH
from snnconvert.rules.neuron import LEFT_OPEN, NeuronSpec
from snnconvert.rules.schema import Match
from snnconvert.tuning.choices import CHOICES, EXACT, PROBE, Choice, Exact, has_choices
from snnconvert.tuning.groups import Group, Place, name_of, together
from snnconvert.tuning.journal import TuningJournal
from snnconvert.tuning.sites import PartlySpiking, Survey
from snnconvert.tuning.wanted import Wanted
from snnconvert.wording import shown

_TRIALS = 12  # of mixtures, each twice as near to the bound as the one before
_ENOUGH = 64  # predictions on which neurons are seen by themselves; mixtures are of all
_FLOAT = 32  # bits
_TRIED: tuple[Choice | None, ...] = (None, *CHOICES)
"""What is seen of each neuron: as it is, and by each choice."""

Chosen: TypeAlias = Mapping[Group, Choice | Exact]


@dataclass(frozen=True)
class Option:
    """A choice for a group of neurons: what it adds to the squared error, and costs."""

    choice: Choice | Exact | None
    error: float
    cost: float


class Search:
    """What each neuron adds and costs by each choice, and mixtures of them.

    Args:
        snn: the conversion by the rules to begin with.
        data: batches to choose on.
        wanted: what is asked for.
        journal: of runs; they are told apart by what begins with ``T``.
    """

    def __init__(
        self, snn: ConvertedModule, data: list[Any], wanted: Wanted, journal: TuningJournal
    ) -> None:
        self.snn, self.wanted, self.journal = snn, wanted, journal
        sites = snn.conversion.sited.sites
        fitted = snn.conversion.calibration.fitted
        self.fitted = {path: fitted[sites[n].name] for n, path in snn.conversion.neurons.items()}
        if not any(map(has_choices, self.fitted.values())):
            raise InputError(
                "the rules place no neuron whose levels and answers can be chosen; begin with "
                "rules that do (rules='spiking')"
            )
        self.run = PartlySpiking(snn, data, None, wanted.output, wanted.classes)
        self.report = measure_spiking(
            snn, data, output=wanted.output, classes=wanted.classes, twins=False
        )
        if self.report.steps[-1].top1 is None:
            raise InputError("no output has classes, so there are no predictions to keep")
        self.rules_at: dict[Place, Rule] = {}
        self.layers: dict[Place, dict[str, None]] = {}
        self.groups = together(self._served())
        seen = itertools.accumulate(self.run.predictions)
        self.few = 1 + sum(number < _ENOUGH for number in seen)
        self.runs = 1

    def _served(self) -> dict[Place, dict[str, None]]:
        """Return the neurons of each place, in order."""
        served: dict[Place, dict[str, None]] = {}
        operations = {d.operation.name: d for d in self.snn.conversion.decided.plan.decisions}
        for row in self.report.ledger:
            decision = operations.get(row.layer)
            if decision is None or decision.rule is None or row.site not in self.fitted:
                continue
            if decision.action in SPIKING_ACTIONS and has_choices(self.fitted[row.site]):
                place = decision.operation.path, decision.operation.kind
                if len(place[0]) > MAX_LENGTH:
                    said = f"{shown(place[0])} has more than {MAX_LENGTH} characters"
                    raise InputError(f"the path {said}, so that no rule can name it")
                served.setdefault(place, {})[row.site] = None
                self.layers.setdefault(place, {})[row.layer] = None
                self.rules_at[place] = decision.rule
        return served

    def found(self, progress: bool) -> Chosen:
        """Return the cheapest mixture that keeps the predictions; without a choice for a group,
        its neurons stay as they are."""
        self._survey()
        for path in bar(self.errors, "neurons", show=progress):
            self._weigh(path, PROBE)
        first = self._cheapest(progress)
        # What a neuron adds is not quite as its error: those that add most are looked at again.
        own = {
            path: choice
            for group, choice in first.items()
            if isinstance(choice, Choice)
            for path in self.groups[group]
        }
        most = sorted(own, key=lambda path: -self._added(path, own[path]))
        budget = self.wanted.budget
        left = None if budget is None else max(0, budget - len(self.errors))
        for path in bar(most[:left], "neurons as chosen", show=progress):
            self._weigh(path, own[path])
        # Few predictions flip by chance, so the later one may be dearer, or none.
        last = self._cheapest(progress)
        return min(first, last, key=self._share)

    def _share(self, chosen: Chosen) -> float:
        """Return what neurons cost by a mixture, of what they did before."""
        costs = (
            next(o.cost for o in own if o.choice == chosen.get(group))
            for group, own in self.options.items()
        )
        return sum(costs)

    def _survey(self) -> None:
        """See how near each choice comes for each neuron, all others exact, in one run."""
        paths = [path for group in self.groups.values() for path in group]

        def run() -> list[list[float]]:
            seen = {
                path: Survey(
                    self.run.exact[path],
                    [self._neuron(path, choice) for choice in _TRIED],
                    self.run.steps,
                )
                for path in paths
            }
            self.run.closeness(seen, batches=self.few)
            return [x for path in paths for x in (seen[path].errors, seen[path].spikes)]

        self.runs += 1
        shape = 2 * len(paths), len(_TRIED)
        found = self.journal.recalled(f"T={self.run.steps} survey", run, *shape)
        self.errors = dict(zip(paths, found[0::2], strict=True))
        self.spikes = dict(zip(paths, found[1::2], strict=True))
        self.weights = dict.fromkeys(paths, 0.0)

    def _weigh(self, path: str, choice: Choice) -> None:
        """Measure how much of the outputs' squared error a neuron's own becomes, by one choice."""
        errors = self.errors[path]
        at = _TRIED.index(choice)
        if not errors[at]:
            at = max(range(len(_TRIED)), key=lambda i: errors[i])
        if not errors[at]:
            return

        def run() -> float:
            alone = {path: self._neuron(path, _TRIED[at])}
            return self.run.closeness(alone, batches=self.few).rel_error

        self.runs += 1
        error = self.journal.recalled(f"T={self.run.steps} {path}: {_TRIED[at]}", run)
        self.weights[path] = error * error / errors[at]  # which may be infinite

    def _added(self, path: str, choice: Choice | None) -> float:
        """Return what a neuron adds to the squared error of the outputs by itself."""
        error = self.errors[path][_TRIED.index(choice)]
        return error * self.weights[path] if error else 0.0

    def _cheapest(self, progress: bool) -> Chosen:
        self.options = options = self._options()

        def mixture(price: float) -> Chosen:
            best = {
                group: min(own, key=lambda o: o.error + price * o.cost)
                for group, own in options.items()
            }
            return {group: o.choice for group, o in best.items() if o.choice is not None}

        # Of the prices at which the choice of any group changes, between all and none.
        low, high = 1e-12, 1e3 * max(o.error for found in options.values() for o in found) or 1.0
        best: Chosen = {}
        for _ in bar(range(_TRIALS), "mixtures", show=progress):
            price = math.sqrt(low * high)
            tried = mixture(price)
            if self._agreement(tried) >= self.wanted.keep:
                low, best = price, tried
            else:
                high = price
        return best

    def _options(self) -> dict[Group, list[Option]]:
        costs: dict[str, list[float]] = {}
        for path, spikes in self.spikes.items():
            scale = max(spikes[0], 1e-30)
            costs[path] = [
                self._cost(path, choice, own / scale)
                for choice, own in zip(_TRIED, spikes, strict=True)
            ]
        total = sum(found[0] for found in costs.values()) or 1.0
        found: dict[Group, list[Option]] = {}
        for group, paths in self.groups.items():
            found[group] = [
                Option(
                    choice,
                    sum(self._added(path, choice) for path in paths),
                    sum(costs[path][i] for path in paths) / total,
                )
                for i, choice in enumerate(_TRIED)
            ]
            if self.wanted.exact:
                found[group].append(Option(EXACT, 0.0, self._cost_in_floats(group) / total))
        return found

    def _cost_in_floats(self, group: Group) -> float:
        """Return what the layers of a group cost without neurons; bits are those of floats that
        stand for what neurons would say."""
        if self.wanted.cost == "bits":
            values = {site.name: site.values for site in self.report.sites}
            return float(_FLOAT * sum(values[path] for path in self.groups[group]))
        layers = {name for place in group for name in self.layers[place]}
        rows = (row for row in self.report.source_ledger if row.layer in layers)
        return load_costs("arithmetic").energy(summed(rows))

    def spent(self, chosen: Chosen, report: SpikingReport) -> float:
        """Return what is made small of a network by a mixture, for a sample, by its report."""
        if self.wanted.cost == "energy":
            return report.work.energy(load_costs("arithmetic"))
        if self.wanted.cost == "spikes":
            return report.work.operations[SPIKES]
        # What exact layers receive are floats, whose bits no neuron says.
        floats = [self._cost_in_floats(g) for g, c in chosen.items() if isinstance(c, Exact)]
        return report.work.operations[PAYLOAD] + sum(floats)

    def _neuron(self, path: str, choice: Choice | None) -> Neuron:
        fitted = self.fitted[path]
        made = (fitted if choice is None else choice.of(fitted)).neuron()
        like = self.run.neurons[path]
        reference = next(iter(like.buffers()))
        return made.to(device=reference.device, dtype=reference.dtype)

    def _cost(self, path: str, choice: Choice | None, share: float) -> float:
        """Return what a neuron and its spikes cost, from what they cost as they are.

        Args:
            path: of the neuron.
            choice: another one in its place.
            share: its spikes, of those that it has as it is.
        """
        operations = summed(row for row in self.report.ledger if row.site == path)
        before, after = self.fitted[path].neuron().alphabet, self._neuron(path, choice).alphabet
        joins = after.joins / before.joins if before.joins else 1.0
        scaled = {
            kind: number
            * (joins if kind == JOINS else share if OPERATIONS[kind].by_spikes else 1.0)
            for kind, number in operations.items()
        }
        if self.wanted.cost == "energy":
            return load_costs("arithmetic").energy(scaled)
        if self.wanted.cost == "spikes":
            return scaled.get(SPIKES, 0.0)
        bits = math.log2(after.spikes or 1) / max(math.log2(before.spikes or 2), 1e-9)
        return scaled.get(PAYLOAD, 0.0) * bits

    def _agreement(self, chosen: Chosen) -> float:
        def run() -> float:
            neurons: dict[str, nn.Module] = dict(self.run.neurons)
            for group, choice in chosen.items():
                for path in self.groups[group]:
                    if isinstance(choice, Exact):
                        del neurons[path]
                    else:
                        neurons[path] = self._neuron(path, choice)
            return self.run.closeness(neurons, self.wanted.caution).top1 or 0.0

        self.runs += 1
        told = {name_of(group[0]): str(choice) for group, choice in chosen.items()}
        return self.journal.recalled(
            f"T={self.run.steps} errors times {self.wanted.caution:g}: {json.dumps(told)}", run
        )

    def rules(self, chosen: Chosen) -> list[tuple[Rule, Rule]]:
        """Return rules that place the neurons that were chosen, each after the rule that placed
        them: what it takes is some of what that takes.

        Those of modules are before those of the root, which a rule matches by what it matched by
        alone.
        """
        found = []
        groups = {place: group for group in self.groups for place in group}
        for place in sorted(groups, key=lambda place: (not place[0], place)):
            (path, kind), rule, neurons = place, self.rules_at[place], self.groups[groups[place]]
            choice = chosen.get(groups[place])
            where = {"op": (kind,), **({"path": (path,)} if path else {})}
            match = Match.model_validate({**rule.match.model_dump(exclude_defaults=True), **where})
            made = replace(rule, name=name_of(place), match=match, origin="", bundled=False)
            if isinstance(choice, Exact):
                made = replace(made, action="td", neuron=LEFT_OPEN, target=None)
            elif choice is not None:
                spec = asdict(self._beside(choice, neurons))
                own = NeuronSpec.model_validate({"type": "multi_threshold", **spec})
                made = replace(made, neuron=own.over(rule.neuron))
            found.append((rule, made))
        return found

    def _beside(self, choice: Choice, neurons: list[str]) -> Choice:
        given: Any = [self.fitted[path].arguments for path in neurons]
        levels, each = (max(int(x[name]) for x in given) for name in ("levels", "per_octave"))
        return choice.beside(levels, each)

    def reasons(self, chosen: Chosen) -> dict[str, str]:
        """Return by the name of each rule that `rules` gives what its neurons add and cost."""
        found: dict[str, str] = {}
        for group, options in self.options.items():
            choice = chosen.get(group)
            own = next(o for o in options if o.choice == choice)
            before, error = options[0], math.sqrt(own.error)
            neurons = self.groups[group]
            what = "as before" if choice is None else str(choice)
            if isinstance(choice, Choice):
                what = str(self._beside(choice, neurons))
            said = (
                f"{what}: adds {error:.2g} to the outputs by itself (before: "
                f"{math.sqrt(before.error):.2g}); costs {own.cost:.1%} of what all did before "
                f"(before: {before.cost:.1%})"
            )
            found |= {name_of(place): said for place in group}
        return found
