"""Allowances of spikes: whether any neuron has something to choose within its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snnconvert.ops.neurons.options import AUTO
from snnconvert.rules.neuron import NeuronSettings, NeuronSpec, foreign_options, settings_of
from snnconvert.rules.rule_set import Rule
from snnconvert.rules.schema import SPIKING_ACTIONS
from snnconvert.wording import listed


def rates_without_effect(rules: Sequence[Rule], neuron: NeuronSpec) -> Iterator[str]:
    """Say which given rates bound nothing, as all is settled for the neurons that they are for.

    Args:
        rules: of a rule set.
        neuron: what the rule set says of all neurons.
    """
    given: dict[float, dict[Rule, NeuronSpec]] = {}
    for rule in rules:
        spec = rule.neuron.over(neuron)
        if rule.action in SPIKING_ACTIONS and spec.rate is not None:
            given.setdefault(spec.rate, {})[rule] = spec
    for rate, specs in given.items():
        if not any(map(_chooses, specs.values())):
            yield (
                f"'rate: {rate:g}' has no effect on the neurons of {listed(specs)}: it is what "
                "calibration chooses within, and they leave it nothing to choose; set levels, "
                "threshold.per or another key to auto, or leave the rate out"
            )


def _chooses(spec: NeuronSpec) -> bool:
    # Options that a type does not have are an error, which is told where the rule is used.
    return bool(foreign_options(spec)) or leaves_open(settings_of(spec))


def leaves_open(settings: NeuronSettings) -> bool:
    """Tell whether calibration has anything to choose of a neuron."""
    values = (settings.statistic, settings.rest, settings.per, *dict(settings.options).values())
    return AUTO in values
