"""Rule files: what they may hold, how they are loaded, and which rule takes which operation."""

from snnconvert.rules.files import bundled_rules, read_bundled
from snnconvert.rules.load import load_rules, parse_rules
from snnconvert.rules.match import UNMATCHED_ACTION, Decision, Operation, Plan, match, plan_of
from snnconvert.rules.neuron import NeuronSettings, NeuronSpec, ThresholdSpec
from snnconvert.rules.rule_set import Rule, RuleSet
from snnconvert.rules.schema import ACTIONS, SPIKING_ACTIONS, Match, rule_schema

__all__ = [
    "ACTIONS",
    "SPIKING_ACTIONS",
    "UNMATCHED_ACTION",
    "Decision",
    "Match",
    "NeuronSettings",
    "NeuronSpec",
    "Operation",
    "Plan",
    "Rule",
    "RuleSet",
    "ThresholdSpec",
    "bundled_rules",
    "load_rules",
    "match",
    "parse_rules",
    "plan_of",
    "read_bundled",
    "rule_schema",
]
