"""The operator of a counter's scan against its equation."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from snnconvert.errors import InputError
from snnconvert.ops.neurons.counter import counter_scan


def by_equation(drive, before, q, ends, rest, bursts, kept, axis):
    dims = [-1 if d == axis else 1 for d in range(drive.dim() - 1)]
    q, low, high, rest = (x.reshape(dims) for x in (q, *ends, rest))
    count, followed = ((before - rest) / q).round(), []
    for x in drive:
        aim = torch.floor((x - rest) / q + 0.5).clamp(low, high)
        answers = []
        for _ in range(bursts):
            count = count + (aim - count).clamp(-1, 1)
            answers.append(rest + q * count)
        followed += answers[-kept:]
    return torch.stack(followed)


def scan_of(kept=2, bursts=3, axis=1, dtype=torch.float32, **changed):
    seed = torch.Generator().manual_seed(3)
    drive = 3 * torch.randn(4, 5, 6, generator=seed, dtype=dtype)
    q = torch.rand(6, generator=seed, dtype=dtype) + 0.2
    rest = torch.rand(6, generator=seed, dtype=dtype)
    given = {
        "drive": drive,
        "before": rest.expand(5, 6),
        "q": q,
        "ends": (torch.full_like(q, -3), torch.full_like(q, 4)),
        "rest": rest,
    }
    return {**given, "bursts": bursts, "kept": kept, "axis": axis, **changed}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("bursts", "kept"), [(1, 1), (3, 1), (3, 3)])
def test_it_has_the_bits_of_the_equation(dtype, bursts, kept):
    scan = scan_of(kept, bursts, dtype=dtype)
    scan["drive"][0, 0, 0] = torch.nan
    found, expected = counter_scan(**scan), by_equation(**scan)
    assert torch.equal(found.isnan(), expected.isnan()) and found.isnan().any()
    assert torch.equal(found.nan_to_num(), expected.nan_to_num())


def test_a_drive_may_lie_in_any_order():
    scan = scan_of()
    turned = scan["drive"].transpose(1, 2).contiguous().transpose(1, 2)
    found = counter_scan(**{**scan, "drive": turned})
    assert torch.equal(found, counter_scan(**scan)) and found.stride()[1:] == turned.stride()[1:]
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = counter_scan(**{**scan, "drive": mode.from_tensor(turned)})
    assert (fake.shape, fake.stride()) == (found.shape, found.stride())


@pytest.mark.parametrize(
    "changed",
    [
        {"before": torch.zeros(5)},
        {"before": torch.zeros(5, 6, dtype=torch.float64)},
        {"axis": 0},
        {"axis": None},
        {"kept": 4},
        {"q": torch.ones(5)},
        {"rest": torch.zeros(6, device="meta")},
    ],
    ids=str,
)
def test_nothing_is_read_that_is_not_there(changed):
    with pytest.raises(InputError, match="counter_scan"):
        counter_scan(**scan_of(**changed))
