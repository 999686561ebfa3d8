"""The search of `tune`: what each neuron adds and costs by each choice, and mixtures of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from torch import nn

from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.costs.ledger import summed
from snnconvert.costs.models import load_costs
from snnconvert.costs.operations import JOINS, OPERATIONS, PAYLOAD, SPIKES
from snnconvert.errors import InputError
from snnconvert.ops.neurons import Neuron
from snnconvert.progress import bar
from snnconvert.rules import SPIKING_ACTIONS, Rule
from snnconvert.rules.neuron import NeuronSpec
from snnconvert.rules.schema import Match
from snnconvert.tuning.choices import CHOICES, Choice, has_choices
from snnconvert.tuning.sites import Counted, PartlySpiking

_TRIALS = 12  # of mixtures, each twice as near to the bound as the one before

Place: TypeAlias = tuple[str, str]
"""What one rule can name: operations of one kind at one module path."""
Group: TypeAlias = tuple[Place, ...]
"""Places that share neurons, which so are chosen together."""
Chosen: TypeAlias = Mapping[Group, Choice]


@dataclass(frozen=True)
class Option:
    """A choice for a group of neurons: what it adds to the squared error, and costs."""

    choice: Choice | None
    error: float
    cost: float


class Search:
    """What each neuron adds and costs by each choice, and mixtures of them."""

    def __init__(
        self, snn: ConvertedModule, data: list[Any], cost: str, read: Mapping[str, Any]
    ) -> None:
        self.snn, self.cost = snn, cost
        sites = snn.conversion.sited.sites
        fitted = snn.conversion.calibration.fitted
        self.fitted = {path: fitted[sites[n].name] for n, path in snn.conversion.neurons.items()}
        operations = {d.operation.name: d for d in snn.conversion.decided.plan.decisions}
        if not any(map(has_choices, self.fitted.values())):
            raise InputError(
                "the rules place no neuron whose levels and answers can be chosen; begin with "
                "rules that do (rules='spiking')"
            )
        self.run = PartlySpiking(snn, data, None, read["output"], read["classes"])
        self.report = measure_spiking(snn, data, **read)
        self.rules_at: dict[Place, Rule] = {}
        served: dict[Place, dict[str, None]] = {}  # neurons, in order
        for row in self.report.ledger:
            decision = operations.get(row.layer)
            if decision is None or decision.rule is None or row.site not in self.fitted:
                continue
            if decision.action in SPIKING_ACTIONS and has_choices(self.fitted[row.site]):
                place = decision.operation.path, decision.operation.kind
                served.setdefault(place, {})[row.site] = None
                self.rules_at[place] = decision.rule
        self.groups = _together(served)
        if self.report.steps[-1].top1 is None:
            raise InputError("no output has classes, so there are no predictions to keep")
        self.runs = 1

    def found(self, keep: float, caution: float, budget: int | None, progress: bool) -> Chosen:
        """Return the cheapest mixture that keeps so many predictions; without a choice for a group,
        its neurons stay as they are."""
        self.options = options = self._options(budget, progress)

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
            if self._agreement(tried, caution) >= keep:
                low, best = price, tried
            else:
                high = price
        return best

    def _options(self, budget: int | None, progress: bool) -> dict[Group, list[Option]]:
        choices = CHOICES
        paths = [path for group in self.groups.values() for path in group]
        if budget is not None:
            number = max(1, budget // max(len(paths), 1) - 1)
            every = max(1, math.ceil(len(choices) / number))
            choices = choices[::every]
        alone: dict[str, list[tuple[float, float]]] = {}
        for path in bar(paths, "neurons", show=progress):
            own = [self._alone(path, None), *(self._alone(path, choice) for choice in choices)]
            scale = max(own[0][1], 1e-30)
            costs = [
                self._cost(path, choice, spikes / scale)
                for choice, (_, spikes) in zip((None, *choices), own, strict=True)
            ]
            alone[path] = [(e, c) for (e, _), c in zip(own, costs, strict=True)]
        total = sum(found[0][1] for found in alone.values()) or 1.0
        return {
            group: [
                Option(
                    choice,
                    sum(alone[path][i][0] ** 2 for path in paths),
                    sum(alone[path][i][1] for path in paths) / total,
                )
                for i, choice in enumerate((None, *choices))
            ]
            for group, paths in self.groups.items()
        }

    def _alone(self, path: str, choice: Choice | None) -> tuple[float, float]:
        """Return the error that a neuron adds by itself, and its spikes."""
        neuron = Counted(self._neuron(path, choice))
        self.runs += 1
        return self.run.closeness({path: neuron}).rel_error, neuron.spikes

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
        if self.cost == "energy":
            return load_costs("arithmetic").energy(scaled)
        if self.cost == "spikes":
            return scaled.get(SPIKES, 0.0)
        bits = math.log2(after.spikes or 1) / max(math.log2(before.spikes or 2), 1e-9)
        return scaled.get(PAYLOAD, 0.0) * bits

    def _agreement(self, chosen: Chosen, caution: float) -> float:
        neurons: dict[str, nn.Module] = dict(self.run.neurons)
        for group, choice in chosen.items():
            neurons |= {path: self._neuron(path, choice) for path in self.groups[group]}
        self.runs += 1
        return self.run.closeness(neurons, caution).top1 or 0.0

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
            spec = {} if choice is None else asdict(self._beside(choice, neurons))
            own = NeuronSpec.model_validate({"type": "multi_threshold", **spec} if spec else {})
            where = {"op": (kind,), **({"path": (path,)} if path else {})}
            match = Match.model_validate({**rule.match.model_dump(exclude_defaults=True), **where})
            neuron, name = own.over(rule.neuron), name_of(place)
            made = replace(rule, name=name, match=match, neuron=neuron, origin="", bundled=False)
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
            what = "as before" if choice is None else str(self._beside(choice, neurons))
            said = (
                f"{what}: adds {error:.2g} to the outputs by itself (before: "
                f"{math.sqrt(before.error):.2g}); costs {own.cost:.1%} of what all did before "
                f"(before: {before.cost:.1%})"
            )
            found |= {name_of(place): said for place in group}
        return found


def _together(served: Mapping[Place, Iterable[str]]) -> dict[Group, list[str]]:
    """Return the neurons of places, of those that share any together."""
    groups: list[tuple[list[Place], dict[str, None]]] = []
    for place, paths in served.items():
        own = dict.fromkeys(paths)
        shared = [group for group in groups if group[1].keys() & own.keys()]
        groups = [group for group in groups if group not in shared]
        places = [p for group in shared for p in group[0]]
        groups.append(([*places, place], {k: None for g in shared for k in g[1]} | own))
    return {tuple(places): list(paths) for places, paths in groups}


def name_of(place: Place) -> str:
    """Return the name of the rule of a place."""
    path, kind = place
    return f"tuned: {kind} at {path or 'the root'}"
