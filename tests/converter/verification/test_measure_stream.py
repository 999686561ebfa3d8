"""What a stream costs, frame by frame, where nothing is forgotten between them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert import measure_stream
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.errors import InputError, VerificationError
from snnconvert.rules import parse_rules
from tests.converter.spikes.apart.test_wholly import OPERATORS
from tests.converter.verification.event_by_event import simulated_steps

LADDER = """
version: 1
time_steps: 1
neuron: {type: multi_threshold, levels: 8, bursts: 1}
rules: [{name: spikes, match: {op: linear}, action: spike_operands}]
"""


def converted(model, calibration, rules="spiking"):
    rules = parse_rules(rules) if "\n" in rules else rules
    return snnconvert.convert(
        model.eval(), (calibration,), rules, calibration=[calibration], verify=False
    )


def linear():
    """Three neurons with levels 1, 1/2, ... 1/128, before a linear map to two values."""
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0, 4.0], [2.0, -1.0, 0.5]]))
    return converted(model, torch.ones(1, 3), LADDER)


def images():
    """A small network of images, on spikes, and one image that it was not calibrated on."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5)
    )
    return converted(model, torch.randn(4, 3, 8, 8)), torch.randn(1, 3, 8, 8)


def test_each_frame_is_counted_as_by_hand():
    frames = torch.tensor([[1, 0.5, 0], [1, 0.5, 0.25], [1, 0.5, 0.25], [0.5, 0, 0.25]])
    report = measure_stream(linear(), frames[:, None])
    spikes = [2, 1, 0, 2]  # each change is a level
    for frame, fired in zip(report.frames, spikes, strict=True):
        found = {kind: n for kind, n in frame.work.operations.items() if n}
        reached = {
            "accumulations": fired * 2.0,
            "shifts": fired * 2.0,
            "weight reads": fired * 2.0,
            "spikes": fired,
            "payload bits": fired * 4.0,  # eight levels of either sign
            "address bits": fired * 2.0,  # of three neurons
        }
        always = {"neuron updates": 3.0, "state reads": 3.0, "state writes": 3.0}
        assert found == {k: n for k, n in reached.items() if n} | always
        assert frame.work.source == {
            "MACs in floats": 6.0,
            "weight reads in floats": 6.0,
            "activations moved": 2.0,
        }
        assert frame.rel_error < 1e-7 and frame.top1 == 1.0
        assert frame.spikes_per_value == pytest.approx(fired / 3)
        assert frame.bits_per_value == pytest.approx(fired * 4 / 3)
    assert (report.samples, report.values, report.time_steps, report.bursts) == (1, 3, 1, 1)


def test_a_still_stream_costs_no_synaptic_operations_once_it_has_settled():
    snn, image = images()
    report = measure_stream(snn, image.expand(12, *image.shape))
    first, last = report.frames[0].work, report.frames[-1].work
    assert first.synaptic_operations > 0 and report.frames[-1].rel_error < 1e-5
    assert {kind: n for kind, n in last.operations.items() if n} == {
        "neuron updates": report.values,  # each is asked once, and says nothing
        "state reads": report.values,
        "state writes": report.values,
        "comparisons": first.operations["comparisons"],
    }
    assert last.source == first.source  # the source computes every frame whole


@pytest.mark.parametrize("name", ["layer_norm", "attention", "gru", "max pool", "square"])
def test_each_frame_is_counted_as_event_by_event(name):
    torch.manual_seed(0)
    frames = torch.randn(3, 2, 5, 6, dtype=torch.float64).cumsum(0)
    snn = converted(OPERATORS[name]().double(), frames.flatten(0, 1), "fully_spiking")
    report = measure_stream(snn, frames)
    wanted = simulated_steps(snn, [[x] for x in frames], snn.time_steps, moving=True)
    for frame, counts in zip(report.frames, wanted, strict=True):
        found = {kind: n * 2 for kind, n in frame.work.operations.items() if n}
        assert found == pytest.approx({kind: n for kind, n in counts.items() if n})


class Centred(nn.Module):
    """What is computed of an input before the first neuron."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(x - x.mean(1, keepdim=True))


def test_what_lies_before_the_first_neuron_is_paid_for_each_frame():
    snn = converted(Centred(), torch.randn(8, 4))
    report = measure_stream(snn, torch.randn(3, 1, 4))
    additions = [frame.work.operations["additions"] for frame in report.frames]
    assert additions == [8.0] * 3  # of the mean, and of the difference


@torch.no_grad()
def test_it_is_the_network_that_step_runs_against_the_source_on_each_frame():
    snn, image = images()
    changes = torch.randint(-8, 8, (4, *image.shape)) / 8  # whose sums are exact
    frames = changes.cumsum(0)
    report = measure_stream(snn, frames)
    model = snn.conversion.source.program.module()
    answer = 0
    for frame, change, found in zip(frames, changes, report.frames, strict=True):
        answer = answer + snn.step(change)
        wanted = model(frame)
        error = (answer - wanted).norm() / wanted.norm()
        assert found.rel_error == pytest.approx(float(error), rel=1e-3)
        assert found.top1 == float(answer.argmax() == wanted.argmax())


def test_a_frame_by_itself_costs_what_a_sample_costs():
    snn, image = images()
    alone = measure_stream(snn, image[None])
    sample = measure_spiking(snn, [image])
    assert alone.frames[0].work == sample.work and alone.ledger == sample.ledger
    assert alone.frames[0].rel_error == pytest.approx(sample.rel_error)


def test_a_frame_may_have_several_steps():
    snn, image = images()
    frames = torch.stack([image, -image])
    report = measure_stream(snn, frames, time_steps=2)
    each = measure_stream(snn, frames.repeat_interleave(2, 0))
    assert report.time_steps == 2 and report.ledger == each.ledger
    for i, frame in enumerate(report.frames):
        steps = each.frames[2 * i : 2 * i + 2]
        for kind, n in frame.work.operations.items():
            assert n == pytest.approx(sum(s.work.operations[kind] for s in steps))
        assert frame.rel_error == steps[-1].rel_error
        assert frame.work.source == steps[-1].work.source  # which computes a frame once


@pytest.mark.parametrize("encoding", ["at_once", "constant"])
def test_what_lies_before_the_first_neuron_is_paid_when_a_frame_arrives_and_not_while_it_settles(
    encoding,
):
    torch.manual_seed(0)
    rules = f"""
version: 1
time_steps: 3
encoding: {encoding}
neuron: {{type: multi_threshold}}
rules: [{{name: spikes, match: {{op: linear, path: last}}, action: spike_operands}}]
"""
    model = nn.Sequential()
    model.add_module("first", nn.Linear(4, 8))
    model.add_module("last", nn.Linear(8, 3))
    snn = converted(model, torch.randn(4, 4), rules)
    report = measure_stream(snn, torch.randn(2, 1, 4), time_steps=3)
    for frame in report.frames:
        assert frame.work.operations["activations moved"] == 8
        assert frame.work.operations["MACs in floats"] == 32


def test_a_thinned_stream_is_judged_by_the_original():
    snn, image = images()
    original = torch.stack([image, image + 0.5 * torch.randn_like(image)])
    held = original[:1].expand(2, *image.shape)
    report = measure_stream(snn, held, original=original)
    assert report.frames[0].rel_error < 0.01 < 0.05 < report.frames[1].rel_error
    assert measure_stream(snn, held).frames[1].rel_error < 0.01


def test_streams_side_by_side_are_counted_per_sample():
    snn, image = images()
    frames = torch.stack([image, -image])
    both = measure_stream(snn, torch.cat([frames, frames], 1))
    one = measure_stream(snn, frames)
    assert both.samples == 2 and both.values == one.values
    for found, wanted in zip(both.frames, one.frames, strict=True):
        assert found.work == wanted.work


def test_the_report_says_what_the_first_and_the_others_cost():
    snn, image = images()
    said = str(measure_stream(snn, image.expand(3, *image.shape)))
    assert "the first" in said and "the next 2, mean of each" in said
    assert "T=1, K=3 for each of 3 frames, 1 stream, 256 neurons" in said
    assert "the next" not in str(measure_stream(snn, image[None]))


def test_wrong_streams_are_refused():
    snn, image = images()
    with pytest.raises(InputError, match=r"must have shape \[T, B, 3, 8, 8\]"):
        measure_stream(snn, image)
    for original in (image[None], image.repeat(2, 1, 1, 1).expand(2, 2, 3, 8, 8)):
        with pytest.raises(InputError, match="as many frames of as many streams"):
            measure_stream(snn, image.expand(2, *image.shape), original=original)
    with pytest.raises(InputError, match="give one stream or more"):
        measure_stream(snn, image[:0][None])
    with pytest.raises(InputError, match="time_steps must be a whole number"):
        measure_stream(snn, image[None], time_steps=0)
    exact = snnconvert.convert(nn.Linear(3, 2), (torch.ones(1, 3),), verify=False)
    with pytest.raises(InputError, match="no neurons"):
        measure_stream(exact, torch.ones(2, 1, 3))


def test_a_network_of_ids_alone_has_no_stream():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)).eval()
    ids = torch.arange(4)[None]
    snn = snnconvert.convert(model, (ids,), "spiking", calibration=[ids], verify=False)
    with pytest.raises(InputError, match="no input of the model is coded"):
        measure_stream(snn, ids)


def test_a_frame_that_the_source_answers_with_zero_has_no_relative_error():
    model = nn.Linear(3, 2, bias=False)
    snn = converted(model, torch.ones(1, 3))
    with pytest.raises(VerificationError, match=r"frame 1: .*zero"):
        measure_stream(snn, torch.stack([torch.ones(1, 3), torch.zeros(1, 3)]))
