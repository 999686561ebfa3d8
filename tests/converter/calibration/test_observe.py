"""What is kept of drives: exact extremes, and a bounded, even sample of rows."""

from __future__ import annotations

import pytest
import torch

from snnconvert.converter.calibration.observe import SAMPLE, Observed, is_held_back
from snnconvert.errors import CalibrationError
from tests.converter.calibration.conftest import seen


def in_order(rows):
    """Rows in the order of their first values, which are all different."""
    return rows[rows[:, 0].argsort()]


@pytest.mark.parametrize("axes", [(1,), (2,), (2, 1), ()])
def test_all_is_as_computed_by_hand(axes):
    batches = [torch.randn(3, 4, 5) * (i + 1) for i in range(5)]
    observed = seen(*batches, axes=axes)
    parts = {
        "fitted": [batches[i] for i in (0, 2, 3)],
        "held back": [batches[i] for i in (1, 4)],
        "whole": [batches[i] for i in (0, 2, 3, 1, 4)],
    }
    assert [i for i in range(9) if is_held_back(i)] == [1, 4, 7]
    assert observed.count == 5 * 60
    for axis in axes or (-1,):
        rows = {
            name: torch.cat(
                [x.movedim(axis, -1).flatten(0, -2) if axes else x.reshape(-1, 1) for x in batches_]
            )
            for name, batches_ in parts.items()
        }
        assert torch.equal(in_order(observed.judged(axis)), in_order(rows["held back"]))
        for name, sample in (("fitted", observed.fitted), ("whole", observed.whole())):
            assert torch.equal(in_order(sample.rows[axis]), in_order(rows[name]))
            assert (sample.low, sample.high) == (rows[name].min().item(), rows[name].max().item())
            assert sample.count == rows[name].numel()
            assert sample.extreme == rows[name].abs().max()
            if axes:
                assert torch.equal(sample.ends[axis][0], rows[name].amin(0))
                assert torch.equal(sample.ends[axis][1], rows[name].amax(0))
                assert torch.equal(sample.extremes[axis], rows[name].abs().amax(0))
        assert set(observed.whole().ends) == set(axes)


@pytest.mark.parametrize("features", [1, 8, SAMPLE])
def test_memory_is_bounded_and_the_sample_even(features):
    batches, size = 24, 40 if features == SAMPLE else 600
    observed = Observed("site", (1,))
    for index in range(batches):
        rows = torch.full((size, features), float(index))
        rows[:, 0] += torch.arange(size) / size
        observed.see(rows, index)
    kept = max(32, SAMPLE // features)
    sample = observed.fitted
    wanted = min(kept, 16 * size)
    assert sample.rows[1].shape == (wanted, features)
    assert len(observed.judged(1)) == min(kept, 8 * size)
    assert sample.count == 16 * size * features  # what is not kept is counted
    values, at = (
        sample.rows[1][:, 0],
        torch.tensor([i for i in range(batches) if not is_held_back(i)]),
    )
    assert len(values.unique()) == wanted  # no row twice
    shares = (values.floor()[:, None] == at).sum(0) * 16 / wanted
    assert shares.sum() == 16  # of these batches alone
    if features == 8:
        assert shares.min() > 0.5 and shares.max() < 1.5
    elif features == SAMPLE:
        assert (shares > 0).sum() > 8


def test_large_batches_are_sampled_as_many_small_ones_are():
    rows = torch.arange(4000.0).reshape(-1, 1).expand(-1, 8)
    one, many = Observed("site", (1,)), Observed("site", (1,))
    one.see(rows, 0)
    for index, batch in enumerate(rows.split(100)):
        many.see(batch, 3 * index)  # none is held back
    for sample in (one.whole(), many.whole()):
        values = sample.rows[1][:, 0]
        assert len(values) == len(values.unique()) == SAMPLE // 8
        assert (values < 2000).float().mean() == pytest.approx(0.5, abs=0.06)
        assert (sample.low, sample.high, sample.count) == (0.0, 3999.0, 32000)
        assert torch.equal(sample.extremes[1], torch.full((8,), 3999.0))


def test_a_large_batch_has_more_of_the_sample_than_a_small_one():
    rows = torch.arange(22_000.0).reshape(-1, 1).expand(-1, 8)
    observed = Observed("site", (1,))
    observed.see(rows[:20_000], 0)
    observed.see(rows[20_000:], 2)
    share = (observed.fitted.rows[1][:, 0] < 20_000).float().mean()
    assert share == pytest.approx(20 / 22, abs=0.03)


def test_one_batch_of_eight_or_two_of_four_are_the_same_where_all_is_kept():
    rows = torch.randn(8, 3)
    one, two = seen(rows).whole(), Observed("site", (1,))
    two.see(rows[:4], 0)
    two.see(rows[4:], 2)
    assert torch.equal(in_order(one.rows[1]), in_order(two.whole().rows[1]))
    assert (one.low, one.high, one.count) == (two.whole().low, two.whole().high, two.count)


def test_the_sample_is_the_same_in_every_run_and_another_at_another_site():
    rows = torch.randn(5000, 8)
    first, again = seen(rows, rows + 1), seen(rows, rows + 1)
    torch.manual_seed(3)
    assert torch.equal(first.whole().rows[1], again.whole().rows[1])
    other = seen(rows, rows + 1, name="head.input_neuron")
    assert not torch.equal(first.fitted.rows[1], other.fitted.rows[1])


def test_positions_that_share_a_site_are_sampled_apart():
    rows = torch.arange(3000.0).reshape(-1, 1).expand(-1, 8)
    observed = Observed("site", (1,))
    observed.see(rows, 0)
    observed.see(rows + 0.5, 0)
    values = observed.whole().rows[1][:, 0]
    first, second = values[values % 1 == 0], values[values % 1 != 0] - 0.5
    assert min(len(first), len(second)) > 400
    # The same keys would keep the same rows of both.
    assert len(set(first.tolist()) & set(second.tolist())) < 0.5 * len(first)


def test_what_is_kept_is_no_view_of_what_was_seen():
    x = torch.ones(4, 2, requires_grad=True)
    observed = seen(x)
    with torch.no_grad():
        x.mul_(5)
    assert torch.equal(observed.whole().rows[1], torch.ones(4, 2))
    assert torch.equal(observed.whole().ends[1][1], torch.ones(2))
    assert not observed.whole().rows[1].requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_half_types_are_kept_wide(dtype):
    x = (torch.randn(64, 3) * 100).to(dtype)
    sample = seen(x).whole()
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    assert sample.rows[1].dtype is sample.ends[1][0].dtype is wide
    assert torch.equal(sample.rows[1], x.to(wide))
    assert sample.extreme == x.abs().max().item()


def test_batches_without_values_say_nothing_beside_others():
    x = torch.full((4, 2), 3.0)
    observed = seen(x[:0], x[:0], x, x[:0], x + 1)
    assert (observed.fitted.low, observed.whole().high, observed.count) == (3.0, 4.0, 16)
    assert torch.equal(observed.judged(1), x + 1)  # not the batch that holds nothing
    only_held_back = seen(x[:0], x)
    assert torch.equal(only_held_back.fitted.rows[1], x)
    assert torch.equal(only_held_back.judged(1), x)


def test_a_drive_that_never_has_values_is_zeros():
    observed = seen(torch.zeros(2, 0, 3), torch.zeros(2, 0, 3), axes=(2,))
    for sample in (observed.fitted, observed.whole()):
        assert (sample.low, sample.high) == (0.0, 0.0)
        assert not sample.rows[2].any() and sample.rows[2].shape == (4, 3)
    assert observed.count > 0 and not observed.judged(2).any()


def test_nothing_seen_is_nothing():
    assert seen().count == seen().whole().count == 0


@pytest.mark.parametrize(
    ("value", "words"), [(float("nan"), "NaN"), (-float("inf"), "infinite values")]
)
def test_values_that_are_not_finite_are_told(value, words):
    x = torch.ones(4, 2)
    x[3, 1] = value
    with pytest.raises(CalibrationError) as caught:
        seen(torch.ones(4, 2), x)
    assert str(caught.value) == (
        f"the drive of 'fc.input_neuron' holds {words} in calibration batch 1; thresholds cannot "
        "be found from it. Look at the inputs of that batch, or at the layers before it"
    )
