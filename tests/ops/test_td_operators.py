"""Every TD operator against torch.nn: exact at every step, in all three forms."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torch.utils._pytree as pytree
from torch import Tensor, nn

from snnconvert import ops
from snnconvert.errors import StateError

T = 5


@dataclass(frozen=True)
class Case:
    """An operator, what it must equal on cumulative inputs, its inputs' shapes for one step."""

    name: str
    make: Callable[[], tuple[Any, Callable[..., Any]]]
    shapes: tuple[tuple[int, ...], ...]
    held: dict[str, Any] = field(default_factory=dict)


def _module(operator: type[ops.TDOperator], module: Callable[[], nn.Module]) -> Callable[[], Any]:
    def make() -> tuple[nn.Module, nn.Module]:
        ann = module().eval().double()
        for tensor in [*ann.parameters(), *ann.buffers()]:
            if tensor.is_floating_point():
                tensor.data.uniform_(0.5, 1.5)
        return operator.from_ann(ann), ann

    return make


def _function(operator: Callable[[], nn.Module], reference: Callable[..., Any]) -> Any:
    return lambda: (operator(), reference)


def _heads(a: Tensor, b: Tensor) -> dict[str, Tensor]:
    return {"joined": torch.cat([a, b], dim=1), "top": (a * b).exp()}


def _in_place(x: Tensor) -> Tensor:
    return x.mul_(2).relu_()


def _sdpa(name: str, *shapes: tuple[int, ...], mask: Tensor | None = None, **kwargs: Any) -> Case:
    def reference(query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=attn_mask, **kwargs)

    held = {} if mask is None else {"attn_mask": mask}
    make = _function(lambda: ops.TDScaledDotProductAttention(**kwargs), reference)
    return Case(f"sdpa {name}", make, shapes, held)


def _seeded(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


KEEP = torch.tensor([[True, False, True], [True, True, False]])  # [L=2, S=3]
Q, K = (2, 4, 2, 3), (2, 4, 3, 3)

CASES = [
    Case("linear", _module(ops.TDLinear, lambda: nn.Linear(4, 3)), ((2, 4),)),
    Case("linear tokens", _module(ops.TDLinear, lambda: nn.Linear(4, 3)), ((2, 5, 4),)),
    Case("linear, no bias", _module(ops.TDLinear, lambda: nn.Linear(4, 3, bias=False)), ((2, 4),)),
    Case(
        "conv1d",
        _module(ops.TDConv1d, lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2)),
        ((2, 4, 7),),
    ),
    Case(
        "conv2d same",
        _module(ops.TDConv2d, lambda: nn.Conv2d(2, 3, 3, padding="same", dilation=2)),
        ((2, 2, 5, 6),),
    ),
    Case(
        "conv2d circular",
        _module(ops.TDConv2d, lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")),
        ((2, 2, 5, 6),),
    ),
    Case("conv2d unbatched", _module(ops.TDConv2d, lambda: nn.Conv2d(2, 3, 3)), ((2, 5, 6),)),
    Case(
        "conv3d", _module(ops.TDConv3d, lambda: nn.Conv3d(2, 3, 2, bias=False)), ((2, 2, 3, 4, 3),)
    ),
    Case("layer_norm", _module(ops.TDLayerNorm, lambda: nn.LayerNorm(6)), ((2, 3, 6),)),
    Case("layer_norm 2-D", _module(ops.TDLayerNorm, lambda: nn.LayerNorm([3, 6])), ((2, 3, 6),)),
    Case(
        "layer_norm, not affine",
        _module(ops.TDLayerNorm, lambda: nn.LayerNorm(6, elementwise_affine=False)),
        ((2, 6),),
    ),
    Case("rms_norm", _module(ops.TDRMSNorm, lambda: nn.RMSNorm(6, eps=1e-3)), ((2, 3, 6),)),
    Case("batch_norm [B, C]", _module(ops.TDBatchNorm, lambda: nn.BatchNorm1d(3)), ((4, 3),)),
    Case("batch_norm 1d", _module(ops.TDBatchNorm, lambda: nn.BatchNorm1d(3)), ((2, 3, 4),)),
    Case(
        "batch_norm 2d",
        _module(ops.TDBatchNorm, lambda: nn.BatchNorm2d(3, affine=False)),
        ((2, 3, 4, 4),),
    ),
    Case("batch_norm 3d", _module(ops.TDBatchNorm, lambda: nn.BatchNorm3d(3)), ((2, 3, 2, 2, 2),)),
    Case("group_norm", _module(ops.TDGroupNorm, lambda: nn.GroupNorm(2, 4)), ((2, 4, 3, 3),)),
    Case("group_norm [B, C]", _module(ops.TDGroupNorm, lambda: nn.GroupNorm(2, 6)), ((2, 6),)),
    Case("gelu", _module(ops.TDGELU, nn.GELU), ((2, 3, 4),)),
    Case("gelu tanh", _module(ops.TDGELU, lambda: nn.GELU("tanh")), ((2, 3, 4),)),
    Case("silu", _module(ops.TDSiLU, nn.SiLU), ((2, 3),)),
    Case("relu", _module(ops.TDReLU, nn.ReLU), ((2, 3),)),
    Case("relu [T, B]", _module(ops.TDReLU, nn.ReLU), ((6,),)),
    Case(
        "activation function",
        _function(
            lambda: ops.TDActivation(F.leaky_relu, negative_slope=0.3),
            lambda x: F.leaky_relu(x, 0.3),
        ),
        ((4,),),
    ),
    Case("activation per channel", _module(ops.TDActivation, lambda: nn.PReLU(3)), ((2, 3, 4),)),
    Case("activation in halves", _module(ops.TDActivation, lambda: nn.GLU(dim=1)), ((2, 4, 3),)),
    Case(
        "activation in place", _module(ops.TDActivation, lambda: nn.ReLU6(inplace=True)), ((2, 4),)
    ),
    Case("softmax last", _module(ops.TDSoftmax, lambda: nn.Softmax(-1)), ((2, 3, 4),)),
    Case("softmax channels", _module(ops.TDSoftmax, lambda: nn.Softmax(1)), ((2, 3, 4),)),
    Case(
        "softmax of a sequence dim",
        _function(lambda: ops.TDSoftmax(2), lambda x: F.softmax(x, 1)),
        ((2, 3, 4),),
    ),
    Case(
        "softmax of the batch",
        _function(lambda: ops.TDSoftmax(dim=1), lambda x: F.softmax(x, 0)),
        ((3, 4),),
    ),
    Case("matmul", _function(ops.TDMatmul, torch.matmul), ((2, 3, 4), (2, 4, 5))),
    Case("matmul broadcast", _function(ops.TDMatmul, torch.matmul), ((2, 1, 3, 4), (1, 3, 4, 5))),
    Case("matmul ranks", _function(ops.TDMatmul, torch.matmul), ((2, 6, 3, 4), (6, 4, 5))),
    Case("matmul matrix, vector", _function(ops.TDMatmul, torch.matmul), ((2, 3, 4), (4,))),
    Case("matmul vectors", _function(ops.TDMatmul, torch.matmul), ((4,), (4,))),
    Case(
        "matmul, other held",
        _function(ops.TDMatmul, torch.matmul),
        ((2, 3, 4),),
        {"other": _seeded(4, 5)},
    ),
    Case(
        "matmul, input held",
        _function(ops.TDMatmul, lambda x, input: input @ x),
        ((2, 4, 3),),
        {"input": _seeded(2, 2, 5, 4)},
    ),
    Case("mul", _function(ops.TDMul, torch.mul), ((2, 3, 4), (2, 3, 4))),
    Case("mul broadcast", _function(ops.TDMul, torch.mul), ((2, 3, 1), (1, 3, 4))),
    Case("mul ranks", _function(ops.TDMul, torch.mul), ((2, 3, 4), (4,))),
    Case("mul, tensor held", _function(ops.TDMul, torch.mul), ((2, 3),), {"other": _seeded(3)}),
    Case(
        "mul, larger held",
        _function(ops.TDMul, lambda x, input: input * x),
        ((3,),),
        {"input": _seeded(2, 3)},
    ),
    Case("mul, number held", _function(ops.TDMul, torch.mul), ((2, 3),), {"other": 2.5}),
    _sdpa("plain", Q, K, (2, 4, 3, 5)),
    _sdpa("causal", Q, K, K, is_causal=True),
    _sdpa("scale", Q, K, K, scale=0.3),
    _sdpa("grouped", (2, 4, 2, 3), (2, 2, 3, 3), (2, 2, 3, 3), enable_gqa=True),
    _sdpa("bool mask", Q, K, K, mask=KEEP),
    _sdpa("float mask per sample", Q, K, K, mask=_seeded(2, 1, 2, 3)),
    _sdpa("mask per head", Q, K, K, mask=_seeded(4, 2, 3)),
    _sdpa("batch of one in the keys", Q, (1, 4, 3, 3), (1, 4, 3, 3)),
    _sdpa("single head", (2, 2, 3), (2, 3, 3), (2, 3, 3), mask=_seeded(2, 2, 3)),
    _sdpa("unbatched", (2, 3), (3, 3), (3, 3), mask=KEEP),
    _sdpa("grouped, unbatched", (4, 2, 3), (2, 3, 3), (2, 3, 3), enable_gqa=True),
    _sdpa("5-D", (2, 2, 4, 2, 3), (2, 2, 4, 3, 3), (2, 2, 4, 3, 3), mask=_seeded(2, 1, 1, 2, 3)),
    Case(
        "any function",
        _function(lambda: ops.TemporalDifference(_heads), _heads),
        ((2, 3), (2, 3)),
    ),
    Case(
        "any function, in place",
        _function(lambda: ops.TemporalDifference(_in_place), lambda x: _in_place(x.clone())),
        ((2, 3),),
    ),
    Case(
        "any function, held argument",
        _function(lambda: ops.TemporalDifference(torch.sum), torch.sum),
        ((2, 3),),
        {"dim": 1},
    ),
    Case(
        "any module",
        _module(ops.TemporalDifference, lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh())),
        ((2, 3),),
    ),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
named_case = pytest.mark.parametrize(
    "case", [c for c in CASES if not c.name.startswith("any ")], ids=lambda case: case.name
)


def streams(case: Case, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Random signed increments, not front-loaded."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(T, *s, generator=generator, dtype=torch.float64).to(dtype) for s in case.shapes
    ]


def assert_exact(
    forward: Callable[..., Any],
    reference: Callable[..., Any],
    x_seq: list[Tensor],
    held: dict[str, Any],
    tolerance: float = 1e-9,
) -> None:
    """Compare cumulative output and reference on cumulative inputs at every step and leaf."""
    y_seq = pytree.tree_map(lambda y: y.cumsum(0), forward(*x_seq, **held))
    for t in range(T):
        expected = reference(*(x[: t + 1].sum(0) for x in x_seq), **held)
        got = pytree.tree_map(lambda y, t=t: y[t], y_seq)
        pairs = zip(pytree.tree_leaves(got), pytree.tree_leaves(expected), strict=True)
        for actual, wanted in pairs:
            assert actual.shape == wanted.shape
            assert wanted.abs().max() > 1e-3, "the reference is degenerate: it proves nothing"
            error = (actual - wanted).abs().max() / wanted.abs().max()
            assert error <= tolerance, f"step {t}: relative error {error:.2e}"


def run_steps(operator: Any, x_seq: Sequence[Tensor], held: dict[str, Any]) -> Any:
    outputs = [operator.step(*(x[t] for x in x_seq), **held) for t in range(len(x_seq[0]))]
    return pytree.tree_map(lambda *leaves: torch.stack(leaves), *outputs)


@every_case
def test_sequence_form_is_exact_at_every_step(case: Case) -> None:
    operator, reference = case.make()
    assert_exact(operator, reference, streams(case), case.held)


@every_case
def test_step_equals_forward(case: Case) -> None:
    operator, _ = case.make()
    x_seq = streams(case)
    torch.testing.assert_close(
        run_steps(operator, x_seq, case.held), operator(*x_seq, **case.held), rtol=1e-12, atol=1e-12
    )


@every_case
def test_cumulative_is_the_function(case: Case) -> None:
    operator, reference = case.make()
    step = [x[0] for x in streams(case)]
    expected = reference(*step, **case.held)
    torch.testing.assert_close(operator.cumulative(*step, **case.held), expected, rtol=0, atol=0)


@every_case
def test_inputs_are_left_as_they_are(case: Case) -> None:
    operator, _ = case.make()
    x_seq = streams(case)
    before = copy.deepcopy(x_seq)
    operator(*x_seq, **case.held)
    run_steps(operator, x_seq, case.held)
    torch.testing.assert_close(x_seq, before, rtol=0, atol=0)


@named_case
def test_cumulative_leaves_its_input_as_it_is(case: Case) -> None:
    operator, _ = case.make()
    step = [x[0] for x in streams(case)]
    before = copy.deepcopy(step)
    operator.cumulative(*step, **case.held)
    torch.testing.assert_close(step, before, rtol=0, atol=0)


@named_case
def test_all_steps_are_one_call(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    operator, _ = case.make()
    calls = 0

    class Count(torch.overrides.TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal calls
            calls += func is not torch.Tensor.add_  # of the sums of increments
            return func(*args, **(kwargs or {}))

    counts = []
    for time_steps in (2, 6):
        calls = 0
        x_seq = [torch.randn(time_steps, *s, dtype=torch.float64) for s in case.shapes]
        with Count():
            operator(*x_seq, **case.held)
        counts.append(calls)
    assert counts[0] == counts[1]


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_dtype_is_kept(case: Case, dtype: torch.dtype) -> None:
    operator, reference = case.make()
    x_seq = [(x * 0.5).to(dtype) for x in streams(case)]

    def cast(held: Any) -> Any:
        floating = isinstance(held, Tensor) and held.is_floating_point()
        return held.to(dtype) if floating else held

    held = pytree.tree_map(cast, case.held)
    operator = copy.deepcopy(operator).to(dtype)
    wide = pytree.tree_map_only(Tensor, lambda x: x.double() if x.is_floating_point() else x, held)
    y_seq = operator(*x_seq, **held)
    assert {leaf.dtype for leaf in pytree.tree_leaves(y_seq)} == {dtype}
    steps = run_steps(operator, x_seq, held)
    tolerance = 40 * torch.finfo(dtype).eps
    torch.testing.assert_close(steps, y_seq, rtol=tolerance, atol=tolerance)
    assert_exact(
        lambda *_, **__: pytree.tree_map(Tensor.double, y_seq),
        reference,
        [x.double() for x in x_seq],
        wide,
        tolerance,
    )


@every_case
def test_runs_on_any_device(case: Case) -> None:
    operator, _ = case.make()
    operator = copy.deepcopy(operator)
    x_seq = streams(case)
    expected = [leaf.shape for leaf in pytree.tree_leaves(operator(*x_seq, **case.held))]
    held = pytree.tree_map_only(Tensor, lambda x: x.to("meta"), case.held)
    meta = [x.to("meta") for x in x_seq]
    operator.to("meta")
    for y_seq in (operator(*meta, **held), run_steps(operator, meta, held)):
        leaves = pytree.tree_leaves(y_seq)
        assert [leaf.shape for leaf in leaves] == expected
        assert all(leaf.is_meta for leaf in leaves)


DIFFERENTIATED = {
    "linear",
    "conv2d same",
    "layer_norm",
    "batch_norm 2d",
    "gelu",
    "softmax last",
    "matmul",
    "matmul ranks",
    "sdpa float mask per sample",
    "any function",
    "any module",
}


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.name in DIFFERENTIATED],
    ids=lambda case: case.name,
)
@pytest.mark.parametrize("form", ["forward", "step"])
def test_gradients(case: Case, form: str) -> None:
    operator, _ = case.make()
    x_seq = [x[:3].requires_grad_() for x in streams(case)]
    parameters = list(operator.parameters())

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        operator.reset()
        inputs = list(tensors[: len(x_seq)])
        run_form = (
            operator if form == "forward" else lambda *x, **held: run_steps(operator, x, held)
        )
        return tuple(pytree.tree_leaves(run_form(*inputs, **case.held)))

    assert torch.autograd.gradcheck(run, (*x_seq, *parameters), fast_mode=True)


WITHOUT_BATCH = {  # of their own in every stream
    "conv2d unbatched",
    "matmul broadcast",
    "matmul ranks",
    "matmul matrix, vector",
    "matmul vectors",
    "matmul, input held",
    "mul broadcast",
    "mul ranks",
    "mul, larger held",
    "softmax of the batch",
    "sdpa float mask per sample",
    "sdpa batch of one in the keys",
    "sdpa single head",
    "sdpa grouped, unbatched",
    "sdpa unbatched",
    "sdpa 5-D",
}


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name not in WITHOUT_BATCH], ids=lambda case: case.name
)
def test_empty_batch(case: Case) -> None:
    operator, _ = case.make()
    full = pytree.tree_leaves(operator(*streams(case), **case.held))
    empty = pytree.tree_leaves(operator(*(x[:, :0] for x in streams(case)), **case.held))
    for y, none in zip(full, empty, strict=True):
        assert none.shape == (T, 0, *y.shape[2:])


def test_small_half_increments_are_not_lost() -> None:
    x_seq = torch.ones(3000, 1, dtype=torch.float16)  # naive float16 sums stop at 2048
    operator = ops.TDReLU()
    assert operator(x_seq).double().sum() == 3000
    with torch.no_grad():
        assert sum(operator.step(x).double() for x in x_seq) == 3000


def test_bias_counted_at_every_step_is_caught() -> None:
    case = CASES[0]
    _, linear = case.make()
    with pytest.raises(AssertionError, match="step 1: relative error"):
        assert_exact(linear, linear, streams(case), {})


def test_product_taken_as_linear_is_caught() -> None:
    case = next(c for c in CASES if c.name == "mul")
    with pytest.raises(AssertionError, match="step 1: relative error"):
        assert_exact(torch.mul, torch.mul, streams(case), {})


def test_shift_at_every_step_is_caught() -> None:
    case = next(c for c in CASES if c.name == "batch_norm [B, C]")
    _, norm = case.make()
    with pytest.raises(AssertionError, match="step 1: relative error"):
        assert_exact(lambda x: norm(x.flatten(0, 1)).view_as(x), norm, streams(case), {})


def test_degenerate_reference_is_caught() -> None:
    with pytest.raises(AssertionError, match="degenerate"):
        assert_exact(torch.zeros_like, torch.zeros_like, streams(CASES[0]), {})


class TestState:
    """What `step` carries from call to call."""

    def operator(self) -> ops.TDLayerNorm:
        torch.manual_seed(0)
        return ops.TDLayerNorm(4, dtype=torch.float64)

    def x_seq(self) -> Tensor:
        return streams(Case("", lambda: (nn.Identity(), abs), ((2, 4),)))[0]

    def test_forward_and_cumulative_leave_it_alone(self) -> None:
        operator, x_seq = self.operator(), self.x_seq()
        expected = operator(x_seq)
        first = operator.step(x_seq[0])
        operator(x_seq)
        operator.cumulative(x_seq[0])
        torch.testing.assert_close(torch.stack([first, operator.step(x_seq[1])]), expected[:2])

    def test_reset_starts_anew(self) -> None:
        operator, x_seq = self.operator(), self.x_seq()
        first = operator.step(x_seq[0])
        second = operator.step(x_seq[0])
        assert not torch.allclose(first, second)
        operator.reset()
        torch.testing.assert_close(operator.step(x_seq[0]), first)

    def test_not_in_the_state_dict(self) -> None:
        operator = self.operator()
        before = list(operator.state_dict())
        operator.step(self.x_seq()[0])
        assert list(operator.state_dict()) == before == ["weight", "bias"]

    @pytest.mark.parametrize("how", ["deepcopy", "pickle"])
    @pytest.mark.parametrize("grad", [True, False])
    def test_copies_carry_it(self, how: str, grad: bool) -> None:
        operator, x_seq = self.operator(), self.x_seq().requires_grad_()
        expected = operator(x_seq)
        with torch.set_grad_enabled(grad):
            operator.step(x_seq[0])
        if how == "deepcopy":
            twin = copy.deepcopy(operator)
        else:
            file = io.BytesIO()
            torch.save(operator, file)
            file.seek(0)
            twin = torch.load(file, weights_only=False)
        for one in (operator, twin):
            torch.testing.assert_close(one.step(x_seq[1]), expected[1])
        twin.reset()
        torch.testing.assert_close(operator.step(x_seq[2]), expected[2])

    def test_follows_to(self) -> None:
        operator, x_seq = self.operator(), self.x_seq()
        expected = operator(x_seq).float()
        operator.step(x_seq[0])
        operator.float()
        second = operator.step(x_seq[1].float())
        assert second.dtype == torch.float32
        torch.testing.assert_close(second, expected[1])
        operator.to("meta")
        assert operator.step(x_seq[2].float().to("meta")).is_meta

    def test_half_totals_stay_wide_through_to(self) -> None:
        operator = ops.TDReLU()
        total = operator.step(torch.full([1], 2048.0, dtype=torch.float16)).double()
        for _ in range(4):  # each half is lost in float16, where the next number is 2050
            operator.to(torch.float16)
            total += operator.step(torch.full([1], 0.5, dtype=torch.float16)).double()
        assert total == 2050

    @pytest.mark.parametrize(
        ("then", "names"),
        [
            (torch.zeros(3, 4, dtype=torch.float64), ["[2, 4] torch.float64", "[3, 4]"]),
            (torch.zeros(2, 4), ["torch.float64", "torch.float32"]),
            (torch.zeros(2, 4, dtype=torch.float64, device="meta"), ["cpu", "meta"]),
        ],
        ids=["shape", "dtype", "device"],
    )
    def test_a_change_is_an_error_that_keeps_it(self, then: Tensor, names: list[str]) -> None:
        operator, x_seq = self.operator(), self.x_seq()
        expected = operator(x_seq)
        operator.step(x_seq[0])
        with pytest.raises(StateError, match=r"reset\(\)") as error:
            operator.step(then)
        assert all(name in str(error.value) for name in names)
        torch.testing.assert_close(operator.step(x_seq[1]), expected[1])

    def test_an_output_of_another_form_is_an_error(self) -> None:
        operator = ops.TemporalDifference(torch.sum)
        operator.step(torch.ones(2, 3), dim=0)
        with pytest.raises(StateError, match=r"\[3\].*\[2\].*reset"):
            operator.step(torch.ones(2, 3), dim=1)

    def test_a_buffer_used_again_by_the_caller_does_not_reach_it(self) -> None:
        operator, x_seq = self.operator(), self.x_seq()
        expected = operator(x_seq)
        buffer = torch.empty_like(x_seq[0])
        for t in range(T):
            with torch.no_grad():
                y_t = operator.step(buffer.copy_(x_seq[t]))
            torch.testing.assert_close(y_t, expected[t])
            y_t.zero_()

    def test_backward_through_steps(self) -> None:
        operator, x_seq = self.operator(), self.x_seq()
        weights = torch.randn(T, 2, 4, dtype=torch.float64)
        (weights * operator(x_seq)).sum().backward()
        expected, operator.weight.grad = operator.weight.grad, None
        sum((w * operator.step(x)).sum() for w, x in zip(weights, x_seq, strict=True)).backward()
        torch.testing.assert_close(operator.weight.grad, expected)


def test_small_integers_of_a_function_add_up() -> None:
    operator = ops.TemporalDifference(lambda x: (x * 100).to(torch.int8))
    x_seq = torch.tensor([-1.0, 2.0, -2.0]).reshape(3, 1, 1).expand(3, 2, 4)
    expected = (x_seq.cumsum(0) * 100).to(torch.int64)
    assert torch.equal(operator(x_seq).cumsum(0), expected)
    assert torch.equal(torch.stack([operator.step(x) for x in x_seq]).cumsum(0), expected)
