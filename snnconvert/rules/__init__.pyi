from .files import bundled_rules, read_bundled
from .load import load_rules, parse_rules
from .match import (
    UNMATCHED_ACTION,
    Decision,
    Operation,
    Plan,
    is_module_of,
    match,
    plan_of,
)
from .neuron import NeuronSettings, NeuronSpec, TableSpec, ThresholdSpec
from .rates import leaves_open
from .rule_set import Rule, RuleSet
from .schema import ACTIONS, SPIKING_ACTIONS, Match, rule_schema

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
    "TableSpec",
    "ThresholdSpec",
    "bundled_rules",
    "is_module_of",
    "leaves_open",
    "load_rules",
    "match",
    "parse_rules",
    "plan_of",
    "read_bundled",
    "rule_schema",
]
