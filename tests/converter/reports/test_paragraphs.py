"""Paragraphs of a report: tables in columns, sentences, an empty line between two of them."""

from __future__ import annotations

import pytest
import torch

import snnconvert
from snnconvert.cli.result import print_result
from snnconvert.converter.reports.paragraphs import Paragraph, as_text


def test_tables_stand_in_columns_and_sentences_on_lines():
    table = (("op kind", "n"), [("linear", "1"), ("layer_norm", "12")])
    assert as_text([Paragraph(table), Paragraph(sentences=("first", "second"))]) == (
        "op kind     n\n-------------\nlinear      1\nlayer_norm  12\n\nfirst\nsecond"
    )


@pytest.mark.parametrize("rules", ["default", "spiking"])
@pytest.mark.parametrize("verify", [True, False])
def test_the_command_prints_what_the_report_says(rules, verify, capsys):
    data = torch.rand(8, 4)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    snn = snnconvert.convert(model.eval(), (data,), rules, calibration=[data], verify=verify)
    capsys.readouterr()
    print_result(snn, as_json=False)
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    # Without a verification the notes are the command's alone.
    notes = () if verify else tuple(f"note: {note}" for note in snn.conversion.notes)
    text = [" ".join(line.split()) for line in snn.summary().splitlines()]
    assert printed == [line for line in (*text, *notes) if set(line) != {"-"}]
