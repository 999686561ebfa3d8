"""Calibrations as files: what is written is read back, and what is damaged is a sentence."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.calibration.file import (
    FORMAT,
    dump_calibration,
    load_calibration,
    parse_calibration,
    save_calibration,
)
from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.errors import CalibrationError
from snnconvert.ops.targets import DRIVE, clip

KEY = "snnconvert_calibration"
CALIBRATION = Calibration(
    {
        "fc.input_neuron": Fitted(
            type="multi_threshold",
            target=clip(-1.5, None, "relu"),
            v_threshold=torch.tensor([1.0, 2.5, 1 / 3]),
            rest=torch.tensor([0.1, -0.2, 0.3]),
            axis=2,
            arguments={"levels": 7, "per_octave": 2, "gain": "inverse_time"},
            statistic="percentile",
            error=0.012,
            saturated=0.25,
            rate=0.3,
            dead=2,
        ),
        "head.input_neuron": Fitted(
            type="st_bif",
            target=DRIVE,
            v_threshold=torch.tensor(0.75, dtype=torch.float64),
            rest=torch.tensor(0.0, dtype=torch.float64),
            axis=None,
            arguments={"low": -3, "high": 4},
            statistic="max",
            error=0.0,
            saturated=0.0,
            rate=1.0,
            dead=0,
        ),
    },
    ("thresholds come from the example inputs alone", "Größe: 3 µ"),
)
FIRST = "fc.input_neuron"


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "c.safetensors"
    save_calibration(CALIBRATION, path)
    found = load_calibration(path)
    assert found.notes == CALIBRATION.notes and list(found.fitted) == list(CALIBRATION.fitted)
    for name, wanted in CALIBRATION.fitted.items():
        one = found.fitted[name]
        for tensor in ("v_threshold", "rest"):
            assert torch.equal(getattr(one, tensor), getattr(wanted, tensor))
            assert getattr(one, tensor).dtype is getattr(wanted, tensor).dtype
        plain = {"v_threshold": None, "rest": None}
        assert replace(one, **plain) == replace(wanted, **plain)
    assert dump_calibration(found) == path.read_bytes()  # and the same each time


def test_thresholds_that_are_views_are_written():
    fitted = replace(
        CALIBRATION.fitted[FIRST],
        v_threshold=torch.arange(1.0, 7.0)[::2],
        rest=torch.zeros(1).expand(3),
    )
    found = parse_calibration(dump_calibration(Calibration({"a": fitted})), "x").fitted["a"]
    assert found.v_threshold.tolist() == [1.0, 3.0, 5.0]


def test_a_file_is_replaced_and_a_missing_one_told(tmp_path):
    path = tmp_path / "c.safetensors"
    path.write_bytes(b"before")
    save_calibration(Calibration({}), path)
    assert load_calibration(path) == Calibration({})
    with pytest.raises(CalibrationError, match=r"none\.safetensors: cannot be read: No such file"):
        load_calibration(tmp_path / "none.safetensors")


def changed(change, tensors=None):
    """The file with its facts changed, and its tensors (None: left out)."""
    data = dump_calibration(CALIBRATION)
    size = int.from_bytes(data[:8], "little")
    facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][KEY])
    facts = change(facts) or facts
    text = facts if isinstance(facts, str) else json.dumps(facts)
    found = {**load(data), **(tensors or {})}
    return save({n: x for n, x in found.items() if x is not None}, metadata={KEY: text})


def at_first(**facts):
    return lambda found: found["sites"][FIRST].update(facts)


def without(*path):
    def change(found):
        for key in path[:-1]:
            found = found[key]
        del found[path[-1]]

    return change


TABLE = {"error": 1e-5, "margin": 1.0, "drives": {"low": -1e3, "high": 1e3, "least": 1e-3}}


def with_target(**facts):
    return lambda found: found["sites"][FIRST]["target"].update(facts)


def of_function(function, table=None, **parameters):
    pairs = [*parameters.items()]
    return with_target(function=function, parameters=pairs, table=table, low=None, high=None)


DAMAGED = {
    "no tensors": lambda: b"",
    "text": lambda: b"version: 1\n",
    "cut short": lambda: dump_calibration(CALIBRATION)[:-3],
    "other tensors": lambda: save({"a": torch.zeros(2)}),
    "other metadata": lambda: save({"a": torch.zeros(2)}, metadata={"format": "pt"}),
    "no JSON": lambda: changed(lambda _: "{"),
    "nested without end": lambda: changed(lambda _: "[" * 100_000),
    "a list": lambda: changed(lambda _: "[1]"),
    "no format": lambda: changed(without("format")),
    "a format that is a word": lambda: changed(lambda facts: facts.update(format="2")),
    "no notes": lambda: changed(without("notes")),
    "no sites": lambda: changed(without("sites")),
    "sites in a list": lambda: changed(lambda facts: facts.update(sites=[1])),
    "no type": lambda: changed(without("sites", FIRST, "type")),
    "no rate": lambda: changed(without("sites", FIRST, "rate")),
    "a fact too many": lambda: changed(at_first(colour="red")),
    "an unknown type": lambda: changed(at_first(type="multi")),
    "a type that is a list": lambda: changed(at_first(type=["st_bif"])),
    "an unknown argument": lambda: changed(at_first(arguments={"levels": 3, "tau": 2.0})),
    "a bad argument": lambda: changed(at_first(arguments={"levels": 0})),
    "no arguments": lambda: changed(at_first(arguments=None)),
    "limits the wrong way": lambda: changed(at_first(target={"low": 2.0, "high": 1.0})),
    "an unknown function": lambda: changed(at_first(target={"function": "no_such"})),
    "a target that is a word": lambda: changed(at_first(target="relu")),
    "an axis that is a word": lambda: changed(at_first(axis="2")),
    "the batch for an axis": lambda: changed(at_first(axis=0)),
    "no axis for thresholds by feature": lambda: changed(at_first(axis=None)),
    "an error that is a word": lambda: changed(at_first(error="small")),
    "a rate that is nothing": lambda: changed(at_first(rate=None)),
    "a count that is a truth value": lambda: changed(at_first(dead=True)),
    "no threshold": lambda: changed(lambda _: None, {FIRST: None}),
    "no rest": lambda: changed(lambda _: None, {f"{FIRST}.rest": None}),
    "a threshold of zero": lambda: changed(lambda _: None, {FIRST: torch.zeros(3)}),
    "a negative threshold": lambda: changed(lambda _: None, {FIRST: -torch.ones(3)}),
    "a threshold that is no number": lambda: changed(
        lambda _: None, {FIRST: torch.full((3,), float("nan"))}
    ),
    "an infinite threshold": lambda: changed(
        lambda _: None, {FIRST: torch.full((3,), float("inf"))}
    ),
    "thresholds in a table": lambda: changed(lambda _: None, {FIRST: torch.ones(3, 3)}),
    "another number of rests": lambda: changed(lambda _: None, {f"{FIRST}.rest": torch.ones(4)}),
    "an axis beyond all dimensions": lambda: changed(at_first(axis=10**30)),
    "an error that is no number": lambda: changed(at_first(error=float("nan"))),
    "an error beyond all numbers": lambda: changed(at_first(error=10**400)),
    "a negative rate": lambda: changed(at_first(rate=-5)),
    "a count of a half": lambda: changed(at_first(dead=0.5)),
    "a statistic that is a list": lambda: changed(at_first(statistic=[1, 2])),
    "a statistic that is no word": lambda: changed(at_first(statistic="\x1b[31mmax")),
    "a target whose name is no word": lambda: changed(with_target(name="relu\n\x1b[31m")),
    "a target whose name is a mapping": lambda: changed(with_target(name={"a": 1})),
    "a target without a name": lambda: changed(at_first(target={"low": 0.0})),
    "a target with a row of its own": lambda: changed(with_target(own={"layout": None})),
    "a limit beyond all numbers": lambda: changed(with_target(low=None, high=10**400)),
    "a limit that is no number": lambda: changed(with_target(low=float("nan"))),
    "a limit that is a truth value": lambda: changed(with_target(low=True, high=2.0)),
    "a parameter beyond all numbers": lambda: changed(of_function("pow", exponent=10**400)),
    "a parameter that is a list": lambda: changed(of_function("pow", exponent=[1])),
    "a parameter that it does not have": lambda: changed(of_function("elu", out=1.0)),
    "a function that is not a number": lambda: changed(
        of_function("softplus", TABLE, beta=1e-300, threshold=1e300)
    ),
    "notes that are one text": lambda: changed(lambda facts: facts.update(notes="abc")),
    "notes that are numbers": lambda: changed(lambda facts: facts.update(notes=[1])),
    "a rest without the limits": lambda: changed(
        lambda _: None, {f"{FIRST}.rest": torch.full((3,), -2.0)}
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_a_sentence(what, tmp_path):
    path = tmp_path / "c.safetensors"
    path.write_bytes(DAMAGED[what]())
    with pytest.raises(CalibrationError) as caught:
        load_calibration(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: is not a calibration that snnconvert wrote, or is damaged (")
    assert text.endswith("; write one with --calibration-out")
    assert len(text) < 1000


def test_what_is_no_regular_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(CalibrationError, match="is not a regular file"):
            load_calibration(name)


def test_neurons_of_one_threshold_are_written_apart():
    """Thresholds that are trained may be tied."""
    one = CALIBRATION.fitted[FIRST]
    found = parse_calibration(dump_calibration(Calibration({"a": one, "b": one})), "x").fitted
    assert torch.equal(found["a"].v_threshold, found["b"].v_threshold)


def test_notes_of_a_file_are_escaped():
    data = changed(lambda facts: facts.update(notes=["\x1b[31mfine\n"]))
    assert parse_calibration(data, "x").notes == (r"\x1b[31mfine\n",)


def test_a_file_of_a_newer_release_is_told_as_such():
    data = changed(lambda facts: facts.update(format=FORMAT + 1))
    with pytest.raises(CalibrationError, match=rf"^x: .* format {FORMAT + 1}; .* Upgrade"):
        parse_calibration(data, "x")


def test_limits_of_the_first_format_are_among_the_arguments():
    def former(facts):
        facts["format"] = 1
        site = facts["sites"][FIRST]
        del site["target"]
        site["arguments"]["bounds"] = [-1.5, None]

    fitted = parse_calibration(changed(former), "x").fitted[FIRST]
    assert fitted.target.limits == (-1.5, None) and "bounds" not in fitted.arguments
    assert fitted.neuron().target.limits == (-1.5, None)
