from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import torch

import snnconvert
from snnconvert.converter.reports.junit import Case, report_to_junit, to_junit
from tests.converter.conftest import TinyCNN
from tests.converter.reports.test_write import REPORT


def _suite(text):
    (suite,) = ElementTree.fromstring(text.encode())
    return suite


def test_cases_are_counted_by_what_became_of_them():
    kinds = ["", "failure", "failure", "error", "skipped"]
    suite = _suite(to_junit("all", [Case("g", str(i), "said", k) for i, k in enumerate(kinds)]))
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "2", "errors": "1", "skipped": "1"}
    assert [case[0].tag for case in suite] == ["system-out", *kinds[1:]]
    assert suite[1][0].get("message") == "said" and suite[0][0].text == "said"


def test_what_xml_has_no_place_for_is_escaped():
    suite = _suite(to_junit("s", [Case("<a&'\"", "\x00\x1b]]>", "\ud800\n<b>", seconds=1.25)]))
    (case,) = suite
    assert case.get("classname") == "<a&'\"" and case.get("name") == r"\x00\x1b]]>"
    assert case[0].text == r"\ud800\n<b>" and case.get("time") == "1.250"


def test_a_report_is_a_test_for_each_thing_that_is_judged():
    failed = replace(REPORT, passed=False, max_rel_error=float("inf"), first_failure="add")
    suite = _suite(report_to_junit(failed))
    assert [(case.get("name"), case[0].tag) for case in suite] == [
        ("without spikes", "failure"),
        ("equivalent", "failure"),
    ]
    assert "'add'" in suite[1][0].get("message")
    x = torch.randn(2, 1, 8, 8)
    snn = snnconvert.convert(TinyCNN().eval(), (x,), "spiking", verify=False)
    report = snnconvert.verify(None, snn, spiking_tolerance=1e-12)
    suite = _suite(report_to_junit(report))
    assert {case.get("classname") for case in suite} == {"TinyCNN"}
    assert [(case.get("name"), case[0].tag) for case in suite] == [
        ("without spikes", "system-out"),
        ("with spikes", "failure"),
        ("equivalent", "failure"),
    ]
    exact = snnconvert.convert(TinyCNN().eval(), (x,), verify=False)
    on_data = snnconvert.verify(None, exact, data=[x])
    names = [case.get("name") for case in _suite(report_to_junit(on_data))]
    assert names == ["without spikes", "on data", "equivalent"]
