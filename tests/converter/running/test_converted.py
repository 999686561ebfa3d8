from __future__ import annotations

import copy

import pytest
import torch
import torch.utils._pytree as pytree
from torch import nn

import snnconvert
from snnconvert.errors import InputError, StateError
from tests.converter.conftest import Gated, TinyCNN, TinyLM, TinyViT


@pytest.fixture
def cnn():
    return snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),), verify=False)


@pytest.fixture
def lm():
    inputs = {"ids": torch.randint(0, 11, (2, 5)), "mask": torch.ones(2, 5, dtype=torch.long)}
    return snnconvert.convert(TinyLM().eval(), inputs, verify=False), inputs


def test_forward_is_the_source_on_cumulative_inputs_at_every_step():
    model = TinyViT().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 4, 4),), verify=False)
    model, snn = model.double(), snn  # the parameters are shared
    snn = snnconvert.convert(model, (torch.randn(2, 1, 4, 4).double(),), verify=False)
    x_seq = torch.randn(5, 3, 1, 4, 4, dtype=torch.float64)
    y = snn(x_seq).cumsum(0)
    expected = torch.stack([model(x) for x in x_seq.cumsum(0)])
    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-12)


def test_step_equals_forward(network):
    model, inputs = network
    snn = snnconvert.convert(model, inputs, verify=False).double()
    kwargs = inputs if isinstance(inputs, dict) else {}
    args = () if isinstance(inputs, dict) else inputs
    args = tuple(torch.randn(snn.time_steps, *x.shape, dtype=torch.float64) for x in args)
    whole = pytree.tree_leaves(snn(*args, **kwargs))
    for _ in range(2):
        for t in range(snn.time_steps):
            now = pytree.tree_leaves(snn.step(*(x[t] for x in args), **kwargs))
            for a, b in zip(now, whole, strict=True):
                if isinstance(b, torch.Tensor):
                    torch.testing.assert_close(a, b[t], rtol=1e-9, atol=1e-9)
        snn.reset()


def test_forward_leaves_the_state_of_step_alone(cnn):
    x = torch.randn(3, 2, 1, 8, 8)
    expected = cnn(x)
    first = cnn.step(x[0])
    cnn(torch.randn(2, 2, 1, 8, 8))
    torch.testing.assert_close(torch.stack([first, cnn.step(x[1]), cnn.step(x[2])]), expected)


def test_state_is_an_error_on_another_shape(cnn):
    cnn.step(torch.randn(2, 1, 8, 8))
    with pytest.raises(StateError, match=r"\(3, 1, 8, 8\).*reset\(\)"):
        cnn.step(torch.randn(3, 1, 8, 8))
    cnn.reset()
    cnn.step(torch.randn(3, 1, 8, 8))


def test_a_held_input_that_is_returned_is_the_same_at_every_step():
    class WithMask(nn.Module):
        def forward(self, x, mask):
            return x.relu() * mask, mask, ~mask, x.shape[0]

    x, mask = torch.randn(2, 4), torch.rand(2, 4) > 0.5
    snn = snnconvert.convert(WithMask().eval(), (x, mask))
    assert snn.report.passed
    assert not snn.conversion.step_by_step
    y, held, inverse, batch = snn.simulate(x, mask, time_steps=3)
    assert y.shape == (3, 2, 4)
    assert torch.equal(held, mask.expand(3, 2, 4))
    assert torch.equal(inverse, ~mask.expand(3, 2, 4))
    assert batch == 2


def test_an_output_that_depends_on_the_batch_size_alone_is_the_same_at_every_step():
    class Queries(nn.Module):
        def __init__(self):
            super().__init__()
            self.reference = nn.Parameter(torch.randn(5))

        def forward(self, x):
            return x.relu(), self.reference.sigmoid().expand(x.shape[0], -1)

    model = Queries().eval()
    x = torch.randn(2, 4)
    snn = snnconvert.convert(model, (x,))
    assert snn.report.passed
    assert not snn.conversion.step_by_step
    _, reference = snn.simulate(x, time_steps=3)
    assert torch.equal(reference, model(x)[1].expand(3, 2, 5))
    _, increments = snn(torch.randn(3, 2, 4))
    assert not increments[1:].any()


def test_an_input_called_like_an_argument_of_simulate_is_told():
    class Encoder(nn.Module):
        def forward(self, x, time_steps):
            return x * time_steps

    x = torch.randn(2, 4)
    snn = snnconvert.convert(Encoder().eval(), {"x": x, "time_steps": x})
    with pytest.raises(InputError, match=r"'time_steps' has the name of an argument of simulate"):
        snn.simulate(x=x, time_steps=x)
    by_position = snnconvert.convert(Encoder().eval(), (x, x))
    torch.testing.assert_close(by_position.simulate(x, x, time_steps=3)[-1], x * x)


def test_a_held_input_may_not_change_between_steps(lm):
    snn, inputs = lm
    snn.step(**inputs)
    with pytest.raises(StateError, match="held input 'mask' changed"):
        snn.step(ids=inputs["ids"], mask=torch.zeros_like(inputs["mask"]))


def test_state_follows_to_and_copies(cnn):
    x = torch.randn(3, 2, 1, 8, 8)
    cnn.step(x[0])
    twin = copy.deepcopy(cnn)
    torch.testing.assert_close(twin.step(x[1]), cnn.step(x[1]))
    wide = copy.deepcopy(cnn).double()
    torch.testing.assert_close(
        wide.step(x[2].double()).float(), cnn.step(x[2]), rtol=1e-4, atol=1e-5
    )


def test_copies_are_apart(cnn):
    twin = copy.deepcopy(cnn)
    with torch.no_grad():
        twin.conv1.weight.zero_()
    assert cnn.conv1.weight.abs().sum() > 0
    x = torch.randn(2, 1, 8, 8)
    assert not torch.allclose(twin.simulate(x), cnn.simulate(x))
    twin.step(x)
    cnn.step(torch.randn(4, 1, 8, 8))  # no state shared: another batch is no error


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_to_dtype(cnn, dtype):
    x = torch.randn(2, 1, 8, 8)
    y = copy.deepcopy(cnn).to(dtype).simulate(x.to(dtype), time_steps=2)
    assert y.dtype is dtype
    torch.testing.assert_close(y.float(), cnn.simulate(x, time_steps=2), rtol=0.1, atol=0.1)


def test_literals_of_dtype_follow_to():
    class Pinned(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            x = x + torch.zeros(4, dtype=x.dtype) + torch.full((4,), 0.1)
            return self.fc(x) + self.fc(torch.eye(4)).sum(0) + torch.arange(4)

    snn = snnconvert.convert(Pinned().eval(), (torch.randn(2, 4),)).double()
    assert snn.simulate(torch.randn(2, 4).double()).dtype is torch.float64


def test_simulate_of_td_is_the_source_to_the_bit(cnn):
    x = torch.randn(2, 1, 8, 8)
    direct = cnn.simulate(x, time_steps=3)
    torch.testing.assert_close(direct[0], direct[2], rtol=0, atol=0)
    uniform = cnn.simulate(x, time_steps=4, encoding="constant")
    assert not torch.allclose(uniform[0], uniform[3])
    torch.testing.assert_close(uniform[3], direct[0])


def test_cumulative_is_the_sum_of_forward(cnn):
    x = torch.randn(3, 2, 1, 8, 8)
    torch.testing.assert_close(cnn.cumulative(x.cumsum(0)), cnn(x).cumsum(0), rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_shared_parameters(cnn):
    cnn(torch.randn(3, 2, 1, 8, 8)).sum().backward()
    assert cnn.conv1.weight.grad is not None and cnn.conv1.weight.grad.abs().sum() > 0


def test_truth_values_are_returned_as_they_are():
    snn = snnconvert.convert(Gated().eval(), (torch.randn(2, 4), torch.randn(2, 4)), verify=False)
    h, _, positive = snn(torch.randn(3, 2, 4), torch.randn(3, 2, 4))
    assert positive.dtype is torch.bool
    assert torch.equal(positive, h.cumsum(0) > 0)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ((), "received 0 positional inputs"),
        ((torch.randn(2, 1, 8, 8),), r"use simulate\(x\) for one input"),
        ((torch.randn(3, 2, 2, 8, 8),), r"must have shape \[T, B, 1, 8, 8\]"),
        ((torch.randn(0, 2, 1, 8, 8),), "time dimension .* is empty"),
        ((torch.ones(3, 2, 1, 8, 8, dtype=torch.long),), r"received torch\.int64"),
        (([1, 2],), "nested otherwise"),
        (("text",), "must be a tensor"),
    ],
)
def test_bad_inputs_are_told(cnn, inputs, words):
    with pytest.raises(InputError, match=words):
        cnn(*inputs)


def test_time_lengths_must_agree():
    snn = snnconvert.convert(Gated().eval(), (torch.randn(2, 4), torch.randn(2, 4)), verify=False)
    with pytest.raises(InputError, match="one time length"):
        snn(torch.randn(3, 2, 4), torch.randn(2, 2, 4))


def test_constants_of_the_trace(lm):
    snn, inputs = lm
    with pytest.raises(InputError, match="unknown: flag"):
        snn(**inputs, flag=1)
    with pytest.raises(InputError, match="missing: mask"):
        snn(ids=inputs["ids"])


def test_constants_may_be_left_out_and_may_not_change():
    inputs = {
        "ids": torch.randint(0, 11, (2, 5)),
        "mask": torch.ones(2, 5, dtype=torch.long),
        "scale": 2.0,
    }
    snn = snnconvert.convert(TinyLM().eval(), inputs)
    assert snn.report.passed
    snn(ids=inputs["ids"], mask=inputs["mask"])
    with pytest.raises(InputError, match=r"'scale' was 2\.0 when the model was traced"):
        snn(ids=inputs["ids"], mask=inputs["mask"], scale=3.0)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_time_steps_are_checked(cnn, steps):
    with pytest.raises(InputError, match="whole number >= 1"):
        cnn.simulate(torch.randn(2, 1, 8, 8), time_steps=steps)


def test_an_unknown_encoding_is_told(cnn):
    with pytest.raises(InputError, match="allowed are at_once, constant"):
        cnn.simulate(torch.randn(2, 1, 8, 8), encoding="poisson")


def test_children_named_as_methods_are_no_clash():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.step, self.report = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.report(self.step(x))

    model = Net().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 3),))
    assert snn.report.passed
    assert snn.state_dict().keys() == model.state_dict().keys()
    assert snn.step(torch.randn(2, 3)).shape == (2, 3)


def test_steps_of_outputs_have_memory_of_their_own():
    """Also where all steps are the same, and computed once."""

    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x, mask):
            return {"y": self.layer(x), "same": x, "mask": mask}

    x, mask = torch.randn(2, 4), torch.ones(2, 4, dtype=torch.bool)
    snn = snnconvert.convert(Parts().eval(), (x, mask), verify=False).requires_grad_(False)
    sequence = x.expand(3, 2, 4).clone()
    for answer in (snn.simulate(x, mask, time_steps=3), snn.cumulative(sequence, mask)):
        for y in answer.values():
            before = y[1].clone()
            y[0] = 0
            assert torch.equal(y[1], before)
