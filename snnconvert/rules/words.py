"""What is said of the errors that only rule files have."""

from __future__ import annotations

from snnconvert.documents import Fault, Words
from snnconvert.ops.encoding import ENCODINGS
from snnconvert.rules.schema import ACTIONS, MAX_NAME, SPIKING_ACTIONS, TARGET_ACTIONS
from snnconvert.wording import listed, received, suggestion

_ALL = 200  # more than there are of what the package itself knows


def _unknown_encoding(fault: Fault) -> str:
    return fault.must_be(f"one of {listed(ENCODINGS)}")


def _unknown_kind(fault: Fault) -> str:
    names = fault.context["allowed"]
    if meant := fault.context["meant"]:
        return (
            f"{received(fault.value)} is no op kind: a graph has that operator as "
            f"{received(meant)}. Name that; path, module and where say which ones"
        )
    allowed = f'allowed: "*", {listed(names, _ALL)}, or the name of an ATen operator such as roll'
    close = suggestion(fault.value, names) or f"; {allowed}"
    return f"unknown op kind {received(fault.value)}{close}"


def _unknown_fact(fault: Fault) -> str:
    allowed = fault.context["allowed"]
    close = suggestion(fault.value, allowed, f"they may have {listed(allowed, _ALL)}")
    return f"no operation that 'op' names has a fact {received(fault.value)}{close}"


def _unknown_action(fault: Fault) -> str:
    allowed = (
        f"allowed: {listed(ACTIONS)}, or the dotted name of a class of your own, such as "
        "mypackage.MyOperator"
    )
    return f"unknown action {received(fault.value)}{suggestion(fault.value, ACTIONS, allowed)}"


def _unknown_operator(fault: Fault) -> str:
    allowed = fault.context["allowed"]
    said = suggestion(fault.value, allowed, f"there are {listed(allowed, _ALL)}")
    return f"action {received(fault.value)} is no operator class of snnconvert{said}"


def _neuron_without_use(fault: Fault) -> str:
    return (
        f"'neuron' is given, and action {received(fault.context['action'])} places none; "
        f"{listed(SPIKING_ACTIONS)} do"
    )


WORDS: Words = {
    "dict_type": lambda fault: fault.must_be("a mapping of fact names to conditions"),
    "unknown_encoding": _unknown_encoding,
    "unknown_kind": _unknown_kind,
    "unknown_fact": _unknown_fact,
    "unknown_action": _unknown_action,
    "unknown_operator": _unknown_operator,
    "action_not_allowed": lambda fault: fault.runs_code("action"),
    "bad_target": lambda fault: fault.must_be(
        "the dotted name of a function of one tensor, such as mypackage.functions.soft_exp"
    ),
    "target_not_allowed": lambda fault: fault.runs_code("target"),
    "target_without_use": lambda fault: (
        f"'target' is given, and action {received(fault.context['action'])} puts no neuron in the "
        f"place of a function; {listed(TARGET_ACTIONS)} do"
    ),
    "bad_name": lambda fault: fault.must_be(
        f"one line of printable text of 1 to {MAX_NAME} characters"
    ),
    "bad_glob": lambda fault: f"bad glob of {fault.label}: {fault.context['problem']}",
    "bad_condition": lambda fault: f"bad condition on {fault.label}: {fault.context['problem']}",
    "condition_type": lambda fault: fault.must_be(
        'a value, a comparison such as ">= 64", or a list of these'
    ),
    "empty_match": lambda fault: (
        'the match is empty; to take every operation, write match: {op: "*"}'
    ),
    "not_allowed": lambda fault: fault.must_be(fault.context["expected"]),
    "neuron_options": lambda fault: str(fault.context["problem"]),
    "neuron_without_use": _neuron_without_use,
    "no_rules": lambda fault: (
        "the file has no rules and extends no other; add rules, or 'extends: default'"
    ),
}
