"""The operator of a ladder's scan: all forms of it have the bits of the equation."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from snnconvert.errors import InputError
from snnconvert.ops.neurons import MultiThreshold, Tracker, ladder
from snnconvert.ops.neurons.operators import in_order
from snnconvert.ops.neurons.scan import DUST
from snnconvert.ops.neurons.spike import Ladder, fire_ladder_
from snnconvert.ops.targets import clip

FORMS = {
    "blocks": in_order(ladder._in_blocks),
    "compiled": pytest.param(
        ladder._compiled,
        marks=pytest.mark.skipif(ladder._native is None, reason="there was no compiler"),
    ),
}


@pytest.fixture(params=FORMS.values(), ids=FORMS, name="form", scope="module")
def _form(request):
    return request.param


def arguments_of(drive, before, top, levels, per_octave, signed, limits, bursts, kept, axis):
    """Return the arguments of the operator for a ladder's largest level, ``[T or 1, F]``."""
    tops = torch.as_tensor(top, dtype=drive.dtype)
    rates, pers = (tops * _fire_at(per_octave)).reciprocal(), (1 + DUST) / tops
    low, high = limits
    factors = (tops, rates, pers)
    return (drive, before, *factors, levels, per_octave, signed, low, high, bursts, kept, axis)


def _fire_at(per_octave):
    return 0.75 if per_octave == 1 else 1 - 1 / (3 * per_octave)


def by_equation(
    drive, before, tops, rates, pers, levels, per_octave, signed, low, high, bursts, kept, axis
):
    """Return what the operator's docstring says, with new memory for every term."""
    made = Ladder(levels, per_octave, signed=signed)
    dims = [-1 if axis is not None and d == axis else 1 for d in range(drive.dim() - 1)]
    followed, last = [], before
    for t, x in enumerate(drive):
        top, rate, per = (f[min(t, len(f) - 1)].reshape(dims) for f in (tops, rates, pers))
        answers = []
        for _ in range(bursts):
            w = (x - last) * rate
            if high is not None:
                w = torch.minimum(w, (high - last) * per)
            if low is not None:
                w = torch.maximum(w, (low - last) * per)
            last = last + fire_ladder_(w, made) * top
            if (low, high) != (None, None):
                last = last.clamp(low, high)
            answers.append(last)
        followed += answers[-kept:]
    return torch.stack(followed)


def the_same(found, expected):
    """Tell whether two tensors are equal to the bit, but for what is no number."""
    numbers = torch.equal(found.isnan(), expected.isnan())
    return numbers and torch.equal(found.nan_to_num(), expected.nan_to_num())


@st.composite
def _scans(draw):
    seed = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    steps, bursts = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 17, 70]), min_size=1, max_size=4))
    drive = 2 * torch.randn(steps, *shape, generator=seed, dtype=dtype)
    odd = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-40, -1e-310], dtype=dtype)
    at = torch.randint(drive.numel(), (4,), generator=seed)
    drive.view(-1)[at] = odd[torch.randint(len(odd), (4,), generator=seed)]
    order = draw(st.permutations(range(len(shape) + 1)))
    drive = drive.permute(order).contiguous().permute([order.index(d) for d in range(len(order))])
    if draw(st.booleans()):  # with gaps
        dim = draw(st.integers(0, drive.dim()))
        drive = torch.stack([drive, drive], dim).select(dim, 0)
    if draw(st.booleans()):  # held
        drive = drive[:1].expand(steps, *drive.shape[1:])
    shape = drive.shape[1:]
    axis = draw(
        st.one_of(st.none(), st.integers(1, len(shape) - 1)) if len(shape) > 1 else st.none()
    )
    features = 1 if axis is None else draw(st.sampled_from([1, shape[axis]]))
    rows = draw(st.sampled_from([1, len(drive)]))
    tops = torch.rand(rows, features, generator=seed, dtype=dtype) + 0.1
    levels = draw(st.sampled_from([1, 2, 5, 20]))
    per_octave = 1 if levels == 1 else draw(st.sampled_from([1, 2, 4, 8]))
    signed = draw(st.booleans())
    low = draw(st.sampled_from([None, 0.0, -0.7])) if signed else None
    high = draw(st.sampled_from([None, 0.0, 1.3]))
    before = torch.zeros((), dtype=dtype).expand(shape)
    if draw(st.booleans()):
        before = torch.rand(shape, generator=seed, dtype=dtype)
    kept = draw(st.integers(1, bursts))
    return arguments_of(
        *(drive, before, tops, levels, per_octave, signed, (low, high), bursts, kept, axis)
    )


@given(_scans())
@settings(deadline=None, max_examples=60)
def test_every_form_has_the_bits_of_the_equation(form, scan):
    assert the_same(form(*scan), by_equation(*scan))


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 70_000])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_parts_and_threads_make_no_difference(form, size, threads):
    drive = torch.randn(3, 2, size, generator=torch.Generator().manual_seed(size))
    scan = arguments_of(
        *(drive, torch.zeros(2, size), [[0.9]], 8, 4, True, (None, 1.0), 3, 1, None)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = form(*scan)
    finally:
        torch.set_num_threads(before)
    assert the_same(found, by_equation(*scan))


def test_what_is_empty_stays_empty(form):
    drive = torch.zeros(3, 0, 5)
    scan = arguments_of(drive, drive[0], [[1.0]], 8, 4, True, (None, None), 3, 3, None)
    assert form(*scan).shape == (9, 0, 5)


def test_answers_lie_as_the_drive_does_where_it_has_no_gaps():
    neuron = MultiThreshold(1.0, levels=8)
    images = torch.randn(2, 3, 4, 5, 5).to(memory_format=torch.contiguous_format)
    last = images.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, (2, 3))
    assert neuron.cumulative(last).stride() == last.stride()
    thirds = torch.randn(2, 4, 3, 6).unbind(2)[1]
    assert neuron.cumulative(thirds).is_contiguous()


def test_a_fake_has_the_shape_and_strides():
    for drive in (torch.randn(2, 3, 4), torch.randn(2, 4, 3).mT, torch.randn(2, 3, 8)[..., ::2]):
        scan = (drive, drive[0], [[1.0]], 8, 4, True, (None, None), 3)
        for kept in (1, 3):
            real = torch.ops.snnconvert.ladder_scan(*arguments_of(*scan, kept, None))
            with FakeTensorMode() as mode:
                given = (mode.from_tensor(x) if torch.is_tensor(x) else x for x in scan)
                fake = torch.ops.snnconvert.ladder_scan(*arguments_of(*given, kept, None))
            assert (fake.shape, fake.stride()) == (real.shape, real.stride())


def _wrong(**changed):
    drive = changed.pop("drive", torch.randn(2, 3, 4))
    names = "before top levels per_octave signed limits bursts kept axis".split()
    usual = (drive[0], [[1.0]], 8, 4, True, (None, None), 3, 1, None)
    return arguments_of(drive, **{**dict(zip(names, usual, strict=True)), **changed})


@pytest.mark.parametrize(
    "scan",
    [
        _wrong(before=torch.zeros(3, 4, dtype=torch.float64)),
        _wrong(before=torch.zeros(3)),
        _wrong(top=[[1.0]] * 3),
        _wrong(top=[1.0]),
        _wrong(top=[[1.0, 2.0]], axis=1),
        _wrong(top=[[]]),
        _wrong(levels=0),
        _wrong(per_octave=-1),
        _wrong(per_octave=2**62 + 1),
        _wrong(before=torch.zeros(3, 4, device="meta")),
        _wrong(drive=torch.zeros(2), before=torch.zeros(())),
        _wrong(kept=4),
        _wrong(kept=0),
        _wrong(drive=torch.zeros(2, 3, 4, dtype=torch.half)),
    ],
)
def test_nothing_is_read_that_is_not_there(scan):
    with pytest.raises(InputError, match="ladder_scan"):
        torch.ops.snnconvert.ladder_scan(*scan)


def test_a_drive_may_have_many_dimensions():
    drive = torch.randn(2, *[1, 2] * 9)
    neuron = Tracker(0.5, levels=4, target=clip(-1.0, 1.0))
    assert torch.equal(neuron.cumulative(drive).flatten(1), neuron.cumulative(drive.flatten(1)))
