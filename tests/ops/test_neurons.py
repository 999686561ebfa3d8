"""Neurons: their spikes, their sums, their forms, their state."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from snnconvert.errors import InputError, StateError
from snnconvert.ops.clock import Clock
from snnconvert.ops.neurons import (
    LIF,
    NEURONS,
    STBIF,
    IntegrateAndFire,
    MultiThreshold,
    SigmaDelta,
    Tracker,
)
from snnconvert.ops.targets import clip
from tests.ladders import shares_of

Q = torch.tensor([0.2, 0.5, 1.0, 0.7, 0.3], dtype=torch.float64)
MADE = {
    "multi": lambda: MultiThreshold(1.3, levels=6),
    "multi four": lambda: MultiThreshold(1.3, levels=6, per_octave=4),
    "multi eight bounds": lambda: MultiThreshold(
        Q, levels=5, per_octave=8, axis=-1, target=clip(-0.1, 1.0)
    ),
    "multi inverse": lambda: MultiThreshold(1.3, levels=4, gain="inverse_time"),
    "multi halving": lambda: MultiThreshold(1.3, levels=3, gain="halving"),
    "multi channel": lambda: MultiThreshold(Q, levels=6, axis=-1),
    "multi bounds": lambda: MultiThreshold(0.9, levels=6, target=clip(0.0, 1.0)),
    "multi rest": lambda: MultiThreshold(1.3, levels=6, rest=Q - 0.4, axis=2),
    "if": lambda: IntegrateAndFire(0.4),
    "if half": lambda: IntegrateAndFire(Q, start="half", axis=2),
    "if hard": lambda: IntegrateAndFire(0.4, reset="hard"),
    "st-bif": lambda: STBIF(0.25, low=-4, high=3),
    "st-bif channel": lambda: STBIF(Q, low=0, high=7, axis=2),
    "sigma-delta": lambda: SigmaDelta(0.05),
    "sigma-delta bounds": lambda: SigmaDelta(0.3, target=clip(0.0, 1.0)),
    "lif": lambda: LIF(0.4, tau=3.0),
    "lif hard": lambda: LIF(Q, tau=2.0, reset="hard", axis=2),
}


@pytest.fixture(params=MADE, name="neuron")
def _neuron(request):
    return MADE[request.param]().double()


@pytest.fixture(name="x_seq")
def _x_seq():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(9, 4, 3, 5, generator=generator, dtype=torch.float64)


def resting(neuron, like):
    found = neuron.resting(like)
    return torch.zeros_like(like) if found is None else found.expand_as(like)


def test_spikes_add_up_to_the_reconstruction(neuron, x_seq):
    spikes = neuron(x_seq)
    followed = neuron.cumulative(x_seq.cumsum(0))
    assert spikes.abs().sum() > 0
    total = resting(neuron, x_seq[0]) + spikes.cumsum(0)
    torch.testing.assert_close(total, followed, rtol=0, atol=1e-12)


def test_steps_are_the_sequence(neuron, x_seq):
    steps = torch.stack([neuron.step(x) for x in x_seq])
    torch.testing.assert_close(steps, neuron(x_seq), rtol=0, atol=1e-12)
    neuron.reset()
    torch.testing.assert_close(neuron.step(x_seq[0]), steps[0], rtol=0, atol=0)


@pytest.mark.parametrize("sizes", [(9,), (1,) * 9, (4, 5), (1, 8)])
def test_chunks_of_a_folded_run_are_the_sequence(neuron, x_seq, sizes):
    drive = x_seq.cumsum(0)
    clock, found = Clock(1, total=9), []
    for chunk in drive.split(sizes):
        clock.steps = len(chunk)
        folded = neuron.track(chunk.flatten(0, 1), clock, "n", 0)
        found.append(folded.unflatten(0, (len(chunk), -1)))
        clock.start += len(chunk)
    assert torch.equal(torch.cat(found), neuron.cumulative(drive))


def test_time_may_be_folded_into_another_dimension():
    neuron = MultiThreshold(0.8, levels=5)
    drive = torch.randn(6, 4, 3).cumsum(0)
    tokens_first = drive.movedim(0, 1).transpose(0, 1)  # [T, B, L]
    folded = tokens_first.permute(2, 0, 1).flatten(1, 2)  # [L, T * B]
    found = neuron.track(folded, Clock(6, total=6), "n", 1)
    expected = neuron.cumulative(tokens_first)
    assert torch.equal(found.unflatten(1, (6, -1)).permute(1, 2, 0), expected)


def test_spikes_are_of_the_alphabet(x_seq):
    for made in (
        "multi",
        "multi channel",
        "multi four",
        "multi eight bounds",
        "st-bif",
        "st-bif channel",
        "if",
        "if half",
    ):
        neuron = MADE[made]().double()
        top = neuron.v_threshold
        sizes = (neuron(x_seq) / top).abs()
        allowed = torch.tensor([0.0, *shares_of(neuron.ladder)])
        distance = (sizes.unsqueeze(-1) - allowed).abs().amin(-1)
        assert distance.max() < 1e-9, made
        if not neuron.ladder.signed:
            assert neuron(x_seq).min() >= 0


@pytest.mark.parametrize(
    "made", ["multi bounds", "multi eight bounds", "sigma-delta bounds", "st-bif", "st-bif channel"]
)
def test_sums_stay_in_their_bounds(made):
    neuron = MADE[made]().double()
    drive = 4 * torch.randn(40, 7, 3, 5, dtype=torch.float64)
    followed = neuron.cumulative(drive)
    low, high = neuron.target.limits
    if made.startswith("st-bif"):
        low, high = neuron.low * neuron.v_threshold, neuron.high * neuron.v_threshold
    assert bool((followed >= low).all()) and bool((followed <= high).all())
    near = 0.31 if made.startswith("sigma") else 0.03
    assert bool((followed >= high - near).any()) and bool((followed <= low + near).any())


def test_st_bif_is_its_quantiser_at_equilibrium():
    neuron = STBIF(0.25, low=-4, high=3).double()
    x = 1.5 * torch.randn(300, dtype=torch.float64).unsqueeze(0)
    quantised = 0.25 * torch.clip(torch.round(x / 0.25), -4, 3)
    up = torch.cat([3 * x.expand(10, 1, 300), x.expand(20, 1, 300)])
    for drive in (x.expand(12, 1, 300), up):
        torch.testing.assert_close(neuron.cumulative(drive)[-1], quantised, rtol=0, atol=1e-12)
    assert not torch.equal(neuron.cumulative(x.expand(2, 1, 300))[-1], quantised)


@pytest.mark.parametrize(("per_octave", "by"), [(1, 3), (2, 5), (4, 7.85), (8, 13.8)])
def test_a_ladder_divides_the_residual(per_octave, by):
    neuron = MultiThreshold(1.0, levels=12, per_octave=per_octave).double()
    x = torch.rand(1, 2000, dtype=torch.float64) * 2 - 1
    followed = neuron.cumulative(x.expand(8, 1, 2000))
    residual, floor = (x - followed).abs(), 2.0**-11 * neuron.ladder.fire_at
    assert bool((residual[0] <= torch.clamp(x.abs() / by, min=floor) + 1e-12).all())
    large = x[0].abs() > 0.1
    assert (residual[0, 0, large] / x[0, large].abs()).max() > 1 / by / 1.05
    for t in range(1, 8):
        assert bool((residual[t] <= torch.clamp(residual[t - 1] / by, min=floor) + 1e-12).all())
    assert residual[-1].max() <= floor


def test_inverse_time_has_no_floor():
    x = torch.rand(1, 2000, dtype=torch.float64)
    errors = {}
    for gain in ("constant", "inverse_time"):
        neuron = MultiThreshold(1.0, levels=4, gain=gain).double()
        errors[gain] = (x - neuron.cumulative(x.expand(64, 1, 2000))[-1]).abs().max()
    assert errors["inverse_time"] < errors["constant"] / 20


def test_integrate_and_fire_codes_a_current_by_its_rate():
    current = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(0)
    ramp = torch.arange(1, 33).reshape(-1, 1, 1) * current / 32
    down = IntegrateAndFire(1 / 32).double().cumulative(ramp)[-1]
    near = IntegrateAndFire(1 / 32, start="half").double().cumulative(ramp)[-1]
    relu = current.clamp_min(0)
    assert (down - relu).abs().max() <= 1 / 32 + 1e-9
    assert (near - relu).abs().max() <= 1 / 64 + 1e-9
    hard = IntegrateAndFire(0.3, reset="hard").double().cumulative(8 * ramp)[-1]
    soft = IntegrateAndFire(0.3).double().cumulative(8 * ramp)[-1]
    assert hard.sum() < soft.sum()


def test_sigma_delta_is_within_half_a_step():
    neuron = SigmaDelta(0.1).double()
    drive = torch.randn(20, 50, 3, dtype=torch.float64).cumsum(0)
    assert (neuron.cumulative(drive) - drive).abs().max() <= 0.05 + 1e-12


def test_lif_is_its_equation():
    x_seq = torch.rand(12, 5, 2, dtype=torch.float64)
    for reset in ("soft", "hard"):
        v, expected = torch.zeros(5, 2, dtype=torch.float64), []
        for x in x_seq:
            v = v * (1 - 1 / 3.0) + x
            s = (v >= 0.75).double() * 0.75
            v = torch.where(s > 0, v - s if reset == "soft" else torch.zeros_like(v), v)
            expected.append(s)
        found = LIF(0.75, tau=3.0, reset=reset).double()(x_seq)
        torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)
        assert found.sum() > 0


def test_spikes_through_maps_and_products_are_the_map_of_their_sums(neuron, x_seq):
    """The increment form: spikes through every operator, the bias once, the product rule."""
    linear = nn.Linear(5, 6).double()
    spikes, start = neuron(x_seq), resting(neuron, x_seq[0])
    followed = neuron.cumulative(x_seq.cumsum(0))
    total = linear(start)
    previous, product = start, start @ start.mT
    for t, s in enumerate(spikes):
        total = total + s @ linear.weight.T
        now = previous + s
        product = product + s @ now.mT + previous @ s.mT
        previous = now
        for found, expected in (
            (total, linear(followed[t])),
            (product, followed[t] @ followed[t].mT),
        ):
            scale = expected.abs().max().clamp_min(1.0)
            assert (found - expected).abs().max() <= 1e-9 * scale


def test_state_does_not_change_its_shape(neuron):
    neuron.step(torch.randn(4, 3, 5, dtype=torch.float64))
    with pytest.raises(StateError, match="reset"):
        neuron.step(torch.randn(2, 3, 5, dtype=torch.float64))
    neuron.reset()
    neuron.step(torch.randn(2, 3, 5, dtype=torch.float64))


def test_state_is_copied_and_not_saved(neuron, x_seq):
    neuron.step(x_seq[0])
    copies = copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron))
    expected = neuron.step(x_seq[1])
    assert all(torch.equal(c.step(x_seq[1]), expected) for c in copies)
    assert set(neuron.state_dict()) == {"v_threshold", "rest"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_followed_in_float32(dtype):
    neuron = MultiThreshold(1.0, levels=6)
    x = torch.rand(1, 100).to(dtype)
    found = neuron(torch.cat([x, torch.zeros(5, 100, dtype=dtype)]).unsqueeze(1))
    assert found.dtype is dtype
    assert (found.float().sum(0) - x.float()).abs().max() < 0.05


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MultiThreshold(0.0), "above 0"),
        (lambda: MultiThreshold(float("nan")), "finite"),
        (lambda: MultiThreshold(torch.ones(3)), "axis"),
        (lambda: MultiThreshold(torch.ones(3), axis=0), "batch"),
        (lambda: MultiThreshold(levels=0), "levels"),
        (lambda: MultiThreshold(gain="linear"), "constant, inverse_time, halving"),
        (lambda: MultiThreshold(target=clip(1.0, 0.5)), "low < high"),
        (lambda: MultiThreshold(rest=torch.ones(3)), "rest"),
        (lambda: MultiThreshold(rest=-0.1, target=clip(0.0, 1.0)), "rest must lie within"),
        (lambda: STBIF(low=1), "low"),
        (lambda: LIF(tau=0.0), "tau"),
        (lambda: LIF(reset="none"), "soft, hard"),
        (lambda: IntegrateAndFire(start="full"), "zero, half"),
        (lambda: MultiThreshold(surrogate="step"), "atan"),
        (lambda: MultiThreshold()(torch.randn(3)), "time first"),
        (lambda: MultiThreshold(torch.ones(3), axis=1)(torch.randn(2, 4, 5)), "3 features"),
        (lambda: MultiThreshold().step(torch.ones(2, dtype=torch.int64)), "floating"),
    ],
)
def test_what_does_not_fit_is_told(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_every_neuron_has_a_name_in_rule_files():
    assert {type(MADE[m]()) for m in MADE} == set(NEURONS.values())


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("levels", [1, 2, 7])
@pytest.mark.parametrize("fire_at", [0.5, 0.75, 1.0])
@pytest.mark.parametrize("per_octave", [1, 2, 4, 8])
def test_a_tracker_is_its_equation(signed, levels, fire_at, per_octave):
    options = {"signed": signed, "fire_at": fire_at, "gain": "inverse_time"}
    if levels == 1 and per_octave > 1:
        with pytest.raises(InputError, match="per_octave must be one of 1, 2, 4, 8, and 1 with"):
            Tracker(0.6, levels=levels, per_octave=per_octave, **options)
        return
    neuron = Tracker(0.6, levels=levels, per_octave=per_octave, **options)
    shares = {2.0**-k * (1 + j / per_octave) for k in range(levels) for j in range(per_octave)}
    ladder = sorted((share for share in shares if share <= 1), reverse=True)
    drive = torch.randn(6, 7, 4, generator=torch.Generator().manual_seed(3)).double().cumsum(0)
    expected = torch.zeros_like(drive)
    for index in torch.cartesian_prod(torch.arange(7), torch.arange(4)).tolist():
        total = 0.0
        for t in range(6):
            residual = float(drive[t][tuple(index)]) - total
            top = float(neuron.v_threshold) / (t + 1)
            fired = [top * share for share in ladder if abs(residual) >= fire_at * top * share]
            if fired and (signed or residual > 0):
                total += math.copysign(fired[0], residual)
            expected[t][tuple(index)] = total
    assert expected.abs().sum() > 0
    torch.testing.assert_close(neuron.cumulative(drive), expected, rtol=0, atol=1e-9)


def test_values_do_not_depend_on_how_the_batch_is_cut(neuron, x_seq, monkeypatch):
    whole = neuron.cumulative(x_seq)
    monkeypatch.setattr("snnconvert.ops.neurons.blocks._BLOCK", 7)
    clock = Clock(5, total=9)
    parts = [neuron.track(x_seq[:5].flatten(0, 1), clock, "n", 0).unflatten(0, (5, -1))]
    clock.steps, clock.start = 4, 5
    parts.append(neuron.track(x_seq[5:].flatten(0, 1), clock, "n", 0).unflatten(0, (4, -1)))
    assert torch.equal(torch.cat(parts), whole)
    assert neuron.cumulative(x_seq[:, :0]).shape == (9, 0, 3, 5)


def test_a_drive_may_have_any_strides(neuron, x_seq):
    strided = x_seq.transpose(1, 2).contiguous().transpose(1, 2)
    assert not strided.is_contiguous()
    assert torch.equal(neuron.cumulative(strided), neuron.cumulative(x_seq))


@pytest.mark.parametrize("gain", ["inverse_time", "halving"])
def test_the_floor_falls_with_the_gain(gain):
    neuron = MultiThreshold(1.0, levels=4, gain=gain).double()
    x = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    residual = (x - neuron.cumulative(x.expand(12, 1, 1001))).abs().amax((1, 2))
    for t in range(4, 12):
        smallest = 2.0**-3 * (1 / (t + 1) if gain == "inverse_time" else 2.0**-t)
        assert smallest / 4 < residual[t] <= 0.75 * smallest + 1e-12


def test_half_a_step_is_answered_once():
    """One spike up and one down for ever would be no equilibrium."""
    x = torch.tensor([0.5, 1.5, -0.5, -1.5, 2.5])
    for first in (0.0, 3.0, -3.0):
        drive = torch.cat([torch.full((4, 1, 5), first), x.expand(8, 1, 5)])
        followed = STBIF(1.0, low=-8, high=8).cumulative(drive)
        assert torch.equal(followed[-1], torch.floor(x + 0.5).unsqueeze(0))
        assert torch.equal(followed[-1], followed[-2])


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_integrate_and_fire_stops_at_its_bound(reset):
    neuron = IntegrateAndFire(0.4, reset=reset, target=clip(None, 1.0)).double()
    followed = neuron.cumulative(torch.linspace(0, 9, 20).double().reshape(-1, 1, 1)).flatten()
    assert followed.max().item() == pytest.approx(0.8) == followed[-1].item()
    assert "limits" in repr(neuron)


def test_hard_reset_loses_what_was_above_the_threshold():
    increments = torch.tensor([1.5, 0.75, 0.5]).reshape(-1, 1, 1)
    assert IntegrateAndFire(1.0)(increments).flatten().tolist() == [1.0, 1.0, 0.0]
    assert IntegrateAndFire(1.0, reset="hard")(increments).flatten().tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_type_steps_are_the_sequence(neuron, x_seq, dtype):
    x_seq = x_seq.to(dtype)
    found = neuron(x_seq)
    assert found.dtype is dtype and found.abs().sum() > 0
    assert torch.equal(torch.stack([neuron.step(x) for x in x_seq]), found)


def test_state_follows_the_module(neuron, x_seq):
    expected = neuron(x_seq)
    for move, dtype in ((neuron.to, torch.float64), (neuron.to, torch.float32)):
        neuron.reset()
        neuron.step(x_seq[0].to(neuron.v_threshold.dtype))
        move(dtype)
        found = neuron.step(x_seq[1].to(dtype))
        assert found.dtype is dtype
        torch.testing.assert_close(found.double(), expected[1], rtol=0, atol=1e-6)
    neuron.half()
    assert neuron.step(x_seq[2].half()).dtype is torch.float16
    with pytest.raises(StateError, match="float16"):
        neuron.step(x_seq[3].float())


def test_a_copy_of_a_state_with_history_has_none(neuron, x_seq):
    neuron.step(x_seq[0].clone().requires_grad_())
    twin = copy.deepcopy(neuron)
    assert not twin.step(x_seq[1]).requires_grad


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MultiThreshold(-1.0), "v_threshold must be finite and above 0"),
        (lambda: MultiThreshold(float("inf")), "v_threshold must be finite"),
        (lambda: MultiThreshold(torch.tensor([1.0, 0.0]), axis=1), "v_threshold"),
        (lambda: MultiThreshold(levels=2.0), "levels must be a whole number >= 1"),
        (lambda: MultiThreshold(target=clip(float("nan"), 1.0)), "low < high"),
        (lambda: SigmaDelta(target=clip(0.0, 0.0)), "low < high"),
        (lambda: STBIF(low=-1.5), "low and high must be whole numbers"),
        (lambda: STBIF(low=0, high=0), "low <= 0 <= high, apart"),
        (lambda: LIF(tau=float("nan")), "tau must be a finite number above 0"),
        (lambda: IntegrateAndFire(reset="none"), "reset must be one of soft, hard"),
        (lambda: SigmaDelta(surrogate="step"), "atan, sigmoid, erf, triangle"),
        (lambda: SigmaDelta(torch.ones(3), axis=-2)(torch.randn(2, 3, 4)), "not the batch"),
        (lambda: SigmaDelta(torch.ones(3), axis=2)(torch.randn(2, 4, 3)), "axis=2"),
        (lambda: SigmaDelta(torch.ones(3), axis=1)(torch.randn(2, 4, 1)), "3 features"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize("per_octave", [1, 2, 8])
def test_spikes_are_cut_to_a_level_at_a_bound(per_octave):
    """Drives that jump against bounds between the levels."""
    generator = torch.Generator().manual_seed(4)
    drive = 2 * torch.randn(12, 1, 4000, generator=generator, dtype=torch.float64)
    neuron = MultiThreshold(1.0, levels=5, per_octave=per_octave, target=clip(-0.8, 1.3)).double()
    spikes = torch.diff(neuron.cumulative(drive), dim=0, prepend=torch.zeros_like(drive[:1]))
    allowed = torch.tensor([0.0, *shares_of(neuron.ladder)], dtype=torch.float64)
    assert (spikes.abs().unsqueeze(-1) - allowed).abs().amin(-1).max() < 1e-12
    settled = neuron.cumulative(drive[:1].expand(12, 1, 4000))[-1]
    # A level that does not fit is halved, never left out: only half the smallest is lost.
    assert (settled - drive[0].clamp(-0.8, 1.3)).abs().max() <= 2.0**-4 + 1e-12


@pytest.mark.parametrize("make", [MultiThreshold, STBIF])
def test_rounding_leaves_no_bound_and_adds_no_spikes(make):
    """In float32, sums of many thresholds end near a bound, not on it."""
    q = torch.rand(500, generator=torch.Generator().manual_seed(5)) + 0.05
    far = torch.tensor([50.0, -50.0]).reshape(2, 1, 1) * torch.ones(1, 1, 500)
    drive = far.repeat_interleave(40, 0).repeat(2, 1, 1)
    if make is STBIF:
        neuron = STBIF(q, low=-11, high=13, axis=-1)
        low, high = -11 * q, 13 * q
    else:
        neuron = MultiThreshold(q, levels=3, axis=-1, target=clip(-0.7, 0.9))
        low, high = torch.tensor(-0.7), torch.tensor(0.9)
    followed = neuron.cumulative(drive)
    assert bool((followed >= low).all()) and bool((followed <= high).all())
    spikes = torch.diff(followed, dim=0, prepend=torch.zeros_like(followed[:1]))
    assert spikes[spikes != 0].abs().min() > 0.2 * q.min()
    if make is STBIF:
        assert bool(((spikes != 0).sum(0) == 13 + 24 + 24 + 24).all())


def test_sigma_delta_comes_back_by_as_few_steps_as_it_can():
    neuron = SigmaDelta(0.3, target=clip(-0.5, 1.0)).double()
    drive = torch.tensor([2.0, 0.96, -2.0, -0.46, 0.31]).double().reshape(-1, 1, 1)
    assert neuron.cumulative(drive).flatten().tolist() == pytest.approx([0.9, 0.9, -0.3, -0.3, 0.3])


@pytest.mark.parametrize("make", [MultiThreshold, SigmaDelta])
def test_a_sum_reaches_a_bound_in_spite_of_rounding(make):
    q = torch.rand(500, generator=torch.Generator().manual_seed(6)) + 0.05
    neuron = make(
        q, axis=-1, target=clip(0.0, None), **({"levels": 3} if make is MultiThreshold else {})
    )
    there = 6 * torch.rand(20, 1, 500, generator=torch.Generator().manual_seed(7)) * q
    followed = neuron.cumulative(torch.cat([there, torch.zeros(40, 1, 500)]))
    assert followed[19].mean() > 0.1
    assert followed[-1].max() < 1e-6
    end = (
        MultiThreshold(0.3, levels=1, target=clip(0.0, 0.9)),
        SigmaDelta(0.3, target=clip(0.0, 0.9)),
    )
    for neuron in end:
        assert neuron.cumulative(torch.full((9, 1, 1), 5.0))[-1].item() == pytest.approx(0.9)


def test_neurons_run_without_values_and_in_export(neuron, x_seq):
    expected = neuron.cumulative(x_seq)
    program = torch.export.export(Followed(neuron), (x_seq,), strict=False)
    torch.testing.assert_close(program.module()(x_seq), expected)
    shapes = copy.deepcopy(neuron).to("meta")
    assert shapes.cumulative(x_seq.to("meta")).shape == x_seq.shape
    assert shapes(x_seq.to("meta")).shape == x_seq.shape
    assert "on meta" in repr(shapes)


class Followed(torch.nn.Module):
    def __init__(self, neuron):
        super().__init__()
        self.neuron = neuron

    def forward(self, x_seq):
        return self.neuron.cumulative(x_seq)


def test_a_rest_that_is_loaded_is_where_it_starts():
    neuron, other = (MultiThreshold(0.5, rest=rest) for rest in (0.0, 0.25))
    neuron.load_state_dict(other.state_dict())
    x_seq = torch.randn(3, 2, 4)
    assert torch.equal(neuron(x_seq), other(x_seq))
    assert torch.equal(neuron.resting(x_seq[0]), torch.tensor(0.25))


@pytest.mark.parametrize("bursts", [1, 3])
@pytest.mark.parametrize("name", sorted(MADE))
def test_a_steady_neuron_that_a_step_leaves_as_it_was_is_silent_for_ever(name, bursts):
    """On the same drive: a run may stop there."""
    neuron = MADE[name]()
    assert neuron.steady == (name not in ("multi inverse", "multi halving"))
    if not neuron.steady:
        return
    neuron.bursts = bursts
    drive = torch.linspace(-3, 3, 250, dtype=torch.float64).reshape(1, 10, 5, 5)
    state, still = {}, torch.zeros(drive.shape[1:], dtype=torch.bool)
    for t in range(40):
        before = dict(state)
        answers = neuron.answers(drive, state, t)[0]
        last = before.get("R", neuron.resting(drive[0]).expand_as(drive[0]))
        silent = (torch.diff(answers, dim=0, prepend=last[None]) == 0).all(0)
        same = [now == before[key] for key, now in state.items() if key in before]
        now_still = torch.stack(same).all(0) if same else torch.zeros_like(still)
        assert not (still & ~now_still).any() and not (now_still & ~silent).any()
        still = now_still
    assert still.any() or name == "lif"  # whose leak goes on for thousands of steps


@pytest.mark.parametrize("gain", ["inverse_time", "halving"])
def test_a_neuron_whose_threshold_falls_may_speak_after_a_silent_step(gain):
    state = {}
    neuron = MultiThreshold(1.0, levels=2, gain=gain)
    spoken = [float(neuron.advance(torch.full((1, 1), 0.3), state, t)) for t in range(4)]
    assert spoken[0] == 0.0 != spoken[-1] and not neuron.steady
