"""Candidates: thresholds by hand from every statistic, and what each is judged on."""

from __future__ import annotations

import itertools

import pytest
import torch

from snnconvert.converter.calibration.candidates import candidates
from snnconvert.converter.calibration.simulate import simulate
from snnconvert.errors import CalibrationError
from snnconvert.ops.neurons import NEURONS, MultiThreshold
from snnconvert.ops.targets import DRIVE, clip
from tests.converter.calibration.conftest import seen, site_of

T = 4
X = torch.tensor([[1.0, -8.0, 0.5], [-2.0, 3.0, 0.25], [0.5, 4.0, -0.125]])


def found(site, observed, views=None):
    """The candidates of a site, whose errors are measured feature by feature."""
    axes = site.axes or (-1,)
    views = views or {axis: torch.eye(observed.whole().rows[axis].shape[1]) for axis in axes}
    return candidates(site, observed, T, views)


def only(site, observed, views=None):
    (candidate,) = found(site, observed, views)
    return candidate


def fitted(site, *batches):
    observed = seen(*batches, axes=site.axes)
    return only(site, observed).fitted(observed)


@pytest.mark.parametrize(
    ("threshold", "wanted"),
    [
        ({"per": "tensor"}, 8.0),
        ({"per": "channel"}, [2.0, 8.0, 0.5]),
        ({"per": "channel", "margin": 1.5}, [3.0, 12.0, 0.75]),
        ({"per": "tensor", "margin": 0.5}, 4.0),
        # Of 9 absolute values, and of 3 in each feature, by linear interpolation.
        ({"statistic": "percentile", "percentile": 75.0, "per": "tensor"}, 3.0),
        ({"statistic": "percentile", "percentile": 75.0, "per": "channel"}, [1.5, 6.0, 0.375]),
    ],
)
def test_thresholds_by_hand(threshold, wanted):
    one = fitted(site_of(threshold), X)
    torch.testing.assert_close(one.v_threshold, torch.tensor(wanted))
    assert one.rest == 0 and one.statistic == threshold.get("statistic", "max")
    assert one.axis == (1 if threshold["per"] == "channel" else None)
    assert one.dead == 0 and one.type == "multi_threshold"
    neuron = one.neuron()
    assert isinstance(neuron, MultiThreshold) and torch.equal(neuron.v_threshold, one.v_threshold)


@pytest.mark.parametrize(
    ("type_", "target", "options", "thresholds"),
    [
        ("st_bif", DRIVE, {"levels": 8}, 4),  # from -4 to 3
        ("st_bif", clip(0.0, None), {"levels": 8}, 7),
        ("sigma_delta", DRIVE, {"levels": 64}, 32),
        ("integrate_and_fire", clip(0.0, None), {}, T),  # one spike a step
    ],
)
def test_a_range_is_so_many_thresholds(type_, target, options, thresholds):
    one = fitted(site_of(type=type_, target=target, **options), target(X))
    assert one.v_threshold.item() == pytest.approx(target(X).abs().max().item() / thresholds)
    assert one.type == type_ and isinstance(one.neuron(), NEURONS[type_])


@pytest.mark.parametrize(
    ("per", "low", "rest", "threshold"),
    [
        # Means are -1/6, -1/3 and 5/24.
        ("channel", None, [-1 / 6, -1 / 3, 5 / 24], [2 - 1 / 6, 8 - 1 / 3, 1 / 3]),
        ("tensor", None, [-1 / 6, -1 / 3, 5 / 24], 8 - 1 / 3),
    ],
)
def test_rest_at_the_mean(per, low, rest, threshold):
    one = fitted(site_of({"per": per, "rest": "mean"}), X)
    torch.testing.assert_close(one.rest, torch.tensor(rest))
    torch.testing.assert_close(one.v_threshold, torch.tensor(threshold))
    assert one.axis == 1  # of the rests
    assert one.neuron()(torch.zeros(1, 2, 3)).shape == (1, 2, 3)


def test_only_what_can_rests_at_its_mean():
    for site in (
        site_of({"rest": "mean"}, axes=()),
        site_of({"rest": "mean"}, type="st_bif"),
        site_of({"rest": "zero"}),
    ):
        assert fitted(site, X).rest.shape == () and not fitted(site, X).rest.any()


def test_a_mean_of_values_at_a_limit_is_within_it():
    """Rounding carries the mean of seven times 0.1 above 0.1."""
    x = torch.full((7, 2), 0.1)
    assert (x.mean(0) > 0.1).all()
    one = fitted(site_of({"rest": "mean"}, target=clip(-0.1, 0.1)), x)
    assert torch.equal(one.rest, torch.full((2,), 0.1))
    assert one.neuron().target.high == 0.1


@pytest.mark.parametrize("per", ["tensor", "channel"])
@pytest.mark.parametrize("rest", ["zero", "mean"])
@pytest.mark.parametrize(
    "target", [DRIVE, clip(0.0, 6.0), clip(1.0, 3.0), clip(-4.0, -1.0)], ids=lambda t: str(t.limits)
)
def test_the_least_squared_error_is_that_of_the_neuron_itself(per, rest, target):
    """Every range that may be chosen, simulated by hand with the neuron's limits and rest."""
    low, high = (0.0 if x is None else x for x in target.limits)
    x = target((low + high) / 2 + torch.randn(64, 3) * torch.tensor([0.2, 1.0, 5.0]))
    site = site_of({"statistic": "mse", "per": per, "rest": rest}, target=target, levels=3)
    one = fitted(site, x)
    start = x.mean(0) if rest == "mean" else torch.tensor(target.at_rest)
    far = (x - start).abs()
    far = far.amax(0) if per == "channel" else far.max()
    errors, tried = [], []
    for j in range(-1, 9):
        neuron = MultiThreshold(
            far * 2 ** (-j / 2), levels=3, target=target, rest=start, axis=1 if one.axis else None
        )
        rows = x if one.axis else x.reshape(-1, 1)
        off = simulate(neuron, rows, T)[0].square()
        errors.append(off.mean(0) if per == "channel" else off.mean())
        tried.append(neuron.v_threshold)
    best = torch.stack(errors).argmin(0)
    wanted = torch.stack(tried).gather(0, best.unsqueeze(0))[0]
    if target.limits != (None, None):
        low, high = target.limits
        farthest = torch.maximum(high - start, start - low)
        wanted = wanted.minimum(farthest if per == "channel" else farthest.max())
    torch.testing.assert_close(one.v_threshold, wanted)


def test_the_least_squared_error_gives_up_few_large_values():
    x = torch.cat([torch.randn(400, 2), torch.tensor([[20.0, 0.0]])])
    small = fitted(site_of({"statistic": "mse"}, type="st_bif", levels=8), x).v_threshold
    assert small < 0.6 * fitted(site_of(type="st_bif", levels=8), x).v_threshold


@pytest.mark.parametrize(
    ("target", "rest", "margin", "wanted"),
    [
        (clip(0.0, 6.0), "zero", 4.0, 6.0),  # and not 8
        (clip(0.0, 6.0), "zero", 1.5, 3.0),
        (clip(1.0, 3.0), "zero", 9.0, 2.0),
        (clip(0.0, None), "zero", 4.0, 8.0),
        (clip(-1.0, 4.0), "mean", 100.0, 4.0 - (2 + 1 - 1) / 3),
    ],
)
def test_a_margin_is_within_the_limits(target, rest, margin, wanted):
    x = torch.tensor([[2.0], [1.0], [-1.0]])
    one = fitted(site_of({"margin": margin, "rest": rest}, target=target), target(x))
    assert one.v_threshold.item() == pytest.approx(wanted)


def test_features_that_were_zero_have_the_threshold_of_the_largest():
    x = torch.tensor([[0.0, 3.0, 1e-9], [0.0, -5.0, 0.0]])
    one = fitted(site_of({"per": "channel"}), x)
    assert one.v_threshold.tolist() == [5.0, 5.0, 5.0 * 2**-14] and one.dead == 1
    dead = fitted(site_of({"per": "channel"}), torch.zeros(4, 3))
    assert dead.v_threshold.tolist() == [1.0] * 3 and dead.dead == 3 and dead.error == 0
    whole = fitted(site_of(axes=()), torch.zeros(4, 3))
    assert whole.v_threshold == 1.0 and whole.dead == 0  # of no feature
    few = fitted(
        site_of({"per": "channel", "statistic": "percentile", "percentile": 60.0}),
        torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 9.0]]),
    )
    torch.testing.assert_close(few.v_threshold, torch.tensor([2.2, 1.8]))


@pytest.mark.parametrize("size", [1e-42, 1e-38, 1e-31])
def test_what_is_almost_nothing_makes_no_threshold_that_is_not_divided_by(size):
    one = fitted(site_of(axes=()), torch.full((4, 3), size))
    answer = MultiThreshold(one.v_threshold).cumulative(torch.full((2, 4, 3), size))
    assert bool(answer.isfinite().all()) and answer.max() <= 2 * size


def test_a_feature_that_was_zero_in_one_batch_alone_is_not_dead():
    x = torch.ones(4, 2)
    assert fitted(site_of({"per": "channel"}), x * torch.tensor([0.0, 1.0]), x).dead == 0


def test_what_is_judged_was_held_back_and_all_is_fitted_to_at_the_end():
    low, high = torch.rand(32, 2), 10 + torch.rand(32, 2)
    observed = seen(low, high, low)
    judged = only(site_of(levels=8), observed)
    assert judged.saturated == 1.0 and judged.error > 0.5
    neuron = MultiThreshold(low.max(), levels=8)
    errors, rate = simulate(neuron, observed.judged(1), T)
    assert judged.error == pytest.approx((errors.norm() / observed.judged(1).norm()).item())
    assert judged.rate == rate
    one = judged.fitted(observed)
    assert one.v_threshold == high.max()
    assert (one.error, one.rate, one.saturated) == (judged.error, judged.rate, 1.0)


def test_saturated_values_are_counted():
    x = torch.linspace(-1, 1, 40).reshape(20, 2)
    beyond = x.clone()
    beyond[0, 0], beyond[1, 1], beyond[2, 0] = 1.5, -1.01, 7.0
    assert only(site_of(), seen(x, beyond)).saturated == pytest.approx(3 / 40)
    assert only(site_of(), seen(x, x)).saturated == 0
    assert only(site_of(), seen(x)).saturated == 0
    # By feature, each has an extreme of its own; around means, distances count.
    small = torch.tensor([[1.0, 10.0], [-1.0, -10.0]])
    wide = torch.tensor([[9.0, 9.0], [0.0, 11.0]])
    assert only(site_of({"per": "tensor"}), seen(small, wide)).saturated == 1 / 4
    assert only(site_of({"per": "channel"}), seen(small, wide)).saturated == 2 / 4
    shifted = site_of({"per": "channel", "rest": "mean"})
    assert only(shifted, seen(small + 20, wide + 20)).saturated == 2 / 4


def test_errors_are_those_that_the_operator_sees():
    x = torch.randn(50, 3)
    view = torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]])  # the third feature is not read
    site, observed = site_of(levels=2), seen(x)
    errors, _ = simulate(MultiThreshold(x.abs().max(), levels=2), x, T)
    wanted = (errors @ view).norm() / (x @ view).norm()
    assert only(site, observed, {1: view}).error == pytest.approx(wanted.item())
    plain = errors.norm() / x.norm()
    assert only(site, observed).error == pytest.approx(plain.item())
    assert abs(wanted - plain) > 1e-3
    unread = {1: torch.tensor([[0.0], [0.0], [0.0]])}
    assert only(site, observed, unread).error == 0


@pytest.mark.parametrize("type_", [t for t, neuron in NEURONS.items() if not neuron.signed])
def test_a_type_without_signs_is_refused_where_the_drive_has_them(type_):
    with pytest.raises(CalibrationError) as caught:
        found(site_of(type=type_), seen(X))
    assert str(caught.value) == (
        f"'fc.input_neuron' (rule 'spikes') is a {type_} neuron, which has no negative spikes, "
        "and its drive goes down to -8; use a type that has them there (multi_threshold, st_bif, "
        "sigma_delta), or place it on a ReLU"
    )
    for target, x in ((DRIVE, X.abs()), (clip(0.0, None), X.clamp(min=0)), (clip(1.0, 3.0), X + 9)):
        assert found(site_of(type=type_, target=target), seen(target(x)))
    with pytest.raises(CalibrationError, match="no negative spikes"):
        found(site_of(type=type_, target=clip(-1.0, 1.0)), seen(X.clamp(-1, 1)))
    # What is held back counts as well.
    with pytest.raises(CalibrationError, match="goes down to -8"):
        found(site_of(type=type_), seen(X.abs(), X))


def test_what_saw_no_values_is_told():
    with pytest.raises(CalibrationError, match=r"no calibration value .* 'fc.input_neuron'"):
        candidates(site_of(), seen(), T, {})


AUTO = {"statistic": "auto", "per": "auto", "rest": "auto"}


KNOWN = MultiThreshold.candidates


@pytest.mark.parametrize(
    ("statistic", "options", "levels", "gains", "statistics"),
    [
        ("max", {"levels": "auto", "gain": "auto"}, KNOWN["levels"], KNOWN["gain"], {"max"}),
        ("auto", {"levels": 4}, {4}, {"constant"}, {"max", "mse"}),
    ],
)
def test_auto_is_every_way(statistic, options, levels, gains, statistics):
    site = site_of({**AUTO, "statistic": statistic}, axes=(2, 1), **options)
    ways = [c.way for c in found(site, seen(torch.randn(4, 3, 5), axes=(2, 1)))]
    known = [
        (w.settings.options.levels, w.settings.options.gain, w.settings.statistic, w.axis, w.rests)
        for w in ways
    ]
    wanted = itertools.product(levels, gains, statistics, (None, 2, 1), (False, True))
    assert len(known) == len(set(known)) and set(known) == set(wanted)


@pytest.mark.parametrize(
    ("threshold", "axes", "options", "count"),
    [
        ({}, (1,), {}, 1),
        ({"per": "channel"}, (1,), {}, 1),
        ({"per": "channel"}, (), {}, 1),  # where there are no features
        ({"per": "auto"}, (1,), {}, 2),
        ({"per": "channel"}, (2, 1), {}, 2),
        ({"rest": "auto"}, (1,), {}, 2),
        ({"rest": "auto"}, (), {}, 1),
        ({"rest": "auto"}, (1,), {"type": "st_bif"}, 1),
        (AUTO, (1,), {"type": "sigma_delta"}, 8),
        ({}, (1,), {"levels": "auto"}, len(MultiThreshold.candidates["levels"])),
    ],
)
def test_only_what_is_left_open_is_enumerated(threshold, axes, options, count):
    assert (
        len(found(site_of(threshold, axes=axes, **options), seen(torch.randn(4, 3, 5), axes=axes)))
        == count
    )


@pytest.mark.parametrize("margin", [1e-300, 5e-324])
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_a_margin_of_nothing_is_told_by_its_name(margin, per):
    with pytest.raises(CalibrationError, match=f"rule '.*': with the margin {margin:g} of its"):
        fitted(site_of({"margin": margin, "per": per}), X)
