"""Spiking conversions of the demo: exact without spikes, close with them, honest reports."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.calibration.file import load_calibration, save_calibration
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.neuronless import without_neurons
from snnconvert.costs.models import load_costs
from snnconvert.demos.digits_vit import load_digits, load_model
from snnconvert.errors import CalibrationError, ConversionError, InputError
from snnconvert.ops.clock import Clock
from snnconvert.ops.neurons import MultiThreshold, Tracker
from snnconvert.rules import parse_rules

SPIKES = """
version: 1
extends: default
time_steps: 6
neuron: {%s}
rules:
  - name: spikes
    match: {op: [linear, conv, matmul, scaled_dot_product_attention, mul]}
    action: spike_operands
"""
TYPES = {
    "multi_threshold": "levels: 8",
    "per_octave": "levels: 6, per_octave: 4",
    "inverse_time": "gain: inverse_time",
    "channel": "levels: 9, threshold: {per: channel, rest: mean, statistic: max}",
    "st_bif": "type: st_bif, levels: 6",
    "sigma_delta": "type: sigma_delta, levels: 64",
}


@pytest.fixture(scope="module", name="digits")
def _digits():
    return load_digits()


def converted(digits, neuron="levels: 8", verify=False, **options):
    batches = digits.calibration[:96].split(32)
    rules = parse_rules(SPIKES % neuron)
    return snnconvert.convert(
        load_model(), (digits.images[:2],), rules, calibration=batches, verify=verify, **options
    )


def neurons(snn):
    return {name: m for name, m in snn.named_modules() if isinstance(m, Tracker)}


def test_predictions_are_the_sources(digits):
    snn, source = converted(digits), load_model()
    report = measure_spiking(snn, digits.images.split(32), labels=digits.labels)
    with torch.no_grad():
        wanted = source(digits.images)
        found = snn.simulate(digits.images)
    assert report.steps[-1].top1 == (found[-1].argmax(-1) == wanted.argmax(-1)).float().mean()
    assert report.steps[-1].top1 >= 0.98
    error = (found[-1] - wanted).norm() / wanted.norm()
    assert report.rel_error == pytest.approx(error.item(), rel=1e-3)
    assert report.steps[0].rel_error > 4 * report.rel_error
    assert report.source_accuracy == (wanted.argmax(-1) == digits.labels).float().mean()
    assert report.work.spiking_share == 1.0
    assert set(report.analog) == {"gelu", "layer_norm", "softmax"}
    assert len(neurons(snn)) == len(report.sites) == 1 + 4 * 8 + 1


@pytest.mark.parametrize("neuron", TYPES.values(), ids=TYPES)
def test_every_form_is_the_same(digits, neuron):
    snn = converted(digits, neuron).double()
    x_seq = torch.randn(5, 3, 1, 8, 8, dtype=torch.float64) / 2
    folded = snn(x_seq)
    online = torch.stack([snn.step(x) for x in x_seq])
    assert (folded - online).abs().max() <= 1e-9 * folded.abs().max()
    snn.reset()
    assert sum(n.target == "track" for n in snn.graph.nodes) == len(neurons(snn))
    assert folded.std() > 0


def test_without_its_neurons_it_is_the_source(digits):
    snn, source = converted(digits), load_model().double()
    exact = without_neurons(copy.deepcopy(snn)).double()
    x = digits.images[:4].double()
    with torch.no_grad():
        y = exact.simulate(x, time_steps=3, encoding="constant")
        assert (y[-1] - source(x)).abs().max() <= 1e-12
        assert (y[0] - source(x / 3)).abs().max() <= 1e-12
        assert (snn.double().simulate(x)[-1] - source(x)).abs().max() > 1e-6


def test_verification_says_both(digits):
    snn = converted(digits, verify=True)
    assert snn.report.passed and snn.report.spiking.rel_error < 0.1
    assert "without spikes" in snn.report.verdict() and "with spikes" in str(snn.report)
    again = type(snn.report).from_dict(snn.report.to_dict())
    assert again == snn.report
    assert "synaptic operations" in snn.report.to_markdown()
    strict = snnconvert.verify(load_model(), snn, spiking_tolerance=1e-6)
    assert not strict.passed and "NOT equivalent" in strict.verdict()


def test_a_network_without_batch_norm_is_exact_in_float64_though_its_rules_absorb_it(digits):
    snn = converted(digits, verify=False)
    assert replace(snn.conversion.rules, absorb_batch_norm=True) != snn.conversion.rules
    snn.conversion = replace(
        snn.conversion, rules=replace(snn.conversion.rules, absorb_batch_norm=True)
    )
    report = snnconvert.verify(load_model(), snn, data=[digits.images[:8]])
    assert report.dtype == "float64" and report.tolerance == 1e-9


def test_verification_fails_where_a_weight_is_changed(digits):
    snn, other = converted(digits), load_model()
    with torch.no_grad():
        other.head.weight.mul_(1.01)
    assert not snnconvert.verify(other, snn).passed


def test_a_saved_network_has_its_neurons(digits, tmp_path):
    snn = converted(digits, "levels: auto, threshold: {per: auto, rest: auto, statistic: max}")
    neuron = next(iter(neurons(snn).values()))
    neuron.v_threshold.mul_(1.25)  # as training would
    expected = snn.simulate(digits.images[:4])
    snn.save(tmp_path / "a.snn")
    loaded = snnconvert.load(tmp_path / "a.snn")
    assert torch.equal(loaded.simulate(digits.images[:4]), expected)
    for copied in (copy.deepcopy(snn), pickle.loads(pickle.dumps(snn))):
        assert torch.equal(copied.simulate(digits.images[:4]), expected)


def test_a_calibration_is_kept_in_a_file(digits, tmp_path):
    snn, path = converted(digits), tmp_path / "c.safetensors"
    save_calibration(snn.conversion.calibration, path)
    kept = load_calibration(path)
    rules = snn.conversion.rules
    again = snnconvert.convert(
        load_model(), (digits.images[:2],), rules, calibration=kept, verify=False
    )
    x = digits.images[:4]
    assert torch.equal(again.simulate(x), snn.simulate(x))
    few = replace(kept, fitted=dict(list(kept.fitted.items())[:3]))
    with pytest.raises(CalibrationError, match="no thresholds for"):
        snnconvert.convert(load_model(), (x,), rules, calibration=few)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CalibrationError, match="damaged"):
        load_calibration(path)
    with pytest.raises(CalibrationError, match="cannot be read"):
        load_calibration(tmp_path / "none")


def test_an_open_statistic_is_chosen_site_by_site(digits):
    snn = converted(digits, "levels: 5, threshold: {statistic: auto}")
    fitted = snn.conversion.calibration.fitted
    assert {f.statistic for f in fitted.values()} == {"max", "mse"}
    only = converted(digits, "levels: 5, threshold: {statistic: max}").conversion.calibration.fitted
    assert all(f.error <= only[name].error for name, f in fitted.items())


def test_every_bundled_file_of_neurons_converts_and_says_how_close(digits):
    closeness = {}
    for name in ("spiking", "sparse", "graded", "st_bif"):
        snn = snnconvert.convert(
            load_model(),
            (digits.images[:2],),
            name,
            calibration=digits.calibration[:96].split(32),
            time_steps=32 if name == "st_bif" else 6,
            verify=False,
        )
        report = measure_spiking(snn, digits.images.split(64))
        closeness[name] = report.rel_error, report.rate, report.steps[-1].top1
    assert closeness["spiking"][0] < 1e-4 < closeness["sparse"][0] < 0.05
    assert closeness["sparse"][1] < 0.35 < closeness["spiking"][1]
    assert all(top1 >= 0.95 for _, _, top1 in closeness.values())


def test_energy_grows_with_every_step_and_ends_at_the_totals(digits):
    report = measure_spiking(converted(digits), [digits.images[:32]])
    energies = [at.energy for at in report.steps]
    assert 0 < energies[0] < energies[-1] and energies == sorted(energies)
    assert energies[-1] == pytest.approx(report.work.energy(load_costs("arithmetic")))


def test_calibration_is_deterministic(digits):
    once, twice = converted(digits), converted(digits)
    for a, b in zip(neurons(once).values(), neurons(twice).values(), strict=True):
        assert torch.equal(a.v_threshold, b.v_threshold)


def test_bad_calibration_data_is_told(digits):
    rules, model = parse_rules(SPIKES % "levels: 8"), load_model()
    x = digits.images[:2]

    def convert(batches):
        return snnconvert.convert(model, (x,), rules, calibration=batches, verify=False)

    with pytest.raises(CalibrationError, match="no batches"):
        convert([])
    with pytest.raises(CalibrationError, match=r"proj\.input_neuron.*NaN.*batch 1"):
        convert([x, x * float("nan")])
    with pytest.raises(CalibrationError, match="batch 0"):
        convert([torch.zeros(2, 3)])
    with pytest.raises(CalibrationError, match="received str"):
        convert(["x"])
    with_labels = convert([(x, digits.labels[:2])])
    without = convert(None)
    assert "example inputs alone" in " ".join(without.conversion.notes)
    assert len(neurons(with_labels)) == len(neurons(without))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(4, 4, 3, groups=2, stride=2)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = nn.functional.hardtanh(self.conv2(self.relu(self.conv(x))), 0.0, 6.0)
        return self.head(x.flatten(1))


@pytest.fixture(name="net")
def _net():
    torch.manual_seed(0)
    return Net().eval()


IN_PLACE = """
version: 1
extends: default
time_steps: 32
neuron: {type: %s, threshold: {statistic: max}}
rules:
  - {name: neurons, match: {op: [relu, clip]}, action: neuron}
"""


@pytest.mark.parametrize("kind", ["integrate_and_fire", "multi_threshold", "st_bif"])
def test_a_neuron_stands_in_the_place_of_relu(net, kind):
    x = torch.rand(8, 1, 8, 8)
    rules, loose = parse_rules(IN_PLACE % kind), 0.3 if kind == "integrate_and_fire" else 0.1
    snn = snnconvert.convert(net, (x[:2],), rules, calibration=[x, x], verify=False)
    assert isinstance(snn.get_submodule("relu"), Tracker)
    assert "TDReLU" not in str(snn)
    with torch.no_grad():
        wanted, found = net(x), snn.simulate(x)
    assert (found[-1] - wanted).norm() / wanted.norm() < loose
    report = measure_spiking(snn, [x])
    assert 0 < report.work.spiking_share < 1
    assert report.analog == {"conv": 1}


def test_operations_are_counted_from_events(net):
    """Against a plain count: each event of a map's input times the outputs that it reaches."""
    rules = parse_rules(SPIKES.replace("extends: default", "extends: default") % "levels: 4")
    x = torch.rand(3, 1, 8, 8)
    snn = snnconvert.convert(net, (x[:2],), rules, calibration=[x], verify=False)
    work = measure_spiking(snn, [x], time_steps=2).work
    expected = 0.0
    operands = {}
    for name, neuron in neurons(snn).items():
        seen = operands.setdefault(name, [])
        track = neuron.track

        def tracked(drive, clock, site, dim, track=track, seen=seen):
            followed = track(drive, clock, site, dim)
            seen.append(followed)
            return followed

        neuron.track = tracked
    snn.simulate(x, time_steps=2)
    layers = {name: net.get_submodule(name.rpartition(".")[0]) for name in operands}
    for name, (followed,) in operands.items():
        steps = followed.unflatten(0, (2, 3))
        events = torch.diff(steps, dim=0, prepend=torch.zeros_like(steps[:1])) != 0
        layer = layers[name]
        for event in events.nonzero().tolist():
            one = torch.zeros(1, *steps.shape[2:])
            one[(0, *event[2:])] = 1
            with torch.no_grad():
                ones = copy.deepcopy(layer)
                ones.weight.fill_(1.0)
                ones.bias.zero_()
                expected += float(ones(one).sum())
    assert expected > 0
    assert work.synaptic_operations * 3 == pytest.approx(expected)
    assert work.source_macs == pytest.approx(6 * 6 * 9 * 4 + 2 * 2 * 9 * 2 * 4 + 16 * 3)


def test_several_levels_per_octave_are_joined_by_additions(net):
    """Each output that spikes reach joins its sums once a step, by 2 (per_octave - 1) additions."""
    x = torch.rand(3, 1, 8, 8)
    # Equal spikes, whose additions are equal, from a drive that is a level of both ladders.
    x = torch.where(x > 0.5, 1.0, 0.0)
    work = []
    for per_octave in (1, 4):
        rules = parse_rules(SPIKES % f"levels: 2, per_octave: {per_octave}")
        snn = snnconvert.convert(net, (x[:2],), rules, calibration=[x], verify=False)
        first, *others = neurons(snn).values()
        with torch.no_grad():
            first.v_threshold.fill_(1.0)
            for neuron in others:
                neuron.v_threshold.fill_(1e9)  # silent
        work.append(measure_spiking(snn, [x], time_steps=1).work)
    one, four = work
    joined = four.synaptic_operations - one.synaptic_operations
    windows = nn.functional.max_pool2d(x, 3, 1)  # of the first map, whose window is 3 by 3
    assert joined == pytest.approx(6 * 4 * float(windows.sum()) / len(x))


def test_graded_spikes_are_multiplications(digits):
    snn = converted(digits, TYPES["sigma_delta"])
    work = measure_spiking(snn, [digits.images[:4]]).work
    assert work.synaptic_operations == 0 < work.graded_operations
    others = replace(work, operations={**work.operations, "graded products": 0.0})
    arithmetic = load_costs("arithmetic")
    of_products = work.energy(arithmetic) - others.energy(arithmetic)
    assert of_products == pytest.approx(4.6e-6 * work.graded_operations)


def test_an_integrate_and_fire_neuron_needs_a_drive_of_one_sign(net):
    rules = parse_rules(SPIKES % "type: integrate_and_fire")
    with pytest.raises(CalibrationError, match="no negative spikes"):
        snnconvert.convert(net, (torch.randn(2, 1, 8, 8),), rules)


def test_a_rule_that_has_no_place_for_spikes_is_told(digits):
    text = SPIKES.replace("[linear, conv, matmul, scaled_dot_product_attention, mul]", "gelu")
    with pytest.raises(ConversionError, match="spike_operands is for linear maps"):
        snnconvert.convert(load_model(), (digits.images[:2],), parse_rules(text % "levels: 8"))
    output = parse_rules(text.replace("spike_operands", "neuron") % "levels: 8")
    snn = snnconvert.convert(load_model(), (digits.images[:2],), output, verify=False)
    assert len(neurons(snn)) == 4


def test_labels_must_be_as_many_as_samples(digits):
    snn = converted(digits)
    with pytest.raises(InputError, match="labels"):
        measure_spiking(snn, [digits.images[:4]], labels=digits.labels[:3])
    with pytest.raises(InputError, match="no batches"):
        measure_spiking(snn, [])


def test_fine_tuning_brings_predictions_nearer(digits):
    """Two levels lose much; training the converted network through its spikes wins some back."""
    snn, source = converted(digits, "levels: 2"), load_model()
    x = digits.calibration[:128]
    with torch.no_grad():
        wanted = source(x).softmax(-1)
    start = [p.detach().clone() for p in snn.parameters()]
    twin = copy.deepcopy(snn)
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3)

    def outcome():
        with torch.no_grad():
            y = twin.simulate(x, time_steps=2)[-1]
        loss = nn.functional.cross_entropy(y, wanted).item()
        return loss, (y.argmax(-1) == wanted.argmax(-1)).float().mean().item()

    before = outcome()
    for _ in range(12):
        y = twin.simulate(x, time_steps=2)[-1]
        loss = nn.functional.cross_entropy(y, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = outcome()
    assert after[0] < 0.8 * before[0]
    assert after[1] > before[1]
    assert all(torch.equal(p, q) for p, q in zip(snn.parameters(), start, strict=True))


def test_neurons_carry_state_in_the_run_alone():
    neuron, clock = MultiThreshold(1.0), Clock(1, total=2)
    neuron.track(torch.ones(2, 3), clock, "here", 0)
    assert set(clock.state) == {"here.R"}


def test_a_product_of_streams_is_calibrated_in_float64():
    """No weight stands behind its neurons that would say in which dtype errors are measured."""

    class Square(nn.Module):
        def forward(self, x):
            return x * x.tanh()

    x = torch.randn(4, 3, dtype=torch.float64)
    snn = snnconvert.convert(Square().eval(), (x,), "spiking", calibration=[x], time_steps=4)
    assert snn.report.passed and len(neurons(snn)) == 2


def test_what_is_taken_apart_is_of_real_numbers():
    """The variance of complex numbers is no sum of their squares."""
    x = torch.randn(8, 6)

    class Spread(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x).var(-1)

    report = snnconvert.convert(
        Spread().eval(), (x,), rules="fully_spiking", calibration=[x]
    ).report
    assert report.passed and report.spiking.degree == "maps"
    assert any("'var'" in note for note in report.notes)
