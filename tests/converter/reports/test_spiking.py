"""The spiking report: what its numbers come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snnconvert.converter.reports.activity import SiteActivity
from snnconvert.converter.reports.closeness import LayerCloseness, StepCloseness
from snnconvert.converter.reports.cost_tables import twins_of
from snnconvert.converter.reports.latency import Latency
from snnconvert.converter.reports.recorded import rebuilt
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.converter.reports.spiking_tables import steps_of, tables_of
from snnconvert.costs.ledger import LedgerRow
from snnconvert.costs.work import Work

WORK = Work(
    source_macs=2e6,
    spiking_macs=1e6,
    operations={"accumulations": 4e6, "graded products": 1e6, "MACs in floats": 1e6},
)


def step(t: int, top1: float | None) -> StepCloseness:
    return StepCloseness(t, 0.1 / t, 0.99, top1, None, None, 0.5, 1.0 * t)


def report(*top1: float | None) -> SpikingReport:
    return SpikingReport(
        samples=8,
        steps=tuple(step(t, agreed) for t, agreed in enumerate(top1, start=1)),
        source_accuracy=None,
        sites=(SiteActivity("fc", "spikes", "st_bif", 4, 0.5, 1.0, 0.25, 0.0, 2, 0.01),),
        layers=(LayerCloseness("a", "fc1", 1.0, 0.1), LayerCloseness("b", "fc2", 0.9, 0.11)),
        analog={"gelu": 2},
        work=WORK,
        latency=Latency(bursts=2, deep=6, time_steps=3),
        degree="maps",
    )


def test_latency_counts_answers_one_after_another() -> None:
    found = Latency(bursts=2, deep=6, time_steps=3)
    assert (found.waiting, found.pipelined) == (18, 10)
    assert str(found).startswith("T=3, K=2: 18 layer-steps")
    assert Latency(1, 0, 4).pipelined == 0


def test_a_share_of_no_work_is_zero() -> None:
    assert WORK.spiking_share == 0.5
    assert replace(WORK, source_macs=0.0, spiking_macs=0.0).spiking_share == 0.0
    assert replace(WORK, still_macs=1e6).spiking_share == 1.0


@pytest.mark.parametrize(
    ("top1", "reached"),
    [
        ((0.5, 0.99, 1.0), 2),
        ((1.0, 0.98, 0.99), 3),  # what is lost again was not reached
        ((1.0, 1.0), 1),
        ((1.0, 0.5), None),
        ((None, None), None),
    ],
)
def test_agreement_is_reached_where_it_stays(top1: tuple[float, ...], reached: int | None) -> None:
    assert report(*top1).steps_to_agree == reached


def test_the_first_layer_that_diverges_is_the_first_above_the_bound() -> None:
    found = report(1.0).first_divergence
    assert found is not None and found.name == "b"
    assert replace(report(1.0), layers=()).first_divergence is None


def test_round_trip_as_data() -> None:
    whole = report(0.5, 1.0)
    assert rebuilt(SpikingReport, whole.to_dict()) == whole


def test_sentences_say_what_was_measured_and_no_more() -> None:
    said = "\n".join(report(0.5, 1.0).sentences())
    assert "50.0% of the multiply-accumulate work" in said
    assert "and 1e+06 graded ones" in said
    assert "99% agreement with the source's predictions is reached at T=2" in said
    assert "'b' (fc2): 0.11" in said
    assert "local analog operators: 2 gelu" in said
    assert "accuracy of the source" not in said
    bare = replace(report(None), analog={}, layers=(), work=replace(WORK, operations={}))
    assert not any(
        word in line for line in bare.sentences() for word in ("graded", "agreement", "local")
    )


def test_agreement_that_is_not_reached_is_said() -> None:
    assert "predictions is not reached" in "\n".join(report(0.5).sentences())


def test_tables_have_as_many_cells_as_their_header() -> None:
    for found in tables_of(report(None, 1.0)):
        header, rows = found.table
        assert rows and all(len(row) == len(header) for row in rows)
    assert steps_of(report(None))[1][0][3] == "-"


@pytest.mark.parametrize(
    ("spiking", "still", "share", "left"),
    [
        (2e6, 0.0, "100.0%", ""),
        (2e6 - 1, 0.0, "99.9%", " (the rest, 1 per sample, has one in floats)"),
        (1e6, 1e6, "100.0%", " (1e+06 more are on what is the same at every step)"),
    ],
)
def test_all_of_the_work_is_said_only_where_nothing_is_left(
    spiking: float, still: float, share: str, left: str
) -> None:
    work = replace(WORK, spiking_macs=spiking, still_macs=still)
    said = next(s for s in replace(report(1.0), work=work).sentences() if "multiply" in s)
    assert said.startswith(
        f"{share} of the multiply-accumulate work of maps and products of matrices (elementwise "
        f"products are not in it) has spikes for all its operands{left};"
    )


@pytest.mark.parametrize(("still", "besides"), [(0.0, ""), (9.0, ", and 9 on what is not")])
def test_no_share_is_said_of_no_work(still: float, besides: str) -> None:
    work = Work(source_macs=still, spiking_macs=0.0, operations={"joins": 5.0}, still_macs=still)
    said = " ".join(replace(report(1.0), work=work).sentences())
    start = "the source has no multiply-accumulates on what changes over time"
    assert (
        f"{start}{besides}; 5 synaptic operations" in said and "%" not in said.split(start)[1][:40]
    )


def test_every_column_that_is_no_plain_word_is_explained() -> None:
    steps, sites, layers = tables_of(report(None, 1.0))
    for word in ("rel. error", "cosine", "top-1", "top-5", "accuracy", "spikes/value", "energy"):
        assert word in steps.columns
    for word in ("rate", "most", "silent", "saturated", "sizes", "bits", "entropy", "residual"):
        assert word in sites.table[0] and f"{word}: " in sites.columns
    assert "source's activation" in layers.columns


def test_several_outputs_are_said_to_be_judged_together_and_which_has_the_classes() -> None:
    several = replace(report(1.0), outputs=("boxes", "logits"), predictions_of="logits")
    (said,) = [line for line in several.sentences() if "outputs together" in line]
    assert said == (
        "relative error and cosine are of all 2 outputs together (boxes, logits); predictions and "
        "accuracy are of 'logits'"
    )
    one = replace(report(1.0), outputs=("logits",), predictions_of="logits")
    assert not any("outputs together" in line for line in one.sentences())
    without = replace(several, predictions_of=None)
    assert any(line.endswith("(boxes, logits)") for line in without.sentences())


def test_samples_that_are_the_example_are_said_to_be() -> None:
    assert report(1.0).said_of_samples() == "8 samples"
    said = replace(report(1.0), samples=1, on_example=True).sentences()[0]
    assert said.startswith("1 sample (the example inputs that it was traced with);")


def test_a_report_without_steps_is_none() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        report()


def test_an_error_of_tables_without_tables_is_not_said() -> None:
    assert "tables" not in " ".join(replace(report(1.0), tables_error=0.1).sentences())


@pytest.mark.parametrize(
    "dtype, bits", [("float32", "32"), ("bfloat16", "16"), ("float16", "16"), ("", "-")]
)
def test_bits_of_the_source_are_a_number(dtype: str, bits: str) -> None:
    header, rows = twins_of(replace(report(1.0), dtype=dtype)).table
    assert rows[1][header.index("bits per value")] == bits


def test_the_worst_layer_is_the_one_whose_neurons_add_most() -> None:
    first, second = report(1.0).layers
    assert report(1.0).worst_layer is None  # not recorded
    layers = (replace(first, inherited=0.0, added=0.1), replace(second, inherited=0.1, added=0.02))
    found = replace(report(1.0), layers=layers)
    assert found.worst_layer is layers[0]
    assert any("own neurons add most to the error is 'a' (fc1)" in x for x in found.sentences())
    exact = replace(first, inherited=0.1, added=0.0)
    assert replace(found, layers=(exact,)).worst_layer is None


def test_a_site_serves_the_layers_that_its_spikes_reach() -> None:
    rows = [("q", "n"), ("q", ""), ("k", "n"), ("q", "m")]
    ledger = tuple(LedgerRow(layer, site, {"spikes": (1.0,)}) for layer, site in rows)
    assert replace(report(1.0), ledger=ledger).layers_by_site == {"n": ("q", "k"), "m": ("q",)}
