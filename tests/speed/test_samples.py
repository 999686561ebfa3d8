"""What both sides of a bench are run on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconvert
from snnconvert import ConvertedModule
from snnconvert.converter.tracing.trace import trace
from snnconvert.errors import InputError
from snnconvert.speed.samples import Samples, samples_of


class Masked(nn.Module):
    """Floats over a batch in dimension 1, and a mask of the batch in dimension 0."""

    def forward(self, x: Tensor, mask: Tensor, scale: Tensor) -> Tensor:
        return (x * mask.t()[..., None]).tanh() * scale


class Ids(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.head(self.embed(ids) * mask[..., None])


MASKED = torch.randn(5, 2, 3), torch.ones(2, 5, dtype=torch.bool), torch.tensor([2.0, 1.0, 3.0])
DIMS = {0: 1, 1: 0, 2: None}


def masked(batch: int | None = None) -> Samples:
    traced = trace(Masked().eval(), MASKED, held=("scale",), batch_dims=DIMS)
    return samples_of(traced, MASKED, {}, batch)


class Caught:
    """Keeps what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append((*args, *kwargs.values()))


def test_the_source_sees_what_the_increments_add_up_to() -> None:
    samples, source, snn = masked(), Caught(), Caught()
    snn.time_steps = 4  # type: ignore[attr-defined]
    samples.increments(snn)()  # type: ignore[arg-type]
    samples.same(source, 4)()
    ((x, mask, scale),), ((x_seq, held, _),) = source.calls, snn.calls
    assert x.shape == (5, 4 * 2, 3) and x_seq.shape == (4, 5, 2, 3)
    torch.testing.assert_close(x.unflatten(1, (4, 2)).movedim(1, 0), x_seq.cumsum(0))
    torch.testing.assert_close(x[:, -2:], MASKED[0])
    assert mask.shape == (8, 5) and held.shape == (2, 5) and torch.equal(scale, MASKED[2])


def test_both_answer_the_same() -> None:
    model = Masked().eval()
    snn = snnconvert.convert(model, MASKED, held=("scale",), batch_dims=DIMS, time_steps=3)
    samples = samples_of(snn.conversion.source, (), {}, 4)
    y = samples.increments(snn)().cumsum(0)
    wanted = samples.same(model, 3)().unflatten(1, (3, 4)).movedim(1, 0)
    torch.testing.assert_close(y, wanted)
    torch.testing.assert_close(samples.simulated(snn)()[-1], samples.one_run(model)())


def test_samples_are_repeated_or_left_out() -> None:
    five = masked(5)
    assert five.batch == 5 and five.tokens is None
    x, mask, scale = five.leaves
    assert torch.equal(x, MASKED[0][:, [0, 1, 0, 1, 0]]) and mask.shape == (5, 5)
    assert torch.equal(scale, MASKED[2])
    one = masked(1)
    assert torch.equal(one.leaves[0], MASKED[0][:, :1])


def test_one_sample_stays_one() -> None:
    model, x = nn.Linear(3, 2).eval(), torch.randn(1, 3)
    assert samples_of(trace(model, (x,)), (x,), {}).batch == 1


def test_token_ids_are_counted() -> None:
    ids, mask = torch.arange(10).reshape(2, 5), torch.ones(2, 5)
    model = Ids().eval()
    traced = trace(model, (ids, mask), held=("mask",))
    samples = samples_of(traced, (ids, mask), {}, 6)
    assert (samples.batch, samples.tokens) == (6, 5)
    source = Caught()
    samples.same(source, 2)()
    assert torch.equal(source.calls[0][0], ids.repeat(6, 1)) and len(source.calls) == 1


def test_operands_lie_elsewhere_from_call_to_call() -> None:
    source = Caught()
    call = masked().one_run(source)
    call(), call()
    (first, *_), (second, *_) = source.calls
    assert torch.equal(first, second) and first.data_ptr() != second.data_ptr()


def test_a_source_of_one_batch_size_runs_once_for_each_step() -> None:
    program = torch.export.export(nn.Linear(3, 2).eval(), (torch.randn(4, 3),))
    traced = trace(program)
    samples, source = samples_of(traced, (), {}), Caught()
    samples.same(source, 3)()
    assert [x.shape for (x,) in source.calls] == [(4, 3)] * 3
    torch.testing.assert_close(source.calls[0][0] * 3, source.calls[2][0])
    with pytest.raises(InputError, match="batch=8: the model takes batches of 4 alone"):
        samples_of(traced, (), {}, 8)


def test_a_batch_of_another_path_is_refused() -> None:
    class Small(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.tanh() if x.shape[0] < 8 else x

    x = torch.randn(4, 3)
    traced = trace(Small().eval(), (x,))
    assert samples_of(traced, (x,), {}, 7).batch == 7
    with pytest.raises(InputError, match="takes another path"):
        samples_of(traced, (x,), {}, 8)
    source = Caught()  # 2 * 4 samples are too many for one run
    samples_of(traced, (x,), {}).same(source, 2)()
    assert len(source.calls) == 2


def test_a_conversion_is_called_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = nn.Linear(3, 2).eval(), torch.randn(2, 3)
    snn = snnconvert.convert(model, (x,), time_steps=5, verify=False)
    assert isinstance(snn, ConvertedModule)
    samples = samples_of(snn.conversion.source, (x,), {})
    assert samples.simulated(snn)().shape == samples.increments(snn)().shape == (5, 2, 2)
