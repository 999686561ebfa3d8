"""The compiled look-up: the bits of a table's own."""

import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from snnconvert.ops import look_up
from snnconvert.ops.layouts import Drives
from snnconvert.ops.tables import finite_or
from snnconvert.ops.targets import FUNCTIONS, Target

pytestmark = pytest.mark.skipif(look_up._native is None, reason="there was no compiler")

RANGES = (Drives(-3.0, 5.0, 1e-3), Drives(0.01, 90.0, 0.01), Drives(-185.0, 79.5, 1e-4))


def _tables():
    for name, row in FUNCTIONS.items():
        parameters = {"negative_slope": 0.013} if name == "leaky_relu" else {}
        if name == "pow":
            parameters = {"exponent": -1.5}
        for number, drives in enumerate(RANGES):
            target = Target(name, row.low, row.high, name, tuple(parameters.items()))
            try:
                table = target.tabulated(drives, 1e-3, 1.1).table
            except Exception:  # no table of this function has such drives
                continue
            if table is not None and table.layout.reading(table.per) is not None:
                yield pytest.param(target, table, id=f"{name}-{number}")


TABLES = list(_tables())


def test_most_functions_are_compiled():
    found = {p.values[0].function for p in TABLES}
    assert len(found) >= 30
    assert {"exp", "rsqrt", "reciprocal", "gelu", "silu", "softplus", "sin"} <= found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("target", "table"), TABLES)
def test_it_has_the_bits_of_the_table(target, table, dtype):
    seed = torch.Generator().manual_seed(1)
    drive = torch.cat(
        [
            torch.randn(3000, generator=seed, dtype=dtype) * 3,
            torch.randn(1000, generator=seed, dtype=dtype) * 100,
            torch.randn(1000, generator=seed, dtype=dtype).exp() ** 9,
            -(torch.randn(1000, generator=seed, dtype=dtype).exp() ** 9),
            torch.linspace(-110, 110, 2001, dtype=dtype),
            torch.tensor([0.0, -0.0, 1e-42, -1e-42, 1e30, -1e30, 3e38, -3e38], dtype=dtype),
            torch.tensor([math.inf, -math.inf, math.nan], dtype=dtype),
        ]
    ).reshape(1, -1)
    found = table.or_rest(drive, target.at_rest)
    expected = finite_or(table(drive), drive, target.at_rest)
    assert torch.equal(found.isnan(), expected.isnan())
    off = (found != expected) & ~expected.isnan()
    assert not off.any(), (drive[off][:5], found[off][:5], expected[off][:5])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_make_no_difference(threads):
    table = Target("gelu", function="gelu").tabulated(Drives(-3.0, 5.0, 1e-3), 1e-3).table
    drive = 4 * torch.randn(70_001, generator=torch.Generator().manual_seed(1))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = table.or_rest(drive, 0.0)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found, table(drive))


def test_other_drives_are_looked_up_otherwise():
    table = Target("gelu", function="gelu").tabulated(Drives(-3.0, 5.0, 1e-3), 1e-3).table
    drive = torch.randn(6, 8)
    for other in (drive.T, drive[:, ::2], drive.half(), drive.bfloat16(), drive[:0]):
        assert torch.equal(table.or_rest(other, 0.0), table(other))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = table.or_rest(mode.from_tensor(drive), 0.0)
    assert (fake.shape, fake.dtype) == (drive.shape, drive.dtype)


def test_an_exported_graph_may_run_where_nothing_was_compiled():
    target, table = TABLES[0].values

    class Table(torch.nn.Module):
        def forward(self, drive):
            return table.or_rest(drive, target.at_rest)

    program = torch.export.export(Table(), (torch.randn(5),))
    assert not any("look_up" in str(node.target) for node in program.graph.nodes)
    drive = torch.randn(5)
    assert torch.equal(program.module()(drive), table.or_rest(drive, target.at_rest))


def test_nothing_is_read_that_is_not_there():
    drive, entries = torch.randn(4), torch.randn(3)
    whole, real = (0,) * 8, (1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert torch.equal(
        look_up.look_up(torch.tensor([-1.0, 0.6, 9.0]), entries, whole, real),
        entries[torch.tensor([0, 1, 2])],
    )
    wrong = [
        (drive, entries.double(), whole, real),
        (drive[::2], entries, whole, real),
        (drive, entries[:0], whole, real),
        (drive, torch.randn(3, 0), whole, real),
        (drive, entries, whole[:7], real),
        (drive, entries, (0, 2**62 + 1, *whole[2:]), real),
        (drive, entries, whole, real[:8]),
    ]
    for given in wrong:
        with pytest.raises(ValueError, match="look_up"):
            look_up.look_up(*given)
