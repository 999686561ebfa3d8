"""Calibration of whole graphs: what is run, what is said, and which thresholds are taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.calibration.calibrate import Calibration, calibrate
from snnconvert.errors import CalibrationError
from snnconvert.ops.targets import clip
from snnconvert.rules import RuleSet
from tests.converter.calibration.conftest import sited_of

X = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
FOUR_STEPS = RuleSet((), time_steps=4)
MAX = "levels: 6, threshold: {statistic: max}"


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 2))


FIRST, SECOND, RELU, LAST = "0.input_neuron", "2.input_neuron", "3", "4.input_neuron"


def calibrated(batches, neuron=MAX, x=X, network=model, **options):
    sited, tree = sited_of(network(), x, neuron)
    return calibrate(sited, tree, batches, rules=FOUR_STEPS, **options)


def test_thresholds_are_those_of_the_sources_values():
    net = model().eval()
    batches = [torch.randn(4, 5) * (i + 1) for i in range(4)]
    found = calibrated(batches)
    x = torch.cat(batches)
    with torch.no_grad():
        wanted = {FIRST: x, SECOND: net[:2](x), RELU: net[:4](x)}
    # A map that reads the spikes of a neuron in the place of a ReLU has none of its own.
    assert found.fitted.keys() == wanted.keys()
    for name, values in wanted.items():
        torch.testing.assert_close(found.fitted[name].v_threshold, values.abs().max())
    assert found.fitted[RELU].target == clip(0.0, None, "relu")
    assert found.notes == ()


def test_nothing_runs_where_there_are_no_neurons():
    def never():
        raise AssertionError("a batch was taken")
        yield

    sited, tree = sited_of(nn.Sequential(nn.Tanh()), X)
    assert not sited.sites
    assert calibrate(sited, tree, never(), rules=FOUR_STEPS) == Calibration({})
    assert calibrate(sited, tree, None, rules=FOUR_STEPS).notes == ()


def test_batches_are_taken_once_and_in_order():
    taken = []

    def batches():
        for i in range(4):
            taken.append(i)
            yield torch.full((4, 5), float(i + 1))

    once = batches()
    found = calibrated(once)
    assert taken == [0, 1, 2, 3] and list(once) == []
    assert found.fitted[FIRST].v_threshold == 4.0


def test_an_extreme_is_the_same_at_once_and_one_by_one():
    x = torch.randn(12, 5)
    at_once = calibrated([x]).fitted
    for size in (1, 4):
        found = calibrated(x.split(size)).fitted
        for name, one in found.items():
            torch.testing.assert_close(one.v_threshold, at_once[name].v_threshold)


def test_the_same_data_gives_the_same_thresholds():
    rules = "levels: 4, gain: auto, threshold: {statistic: auto, per: auto, rest: auto}"
    batches = [torch.randn(4, 5) for _ in range(3)]
    first, again = calibrated(batches, rules), calibrated(iter(batches), rules)
    for name, one in first.fitted.items():
        other = again.fitted[name]
        assert torch.equal(one.v_threshold, other.v_threshold) and torch.equal(one.rest, other.rest)
        assert (one.arguments, one.statistic, one.axis) == (
            other.arguments,
            other.statistic,
            other.axis,
        )


def test_without_data_the_example_is_taken_and_it_is_said():
    found = calibrated(None)
    assert found.fitted[FIRST].v_threshold == X.abs().max()
    assert found.notes == (
        "thresholds come from the example inputs alone: pass calibration= (--calibration) with "
        "data like that which the network will see",
    )


def test_features_that_were_zero_are_named():
    x = X.clone()
    x[:, :2] = 0
    (note,) = calibrated([x], f"{MAX[:-1]}, per: channel}}").notes
    assert note.startswith("features that were zero in all calibration data have the threshold of")
    assert f"{FIRST} (2)" in note


class Many(nn.Module):
    """More maps than are named."""

    def __init__(self):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(5, 1) for _ in range(8))

    def forward(self, x):
        return sum(fc(x * (i + 1)) for i, fc in enumerate(self.maps))


def test_few_sites_are_named_and_the_others_counted():
    (note,) = calibrated([torch.zeros(4, 5)], network=Many).notes
    assert note.count("(5)") == 5 and note.endswith(" and 3 more")


def test_values_beyond_what_was_fitted_are_said_with_their_share():
    low = torch.rand(10, 5)
    high = low * 0.9
    high[0, :3] = 9.0
    (note,) = (n for n in calibrated([low, high]).notes if "held back" in n)
    assert f"{FIRST} (6.0%)" in note and note.endswith("; calibrate on more data")
    assert not any("held back" in note for note in calibrated([high, high]).notes)


def test_no_batches_are_told():
    with pytest.raises(CalibrationError, match="calibration= holds no batches"):
        calibrated(iter(()))


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (torch.zeros(2, 4), "batch 1 of calibration= does not fit"),
        (torch.zeros(2, 5, dtype=torch.int64), "batch 1 of calibration= does not fit"),
        (torch.full((2, 5), float("inf")), "holds infinite values in calibration batch 1"),
    ],
)
def test_a_batch_that_does_not_fit_is_told_by_its_number(batch, words):
    with pytest.raises(CalibrationError, match=words):
        calibrated([X, batch])


def test_a_batch_without_samples_says_nothing():
    with_empty, without = calibrated([X, X[:0], X + 1]), calibrated([X, X[:0], X + 1, X[:0]])
    for name, one in calibrated([X, X[:0], X + 1]).fitted.items():
        assert torch.equal(one.v_threshold, with_empty.fitted[name].v_threshold)
        assert torch.equal(one.v_threshold, without.fitted[name].v_threshold)
        assert one.error > 0  # it is not judged on nothing
    assert with_empty.fitted[FIRST].v_threshold == (X + 1).abs().max().maximum(X.abs().max())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_sources_of_other_types_are_calibrated_in_theirs(dtype):
    found = calibrated([X.to(dtype)], network=lambda: model().to(dtype), x=X.to(dtype))
    one = found.fitted[FIRST]
    assert one.v_threshold == X.to(dtype).abs().max().float()
    assert one.v_threshold.dtype is torch.float32


def test_the_source_is_left_as_it_is():
    net = model().eval()
    sited, tree = sited_of(net, X)
    before = {name: x.clone() for name, x in net.state_dict().items()}
    calibrate(sited, tree, [X], rules=FOUR_STEPS)
    assert all(torch.equal(x, before[name]) for name, x in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_a_calibration_is_taken_as_it_is():
    found = calibrated([X])
    more = replace(found, fitted={**found.fitted, "gone": found.fitted[FIRST]}, notes=("said",))
    again = calibrated(more)
    assert again.fitted.keys() == found.fitted.keys() and again.notes == ("said",)
    assert all(again.fitted[name] is one for name, one in found.fitted.items())


def channels(**options):
    return f"{MAX[:-1]}, per: channel}}" + "".join(f", {k}: {v}" for k, v in options.items())


def wider():
    return nn.Sequential(nn.Linear(7, 6), *model()[1:])


def clipped():
    return nn.Sequential(*model()[:3], nn.ReLU6(), model()[4])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": wider, "x": torch.randn(4, 7)}, "5 thresholds along dimension 1.*{1: 7}"),
        ({"network": clipped}, r"relu within \(0.0, None\), .* is clip within \(0.0, 6.0\)"),
        ({"neuron": "type: st_bif"}, "type multi_threshold, and the rule says st_bif"),
        ({"neuron": "levels: 4"}, "levels=6, and the rule says 4"),
        ({"neuron": channels(gain="inverse_time")}, "gain=constant, and the rule says inverse"),
    ],
)
def test_a_calibration_of_another_network_or_other_rules_is_refused(options, words):
    found = calibrated([X], channels())
    with pytest.raises(CalibrationError, match=words) as caught:
        calibrated(found, **{"neuron": channels(), **options})
    assert "it belongs to another network or other rules. Calibrate again" in str(caught.value)


def test_what_rules_leave_open_a_calibration_may_say():
    found = calibrated([X], channels())
    again = calibrated(found, "levels: auto, gain: auto, threshold: {rest: auto, statistic: mse}")
    assert again.fitted == found.fitted


def test_limits_that_a_drive_has_anyway_may_be_missing():
    """Calibrations of former releases know fewer of them."""

    def network():
        return nn.Sequential(nn.Sigmoid(), nn.Linear(5, 2))

    found = calibrated([X], network=network)
    (name, one), *_ = found.fitted.items()
    assert one.target.limits == (0.0, 1.0)
    wide = replace(
        found, fitted={name: replace(one, target=replace(one.target, low=None, high=None))}
    )
    assert calibrated(wide, network=network).fitted == wide.fitted
    narrow = replace(found, fitted={name: replace(one, target=replace(one.target, high=0.5))})
    with pytest.raises(CalibrationError, match=r"within \(0.0, 0.5\)"):
        calibrated(narrow, network=network)


def test_a_calibration_of_the_same_function_with_other_parameters_is_refused():
    def converted(slope, calibration):
        net = nn.Sequential(nn.LeakyReLU(slope), nn.Linear(5, 2)).eval()
        return snnconvert.convert(net, (X,), "pow2", calibration=calibration, verify=False)

    found = converted(0.1, [X]).conversion.calibration
    assert converted(0.1, found).conversion.calibration.fitted == found.fitted
    with pytest.raises(CalibrationError, match=r"with \{'negative_slope': 0.1\}, .* called with"):
        converted(0.2, found)


def test_a_calibration_with_too_few_neurons_is_refused():
    found = calibrated([X])
    few = replace(found, fitted={FIRST: found.fitted[FIRST]})
    with pytest.raises(CalibrationError, match=rf"for 2 of 3 neurons \({SECOND}, {RELU}\)"):
        calibrated(few)


def test_thresholds_move_to_a_device():
    found = calibrated([X])
    moved = found.to(torch.device("meta"))
    assert moved.fitted.keys() == found.fitted.keys() and moved.notes == found.notes
    assert all(f.v_threshold.is_meta and f.rest.is_meta for f in moved.fitted.values())
    assert not any(f.v_threshold.is_meta for f in found.fitted.values())


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("rules", ["fully_spiking", "pow2"])
def test_values_that_a_function_has_not_and_a_mask_hides_need_no_threshold(rules):
    model = Of(lambda x: torch.where(x > 0, torch.log(x), 0.0)).eval()
    assert snnconvert.convert(model, (X,), rules, calibration=[(X,)]).report.passed


def test_a_network_that_works_with_what_a_function_has_not_is_not_equivalent():
    model = Of(lambda x: torch.nan_to_num(torch.sqrt(x), nan=-1.0)).eval()  # no neuron is NaN
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(model, (X,), "fully_spiking", calibration=[(X,)])
    assert not snn.report.passed and snn.report.source_rel_error <= 1e-9
