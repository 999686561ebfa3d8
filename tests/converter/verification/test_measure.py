"""What a report measures: predictions of the right output, values of every dtype, no empty pass."""

import gc
import json
import weakref
from dataclasses import asdict
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.running.classes import predicted
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.measure.closeness import Closeness
from snnconvert.converter.verification.measure.predictions import labels_of
from snnconvert.converter.verification.measure.step import Step
from snnconvert.errors import InputError, VerificationError
from snnconvert.rules import parse_rules
from tests.converter.verification.events.networks import Around, on_spikes
from tests.ladders import shares_of


def outputs(*shapes, dtype=torch.float32):
    return [torch.randn(shape).to(dtype) for shape in shapes]


def closeness(answer, expected, scale=1.0):
    found = Closeness(1, [f"y{i}" for i in range(len(expected))])
    found.add([answer], expected, None)
    return found.steps([0.0], [0.0], scale)[0]


def test_labels_of_batches_are_told_to_be_joined():
    with pytest.raises(InputError, match=r"labels are whole numbers.*torch\.cat"):
        labels_of([torch.tensor([1, 2]), torch.tensor([0])], None)


def test_labels_of_an_output():
    labels = torch.tensor([1, 2])
    assert labels_of({"class": labels}, None)[1] == "class"
    with pytest.raises(InputError, match="say which with output="):
        labels_of({"a": labels, "b": labels}, None)
    with pytest.raises(InputError, match="labels of a, not of 'b'"):
        labels_of({"a": labels}, "b")
    with pytest.raises(InputError, match="whole numbers"):
        labels_of(torch.tensor([0.5]), None)


def test_a_label_of_a_class_that_there_is_not_is_refused():
    found = Closeness(1, ["y"])
    with pytest.raises(InputError, match="a label 255 of 3 classes"):
        found.add([outputs((2, 3))], outputs((2, 3)), torch.tensor([0, 255]))


def test_predictions_of_a_map_are_along_its_classes():
    y = torch.randn(2, 5, 4, 6)
    assert predicted(y, 1).shape == (2, 4, 6)
    other = y.clone()
    other[0] = -other[0]
    assert closeness([other], [y]).top1 == 0.5


def test_truth_values_alone_are_measured_as_a_share():
    wanted = torch.tensor([[True, False], [True, True]])
    step = closeness([~wanted.roll(1, 0) ^ wanted], [wanted])
    assert step.equal == 1.0 - step.rel_error and step.cosine is None and step.top1 is None
    assert closeness([wanted], [wanted]).rel_error == 0.0
    assert closeness([~wanted], [wanted]).rel_error == 1.0


def test_integers_beside_numbers_do_not_drown_them():
    ids, y = torch.tensor([30000, 5]), torch.ones(2, 3)
    step = closeness([y * 1.1, ids - 5], [y, ids])
    assert step.rel_error == pytest.approx(0.1, rel=1e-5) and step.equal == 0.0


def test_complex_values_are_pairs_of_real_ones():
    y = torch.randn(3, 4, dtype=torch.complex64)
    assert closeness([y.conj()], [y]).rel_error > 0.1
    assert closeness([1.5 * y], [y]).rel_error == pytest.approx(0.5)
    assert closeness([1.5 * y], [y]).cosine == pytest.approx(1.0)


def test_infinities_must_be_the_same():
    y = torch.tensor([[1.0, -torch.inf], [2.0, 3.0]])
    assert closeness([y], [y]).rel_error == 0.0
    assert closeness([y.nan_to_num()], [y]).rel_error == torch.inf


def test_a_source_that_is_zero_gives_no_pass():
    zero, y = torch.zeros(4, 3), torch.ones(4, 3)
    with pytest.raises(VerificationError, match="zero on the data"):
        closeness([zero], [zero])
    assert closeness([zero + 0.5, y], [zero, y]).rel_error == pytest.approx(0.5)
    assert closeness([zero, y], [zero, y]).rel_error == 0.0


class Ends(nn.Module):
    def __init__(self, end):
        super().__init__()
        self.map, self.end = nn.Linear(6, 9), end

    def forward(self, x):
        return self.end(self.map(x))


@pytest.mark.parametrize("end", [lambda y: y > 0, lambda y: torch.fft.rfft(y)])
def test_outputs_that_are_no_real_numbers_pass_and_fail(end):
    torch.manual_seed(0)
    model, x = Ends(end).eval(), torch.randn(5, 6)
    snn = snnconvert.convert(model, (x,), "spiking", calibration=[x])
    assert snn.report.passed and "agreement" not in str(snn.report)
    deaf = snnconvert.convert(model, (x,), "spiking", calibration=[1e6 * x], verify=False)
    assert not snnconvert.verify(model, deaf).passed


def test_an_exact_conversion_is_measured_on_data():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval(), torch.randn(8, 4)
    snn = snnconvert.convert(model, (x,), verify=False)
    labels = model(x).argmax(1)
    labels[0] = (labels[0] + 1) % 3
    report = snnconvert.verify(model, snn, data=x.split(4), labels=labels)
    assert report.passed and report.on_data.samples == 8 and report.on_data.top1 == 1.0
    assert report.on_data.accuracy == report.on_data.source_accuracy == 7 / 8
    assert any("accuracy 87.50%" in note for note in report.notes)
    assert type(report).from_dict(json.loads(report.to_json())) == report
    for wrong in (labels[:7], labels.repeat(2)):
        with pytest.raises(InputError, match="samples"):
            snnconvert.verify(model, snn, data=x.split(4), labels=wrong)
    with pytest.raises(InputError, match="no batches"):
        snnconvert.verify(model, snn, data=[])


def test_labels_where_nothing_has_classes_are_refused():
    model, x = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)).eval(), torch.randn(8, 4)
    snn = snnconvert.convert(model, (x,), "spiking", calibration=[x], verify=False)
    with pytest.raises(InputError, match="'output'"):
        measure_spiking(snn, [x], labels=torch.zeros(8))
    report = measure_spiking(snn, [x])
    assert report.steps[-1].cosine is None and "agreement" not in "".join(report.sentences())


def test_a_layer_without_spread_has_no_correlation():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
            nn.init.zeros_(self.b.weight)

        def forward(self, x):
            return self.a(x) + self.b(x.relu())

    x = torch.randn(8, 4)
    snn = snnconvert.convert(Net().eval(), (x,), "spiking", calibration=[x])
    assert None in [layer["correlation"] for layer in asdict(snn.report.spiking)["layers"]]
    assert "nan" not in snn.report.to_json().lower()
    assert snn.report.to_markdown() and str(snn.report)


def test_outputs_that_ignore_the_inputs_are_refused_and_said():
    dead = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    nn.init.constant_(dead[0].bias, -1e6)
    with pytest.raises(VerificationError, match="do not depend on its coded inputs"):
        snnconvert.convert(dead, (torch.randn(2, 4),))

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.randn(3))

        def forward(self, x):
            return x * 2, self.table + 0 * x

    report = snnconvert.convert(Beside().eval(), (torch.randn(2, 3),)).report
    assert report.passed
    assert any("did not change with the coded inputs" in n and "1" in n for n in report.notes)


class Behind(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.map, self.function = nn.Conv2d(2, 4, 3, padding=1), function

    def forward(self, x):
        return self.function(self.map(x))


@pytest.mark.parametrize(
    ("function", "analog"),
    [
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), {}),
        (lambda x: F.avg_pool2d(x, 2).mean(1), {}),
        (lambda x: 1 - x.cumsum(-1), {}),
        (lambda x: torch.lerp(x, x.flip(1), 0.3), {}),
        (lambda x: F.grid_sample(x, torch.zeros(len(x), 3, 3, 2), align_corners=False), {}),
        (lambda x: torch.lerp(x, x.flip(1), x), {"lerp": 1}),
        (lambda x: x.relu().cumprod(-1), {"relu": 1}),
        (lambda x: x.relu() ** 2.5, {"pow": 1, "relu": 1}),
    ],
)
def test_what_only_adds_up_is_no_analog_operator(function, analog):
    x = torch.randn(2, 2, 4, 4)
    model = Behind(function).eval()
    snn = snnconvert.convert(model, (x,), "spiking", calibration=[(x,)], verify=False)
    assert measure_spiking(snn, [(x,)], time_steps=2).analog == analog


class Shifted(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 3)

    def forward(self, shift, x):
        return self.map(x + shift)


class Sequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 3)

    def forward(self, x):
        return self.map(x).sum(0)


@pytest.mark.parametrize(
    ("model", "inputs", "batch_dims"),
    [
        (Shifted(), (torch.randn(1, 4), torch.randn(6, 4)), None),
        (Sequences(), (torch.randn(5, 6, 4),), 1),
    ],
)
@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_samples_are_counted_along_the_batch(model, inputs, batch_dims, rules):
    snn = snnconvert.convert(
        model.eval(), inputs, rules, calibration=[inputs], batch_dims=batch_dims, verify=False
    )
    with torch.no_grad():
        labels = model(*inputs).argmax(1)
    report = snnconvert.verify(None, snn, data=[inputs, inputs], labels=torch.cat([labels, labels]))
    found = report.on_data or report.spiking
    assert found.samples == 12 and found.source_accuracy == 1.0


class Padded(nn.Module):
    """Two layers whose spikes are moved and padded between neuron and map."""

    def __init__(self, pad):
        super().__init__()
        self.pad = pad
        self.one, self.two = nn.Linear(4, 6, bias=False), nn.Conv1d(2, 5, 3, bias=False)

    def forward(self, x):
        h = self.one(x).relu().reshape(-1, 2, 3)
        return self.two(self.pad(h, (1, 1)))


def spikes_by_hand(neuron, drive):
    """Count the spikes of each value in plain Python, answer by answer."""
    counts, ladder = torch.zeros(drive.shape[1:]), neuron.ladder
    levels = [float(neuron.v_threshold) * share for share in shares_of(ladder)]
    for index in range(counts.numel()):
        reached = 0.0
        for x in drive.flatten(1)[:, index].tolist():
            for _ in range(neuron.bursts):
                left = neuron.target(torch.tensor(x)).item() - reached
                level = next((s for s in levels if abs(left) >= ladder.fire_at * s), 0.0)
                reached += level if left > 0 else -level
                counts.view(-1)[index] += level > 0
    return counts


@pytest.mark.parametrize(
    ("pad", "windows"),  # of padded rows, that a value is in
    [
        (torch.constant_pad_nd, [2.0, 3.0, 2.0]),
        (partial(torch.constant_pad_nd, value=3.0), [2.0, 3.0, 2.0]),
        (F.pad, [2.0, 3.0, 2.0]),
        (partial(F.pad, value=3.0), [2.0, 3.0, 2.0]),
        (partial(F.pad, mode="reflect"), [2.0, 5.0, 2.0]),
        (torch.ops.aten.reflection_pad1d.default, [2.0, 5.0, 2.0]),
        (lambda h, _: F.interpolate(h, scale_factor=2), [3.0, 6.0, 3.0]),
        (lambda h, _: F.interpolate(h, size=5, mode="nearest-exact"), [3.0, 3.0, 3.0]),
    ],
)
@pytest.mark.parametrize("bursts", [1, 3])
def test_operations_are_counted_spike_by_spike(bursts, pad, windows):
    torch.manual_seed(0)
    rules = f"""version: 1
extends: default
time_steps: 2
encoding: constant
neuron: {{type: multi_threshold, bursts: {bursts}, levels: 6}}
rules: [{{name: s, match: {{op: [linear, relu, conv]}}, action: spiking}}]
"""
    model, x = Padded(pad).double().eval(), torch.randn(3, 4, dtype=torch.float64)
    snn = snnconvert.convert(
        model, (x,), snnconvert.rules.parse_rules(rules), calibration=[x], verify=False
    )
    report = measure_spiking(snn, [x])
    first, second = (snn.tree.get_submodule(p) for p in snn.conversion.neurons.values())
    assert first.bursts == second.bursts == bursts
    drive = torch.stack([x / 2, x])
    spikes = spikes_by_hand(first, drive)
    inner = (first.cumulative(drive) @ model.one.weight.T).detach()
    hidden = spikes_by_hand(second, inner)
    seen = hidden.reshape(3, 2, 3) * torch.tensor(windows)
    additions = spikes.sum() * 6 + seen.sum() * 5
    assert report.work.operations["accumulations"] * 3 == pytest.approx(float(additions))
    total = float(spikes.sum() + hidden.sum())
    assert report.rate * 2 * (x.numel() + hidden.numel()) == pytest.approx(total)
    assert (report.latency.bursts, report.latency.deep) == (bursts, 2 * bursts)


@pytest.mark.parametrize(
    ("model", "x", "still"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten()), torch.rand(2, 1, 4, 4), 0),
        (nn.LSTM(4, 8, batch_first=True), torch.rand(2, 3, 4), 32 * 8),
    ],
    ids=["padding", "first state"],
)
def test_work_on_what_is_the_same_at_every_step_is_not_in_floats(model, x, still):
    snn = snnconvert.convert(model.eval(), (x,), rules="fully_spiking")
    work = snn.report.spiking.work
    assert snn.report.spiking.degree == "all"
    assert (work.still_macs, work.floats_macs, work.spiking_share) == (still, 0, 1)


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
def test_a_mask_that_leaves_nothing_is_measured(rules):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.map = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x, mask):
            h = self.first(x)
            return h + self.map(h[mask]).sum() + 1

    x, mask = torch.randn(6, 4), torch.zeros(6, dtype=torch.bool)
    mask[3:] = True
    model = Masked().eval()
    snn = snnconvert.convert(model, (x, mask), rules, calibration=[(x, mask)])
    assert snn.report.passed
    nothing = torch.zeros(6, dtype=torch.bool)
    assert measure_spiking(snn, [(x, nothing)]).rel_error < 0.1


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
@pytest.mark.parametrize("hidden", [-1e9, -torch.inf])
def test_a_float_mask_as_an_input_hides_no_outputs(rules, hidden):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(4, 4)

        def forward(self, x, mask):
            return (self.map(x) + mask).softmax(-1)

    mask = torch.zeros(6, 4).masked_fill(torch.arange(4) >= torch.tensor([[2]]), hidden)
    batches = [(torch.randn(6, 4), mask) for _ in range(4)]
    snn = snnconvert.convert(
        Masked().eval(), batches[0], rules, calibration=batches, held=("mask",)
    )
    assert snn.report.passed
    assert 0 < snn.report.spiking.rel_error < 0.1


class Chooses(nn.Module):
    """Weighs by truth values, as a mixture of experts does that asks ``chosen == expert``."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)
        self.register_buffer("kept", torch.tensor([True, False, True, True]))

    def forward(self, x):
        y = self.map(x)
        return (x * (y > 0)).sum(-1) + (y * self.kept).sum(-1)


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
def test_a_choice_by_truth_values_is_no_product_written_out(rules):
    x = torch.randn(3, 4)
    spiking = snnconvert.convert(Chooses().eval(), (x,), rules, calibration=[x]).report.spiking
    assert spiking.degree == "all"
    assert (spiking.work.source_macs, spiking.work.spiking_share) == (16, 1)


ON_SPIKES = {
    "both are true": lambda m, x: ((x > 0) * (m(x) > 0)).float().sum(1),
    "both are true, and are added up": lambda m, x: ((x > 0) * (m(x) > 0)).sum(1),
    "all pairs are true": lambda m, x: torch.outer(x[0] > 0, m(x)[0] > 0).float(),
    "either is true": lambda m, x: m(x) * torch.logical_xor(x > 0, m(x) > 0),
    "what a mask leaves": lambda m, x: (m(x) * (x > 0)).sum(1),
    "what one of two masks leaves": lambda m, x: m(x) * ((x > 0) * (m(x) > 0)),
    "how many": lambda m, x: m(x) * (x > 0).sum(1, keepdim=True),
    "which": lambda m, x: m(x) * torch.bucketize(x, torch.linspace(-1, 1, 5)),
    "a share": lambda m, x: m(x) * (x > 0).float().mean(1, keepdim=True),
    "a gate": lambda m, x: m(x) * m(x).sigmoid(),
    "a square": lambda m, x: (m(x) ** 2).sum(1),
    "weights written out": lambda m, x: (x[:, None] * m.weight).sum(-1),
    "a norm": lambda m, x: F.layer_norm(m(x), (6,)),
    "chances": lambda m, x: m(x.softmax(-1)),
    "a transform": lambda m, x: torch.fft.rfft(m(x)).abs(),
    "the middle one": lambda m, x: m(x).median(1).values,
    "of complex ones": lambda m, x: (torch.fft.fft(m(x)) * torch.fft.fft(x)).real,
    "without a counterpart": lambda m, x: torch.special.i0(m(x)),
}


@pytest.mark.parametrize("name", ON_SPIKES)
def test_nothing_is_in_floats_where_all_is_on_spikes(name):
    torch.manual_seed(0)
    x = torch.randn(8, 6)
    report = on_spikes(Around(ON_SPIKES[name]), x, verify=True).report.spiking
    in_floats = bool(report.work.operations["MACs in floats"]) or bool(report.analog)
    assert in_floats == (report.degree != "all")


@pytest.mark.parametrize("function", [lambda h: h, lambda h: torch.fft.rfft(h).real])
def test_costs_are_of_samples_not_of_batches(function):
    torch.manual_seed(0)
    x = torch.randn(16, 6)
    model = Around(lambda m, x: function(m(m(x).relu())))
    rules = parse_rules("version: 1\nextends: spiking\nneuron: {bursts: 1, levels: 6}\nrules: []\n")
    snn = on_spikes(model, x, rules)
    # One sample is silent, and others settle: what is joined is what spikes reach.
    x[3] = 0
    found = [
        measure_spiking(snn, list(x.double().split(size)), time_steps=8).work.operations
        for size in (16, 4, 1)
    ]
    assert found[0]["joins"] > 0
    for other in found[1:]:
        assert other == pytest.approx(found[0])


def test_a_report_names_its_outputs_and_that_of_its_predictions():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.near, self.logits = torch.nn.Linear(4, 1), torch.nn.Linear(4, 3)

        def forward(self, x):
            return {"near": self.near(x), "logits": self.logits(x)}

    snn = snnconvert.convert(Two().eval(), (torch.randn(5, 4),), "spiking")
    spiking = snn.report.spiking
    assert (spiking.outputs, spiking.predictions_of) == (("near", "logits"), "logits")
    assert "predictions and accuracy are of 'logits'" in str(snn.report)


def test_a_verdict_says_in_which_dtype_spikes_ran():
    model, x = torch.nn.Linear(4, 3).eval(), torch.randn(5, 4)
    snn = snnconvert.convert(model, (x,), "spiking", verify=False)
    half = snnconvert.verify(model, snn, dtype=torch.float16)
    assert half.spiking.dtype == "float32"
    assert "increments in float16" in half.verdict()
    assert "with spikes (degree all) in float32, at T=1" in half.verdict()
    wide = snnconvert.verify(None, snn.double())
    assert "with spikes (degree all) in float64, at T=1" in wide.verdict()


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_data_without_answers_are_refused(rules):
    x = torch.randn(6, 4)
    snn = snnconvert.convert(nn.Linear(4, 2).eval(), (x,), rules, calibration=[x])
    x[4, 1] = float("nan")
    with pytest.raises(VerificationError, match=r"holds NaN on data behind the first 3 samples"):
        snnconvert.verify(None, snn, data=list(x.split(3)))


def test_a_cost_model_that_is_given_twice_is_there_once():
    x = torch.randn(4, 6)
    snn = snnconvert.convert(
        nn.Linear(6, 3).eval(), (x,), rules="spiking", calibration=[x], verify=False
    )
    names = [m.name for m in measure_spiking(snn, [x], costs=["memory", "memory"]).cost_models]
    assert names == ["arithmetic", "memory", "events"]


def test_the_values_of_a_batch_go_with_it(monkeypatch):
    steps, run = [], Step.run

    def noted(self, *args):
        steps.append(weakref.ref(self))
        return run(self, *args)

    monkeypatch.setattr(Step, "run", noted)
    model, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)).eval(), torch.randn(8, 4)
    snn = snnconvert.convert(model, (x,), "spiking", calibration=[x[:4], x[4:]], verify=False)
    gc.collect()
    gc.disable()
    try:
        measure_spiking(snn, [x, x], time_steps=2)
        assert len(steps) == 4 and not any(step() for step in steps)
    finally:
        gc.enable()
