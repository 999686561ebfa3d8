from __future__ import annotations

import time
from typing import Any

import pytest

from snnconvert.rules import Operation, Plan, load_rules, match, parse_rules

LINEAR = "torch.nn.modules.linear.Linear"
ATTENTION = "timm.layers.attention.Attention"
MHA = "torch.nn.modules.activation.MultiheadAttention"


def operation(kind: str = "linear", path: str = "head", **changed: Any) -> Operation:
    values: dict[str, Any] = {
        "name": path.replace(".", "_"),
        "module": LINEAR,
        "within": ("mine.Net", LINEAR),
        "facts": {"in_features": 64, "out_features": 10},
        **changed,
    }
    return Operation(kind=kind, path=path, **values)


def plan(*rows: str, on: list[Operation]) -> Plan:
    text = "version: 1\nrules:\n" + "\n".join(f"- {{{row}}}" for row in rows)
    return match(parse_rules(text), on)


def taken(criteria: str, node: Operation) -> bool:
    result = plan(f"name: a, match: {{{criteria}}}, action: td", on=[node])
    return result.decisions[0].rule is not None


@pytest.mark.parametrize(
    "criteria",
    [
        'op: "*"',
        "op: linear",
        "op: [conv, linear]",
        "path: blocks.*",
        "path: [head, '*.qkv']",
        "module: Linear",
        "module: '*.Linear'",
        "module: Lin*",
        "within: Attention",
        "within: '*.Attention'",
        "within: 'timm.*'",
        "within: Linear",  # its own module encloses it too
        "where: {in_features: 64}",
        "where: {in_features: '>= 64', out_features: [3, 10]}",
        "where: {in_features: ['< 3', '> 60']}",
        "op: linear, path: blocks*, module: Linear, within: Net, where: {in_features: 64}",
    ],
)
def test_a_rule_takes_what_meets_all_its_keys(criteria: str) -> None:
    node = operation(path="blocks.0.attn.qkv", within=("mine.Net", ATTENTION, LINEAR))
    assert taken(criteria, node)


@pytest.mark.parametrize(
    "criteria",
    [
        "op: conv",
        "path: head",
        "path: qkv",
        "module: linear",
        "module: '*.linear'",
        "module: torch.nn.Linear",  # neither the qualified nor the bare name
        "module: Net",
        "within: Conv2d",
        "within: '*.Conv2d'",
        "where: {in_features: 63}",
        "where: {missing: 1}",
        "where: {missing: '!= 1'}",
        "where: {in_features: 64, out_features: 11}",
        "op: linear, path: head",
    ],
)
def test_a_rule_leaves_what_fails_one_key(criteria: str) -> None:
    node = operation(path="blocks.0.attn.qkv", within=("mine.Net", ATTENTION, LINEAR))
    assert not taken(criteria, node)


def test_the_kind_of_a_region_takes_all_that_stands_in_it() -> None:
    inside = operation("softmax", "attn", within=("mine.Net", MHA))
    assert taken("op: multihead_attention", inside)
    assert not taken("op: multihead_attention", operation("softmax"))


def test_the_root_has_the_empty_path() -> None:
    assert taken('path: "*"', operation(path=""))
    assert not taken('path: "?*"', operation(path=""))


def test_first_match_wins_and_is_the_reason() -> None:
    result = plan(
        "name: a, match: {path: head*}, action: keep",
        "name: b, match: {op: '*'}, action: td",
        on=[operation(path="head"), operation(path="body")],
    )
    assert [d.action for d in result.decisions] == ["keep", "td"]
    assert [d.reason for d in result.decisions] == [
        "rule 'a' (<string>:3)",
        "rule 'b' (<string>:4)",
    ]
    assert result.unused == ()


def test_nodes_of_one_place_are_told_apart_by_their_facts() -> None:
    result = plan(
        "name: a, match: {where: {in_features: '>= 64'}}, action: keep",
        "name: b, match: {where: {in_features: '< 32'}}, action: encode",
        "name: c, match: {op: '*'}, action: td",
        on=[operation(facts={"in_features": n}) for n in (64, 16, 48)],
    )
    assert [d.action for d in result.decisions] == ["keep", "encode", "td"]


@pytest.mark.parametrize(
    ("criteria", "one", "other"),
    [
        ("op: linear", {"kind": "linear"}, {"kind": "gelu"}),
        ("path: a", {"path": "a"}, {"path": "b"}),
        ("module: A", {"module": "x.A"}, {"module": "x.B"}),
        ("within: A", {"within": ("x.A",)}, {"within": ("x.B",)}),
        ("where: {n: 1}", {"facts": {"n": 1}}, {"facts": {"n": 2}}),
    ],
)
def test_nodes_that_differ_in_one_thing_are_told_apart(
    criteria: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    nodes = [operation(**one), operation(**other), operation(**one)]
    result = plan(f"name: a, match: {{{criteria}}}, action: keep", on=nodes)
    assert [d.action for d in result.decisions] == ["keep", "td", "keep"]


def test_the_default_rules_encode_held_token_ids_only() -> None:
    held = operation("embedding", "wte", facts={"index": "held"})
    static = operation("embedding", "wpe", facts={"index": "static"})
    result = match(load_rules("default"), [held, static, operation()])
    assert [d.action for d in result.decisions] == ["encode", "td", "td"]


def test_what_no_rule_takes_is_td() -> None:
    decision = plan("name: a, match: {op: conv}, action: keep", on=[operation()]).decisions[0]
    assert decision.rule is None
    assert decision.action == "td"
    assert decision.reason == "no rule matches op kind 'linear' at 'head'"
    root = plan("name: a, match: {op: conv}, action: keep", on=[operation(path="")]).decisions[0]
    assert root.reason == "no rule matches op kind 'linear' at the root"


@pytest.mark.parametrize(
    ("criteria", "lack"),
    [
        ("op: linear, path: 'blocks.*'", "path 'head' does not match 'blocks.*'"),
        ("path: [a, b]", "path 'head' does not match 'a' or 'b'"),
        ("module: Conv2d", f"module {LINEAR} does not match 'Conv2d'"),
        (
            "op: '*', within: '*.Attention'",
            f"no enclosing module matches '*.Attention' (mine.Net > {LINEAR})",
        ),
        ("where: {in_features: '>= 65'}", "in_features is 64, not '>= 65'"),
        ("where: {in_features: [1, true]}", "in_features is 64, not 1 or true"),
        (
            "op: linear, where: {bias: 64}",
            "it has no fact 'bias' (it has in_features, out_features)",
        ),
    ],
)
def test_a_near_miss_says_what_failed(criteria: str, lack: str) -> None:
    result = plan(f"name: a, match: {{{criteria}}}, action: td", on=[operation()])
    reason = result.decisions[0].reason
    assert reason == f"no rule matches op kind 'linear' at 'head' (rule 'a' (<string>:3): {lack})"


def test_many_near_misses_are_counted() -> None:
    rows = [f"name: r{n}, match: {{path: p{n}}}, action: td" for n in range(10)]
    reason = plan(*rows, on=[operation()]).decisions[0].reason
    assert "rule 'r2'" in reason
    assert "rule 'r3'" not in reason
    assert reason.endswith("; and 7 more)")


@pytest.mark.parametrize(
    ("criteria", "why"),
    [
        ("op: [lstm, gru]", "no operation is of op kind 'lstm' or 'gru'; there are conv, linear"),
        ("path: tail", "no path matches 'tail'; there are 'conv1', 'head'"),
        (
            "op: linear, path: conv*",
            "of 1 that it could take, no path matches 'conv*'; there are 'head'",
        ),
        ("module: Conv2d", f"no module matches 'Conv2d'; there are {LINEAR}"),
        ("within: Block", f"no enclosing module matches 'Block'; there are mine.Net, {LINEAR}"),
        (
            "where: {in_feature: 64}",
            "none has a fact 'in_feature'; did you mean 'in_features'? there are in_features, "
            "kernel_size, out_features",
        ),
        (
            "where: {in_features: 3}",
            "none has in_features 3; there are 64",
        ),
        (
            "where: {kernel_size: '> 3'}",
            "none has kernel_size '> 3'; there are [3, 3]",
        ),
    ],
)
def test_a_rule_that_matches_nothing_says_why(criteria: str, why: str) -> None:
    nodes = [operation(), operation("conv", "conv1", facts={"kernel_size": (3, 3)})]
    result = plan(f"name: a, match: {{{criteria}}}, action: td", on=nodes)
    assert [rule.name for rule in result.unused] == ["a"]
    assert result.explain_unused() == (f"rule 'a' (<string>:3) matches nothing: {why}",)


def test_a_rule_behind_others_says_who_was_first() -> None:
    nodes = [operation(path=path) for path in ("a.0", "a.1", "b.0")]
    result = plan(
        "name: a, match: {path: a.*}, action: td",
        "name: b, match: {path: b.*}, action: td",
        "name: all, match: {op: linear}, action: keep",
        "name: one, match: {path: b.0}, action: keep",
        on=nodes,
    )
    assert [rule.name for rule in result.unused] == ["all", "one"]
    assert result.explain_unused() == (
        "rule 'all' (<string>:5) takes nothing: all 3 operations that it matches went to earlier "
        "rules: 'a' (2), 'b' (1)",
        "rule 'one' (<string>:6) takes nothing: the one operation that it matches went to earlier "
        "rules: 'b' (1)",
    )


def test_no_operations_leave_all_rules_unused() -> None:
    result = plan("name: a, match: {op: linear}, action: td", on=[])
    assert result.decisions == ()
    assert result.explain_unused() == (
        "rule 'a' (<string>:3) matches nothing: the network has no operations",
    )


def test_matching_is_fast_where_every_rule_is_tried_everywhere() -> None:
    rows = [
        f"name: r{n}, match: {{op: [linear, conv], path: ['blocks.{n}.*q*z', 'x*.{n}'], "
        f"where: {{in_features: '>= {n}'}}}}, action: td"
        for n in range(50)
    ]
    nodes = [operation(("linear", "conv", "add")[n % 3], f"blocks.{n}.qkv") for n in range(30_000)]
    start = time.process_time()
    result = plan(*rows, on=nodes)
    assert time.process_time() - start < 3  # 0.5 s on an idle core
    assert len(result.unused) == 50
