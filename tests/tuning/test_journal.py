"""The journal of tuning: runs by what they were of."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from snnconvert.errors import InputError, SnnconvertError
from snnconvert.tuning.journal import TuningJournal, digest_of

OF = "a" * 64


def never():
    raise AssertionError("it was kept")


def test_what_was_kept_is_recalled(tmp_path):
    path = tmp_path / "kept"
    first = TuningJournal(path, OF)
    assert first.recalled("one", lambda: 0.5) == 0.5
    assert first.recalled("rows", lambda: [[1.0, 2.0]], 1, 2) == [[1.0, 2.0]]
    second = TuningJournal(path, OF)
    assert second.recalled("one", never) == 0.5
    assert second.recalled("rows", never, 1, 2) == [[1.0, 2.0]]
    second.remove()
    assert not path.exists()
    second.remove()


def test_figures_of_another_shape_are_made_anew(tmp_path):
    path = tmp_path / "kept"
    TuningJournal(path, OF).recalled("rows", lambda: [[1.0, 2.0]], 1, 2)
    for shape, made in (((), 3.0), ((2, 1), [[3.0], [3.0]]), ((1,), [3.0])):
        assert TuningJournal(path, OF).recalled("rows", lambda made=made: made, *shape) == made
        path.write_text(path.read_text().splitlines()[0] + "\n")


@pytest.mark.parametrize("figures", [math.inf, math.nan, -1.0])
def test_what_is_no_figure_is_not_kept(figures, tmp_path):
    path = tmp_path / "kept"
    TuningJournal(path, OF).recalled("one", lambda: figures)
    assert not path.exists()


@pytest.mark.parametrize("figures", ['"1"', "true", "-1", "1e999", "NaN", "null", "[1]", "{}"])
def test_what_is_no_figure_does_not_count(figures, tmp_path):
    path = tmp_path / "kept"
    path.write_text(f'{{"tuning": "{OF}", "run": "one", "figures": {figures}}}\n')
    assert TuningJournal(path, OF).recalled("one", lambda: 0.25) == 0.25


def test_half_a_line_is_left_out(tmp_path):
    path = tmp_path / "kept"
    TuningJournal(path, OF).recalled("one", lambda: 0.5)
    with path.open("a") as file:
        file.write(json.dumps({"tuning": OF, "run": "two", "figures": 1.0})[:-9])
    journal = TuningJournal(path, OF)
    assert journal.recalled("two", lambda: 0.75) == 0.75
    again = TuningJournal(path, OF)
    assert (again.recalled("one", never), again.recalled("two", never)) == (0.5, 0.75)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "kept"
    path.write_text("precious\n")
    with pytest.raises(InputError, match="it holds something else; remove the file"):
        TuningJournal(path, OF)
    assert path.read_text() == "precious\n"


def test_what_comes_into_its_place_is_not_removed(tmp_path):
    path = tmp_path / "kept"
    journal = TuningJournal(path, OF)
    journal.recalled("one", lambda: 0.5)
    path.write_text("precious\n")
    journal.remove()
    assert path.read_text() == "precious\n"


def test_a_search_that_was_killed_in_its_first_line_goes_on(tmp_path):
    path = tmp_path / "kept"
    path.write_text('{"tun')
    TuningJournal(path, OF).recalled("one", lambda: 0.5)
    assert TuningJournal(path, OF).recalled("one", never) == 0.5


@pytest.mark.parametrize("name", ["none/kept", "with\0null", "~nobody-of-this-name/kept"])
def test_a_path_where_nothing_can_be_kept_is_refused_at_once(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SnnconvertError):
        TuningJournal(name, OF)


@pytest.mark.parametrize("row", ["[" * 100_000, "[]", "1", '"a"', '{"tuning": []}', "{}"])
def test_hostile_lines_are_left_out(row, tmp_path):
    path = tmp_path / "kept"
    TuningJournal(path, OF).recalled("one", lambda: 0.5)
    with path.open("a") as file:
        file.write(row + "\n")
        file.write(f'{{"tuning": "{OF}", "run": {"[" * 500 + "]" * 500}, "figures": 1.0}}\n')
    assert TuningJournal(path, OF).recalled("one", never) == 0.5


def test_without_a_path_nothing_is_kept():
    journal = TuningJournal()
    assert journal.recalled("one", lambda: 0.5) == 0.5
    assert journal.recalled("one", never) == 0.5  # but for this search
    assert TuningJournal().recalled("one", lambda: 0.75) == 0.75
    journal.remove()


def test_a_digest_is_of_weights_data_and_facts():
    torch.manual_seed(0)
    tensors, data = nn.Linear(2, 2).state_dict().items(), [(torch.randn(1, 2),)]
    known = digest_of(tensors, data, ["a", "b"])
    assert known == digest_of(tensors, [(data[0][0].clone(),)], ["a", "b"])
    others = {
        digest_of(tensors, data, ["ab"]),
        digest_of(tensors, [(data[0][0] + 1,)], ["a", "b"]),
        digest_of(tensors, [(data[0][0].double(),)], ["a", "b"]),
        digest_of(tensors, [{"x": torch.tensor([True]), "y": 1 + 1j * torch.ones(())}], ["a", "b"]),
        digest_of(nn.Linear(2, 2).state_dict().items(), data, ["a", "b"]),
    }
    assert len({known, *others}) == 6
