from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.graph.comparison import has_spread, relative_error
from snnconvert.converter.verification.increments import RandomIncrements
from snnconvert.errors import ArgumentError, InputError, VerificationError
from tests.converter.conftest import TinyCNN, TinyLM


@pytest.fixture
def cnn():
    model = TinyCNN().eval()
    return model, snnconvert.convert(model, (torch.randn(2, 1, 8, 8),), verify=False)


def test_the_report_of_an_exact_conversion(cnn):
    report = snnconvert.verify(*cnn)
    assert report.passed and report.first_failure is None
    assert report.dtype == "float64" and report.tolerance == 1e-9
    assert len(report.leaves[0].per_step) == report.time_steps == 4
    assert "equivalent: 4 steps" in str(report)


def test_mutation_a_changed_weight_fails(cnn):
    _, snn = cnn
    other = TinyCNN().eval()
    report = snnconvert.verify(other, snn)
    assert not report.passed  # against the source model at the last step
    assert report.source_rel_error > 1e-3


def test_mutation_a_changed_operator_is_named(cnn):
    model, snn = cnn
    snn.bn2.eps += 1e-6
    report = snnconvert.verify(model, snn)
    assert not report.passed
    assert report.first_failure == "batch_norm_1"


@torch.library.custom_op("snnconvert_tests::in_float32", mutates_args=())
def in_float32(x: torch.Tensor) -> torch.Tensor:
    """Has a kernel for one dtype, as those that quantise have."""
    if x.dtype is not torch.float32:
        raise RuntimeError("expected scalar type Float but found Double")
    return x.round()


@in_float32.register_fake
def _(x):
    return torch.empty_like(x)


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_a_trace_that_runs_in_the_sources_dtype_alone_is_compared_in_that(rules):
    class Rounds(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(4, 4)

        def forward(self, x):
            return in_float32(self.map(x)) * 0.5 + x

    model, x = Rounds().eval(), torch.randn(2, 4)
    snn = snnconvert.convert(model, (x,), rules, calibration=[x])
    report = snn.report
    assert report.max_rel_error < 1e-6 and report.source_rel_error < 1e-6
    assert (report.dtype, report.tolerance) == ("float32", 1e-5)
    assert any("it was compared in its own, torch.float32" in note for note in report.notes)
    with pytest.raises(VerificationError, match=r"does not run in torch\.float64 on random"):
        snnconvert.verify(model, snn, dtype=torch.float64)
    snn.map.bias.data.add_(1)
    other = copy.deepcopy(model)
    other.map.bias.data.sub_(1)
    assert not snnconvert.verify(other, snn).passed


def test_a_source_that_does_not_run_in_the_dtype_of_the_check_is_compared_in_its_own():
    class Checks(nn.Module):
        def forward(self, x):
            if not torch.compiler.is_exporting() and x.dtype is torch.float64:
                raise NotImplementedError("no kernel for this dtype")
            return x * 2

    report = snnconvert.convert(Checks().eval(), (torch.randn(2, 4),)).report
    assert report.passed and report.source_rel_error is None
    assert "in its own, float32, it differs from its trace by" in "; ".join(report.notes)

    class Otherwise(Checks):
        def forward(self, x):
            return super().forward(x) * (1 if torch.compiler.is_exporting() else 1.1)

    with pytest.warns(snnconvert.NotEquivalentWarning):
        report = snnconvert.convert(Otherwise().eval(), (torch.randn(2, 4),)).report
    assert not report.passed and report.source_rel_error > 0.05


def test_a_model_that_cannot_be_compared_is_refused(cnn):
    class Short(nn.Module):
        def forward(self, x):
            return x, x

    class Raises(nn.Module):
        def forward(self, x):
            raise ValueError("boom")

    with pytest.raises(VerificationError, match=r"does not run on the inputs.*mat1"):
        snnconvert.verify(nn.Linear(3, 3).eval(), cnn[1])
    with pytest.raises(VerificationError, match=r"does not run on the inputs.*boom.*or None"):
        snnconvert.verify(Raises().eval(), cnn[1])
    with pytest.raises(VerificationError, match="gives 2 outputs, and the one that was converted"):
        snnconvert.verify(Short().eval(), cnn[1])
    assert snnconvert.verify(None, cnn[1]).passed


def test_inputs_may_be_given(cnn):
    report = snnconvert.verify(*cnn, (torch.randn(5, 1, 8, 8),))
    assert report.passed
    with pytest.raises(InputError, match=r"must have shape \[B, 1, 8, 8\]"):
        snnconvert.verify(*cnn, (torch.randn(5, 2, 8, 8),))


def test_degenerate_outputs_are_refused(cnn):
    model = TinyCNN().eval()
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    with pytest.raises(VerificationError, match=r"degenerate.*randomize_constant_weights"):
        snnconvert.convert(model, (torch.randn(2, 1, 8, 8),))
    assert snnconvert.randomize_constant_weights(model) > 0
    assert snnconvert.convert(model, (torch.randn(2, 1, 8, 8),)).report.passed


def test_a_constant_output_beside_others_is_said():
    class Two(nn.Module):
        def forward(self, x):
            return x * 2, x * 0

    report = snnconvert.convert(Two().eval(), (torch.randn(2, 3),)).report
    assert report.passed
    assert [leaf.degenerate for leaf in report.leaves] == [False, True]
    assert any("prove nothing" in note for note in report.notes)


def test_random_sources_are_refused():
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    with pytest.raises(VerificationError, match=r"draws random numbers .*rand_like"):
        snnconvert.convert(Noisy().eval(), (torch.randn(2, 3),))


def test_inputs_whose_sign_matters_keep_it():
    class Log(nn.Module):
        def forward(self, x):
            return x.log()

    assert snnconvert.convert(Log().eval(), (torch.rand(2, 3) + 0.5,)).report.passed
    with pytest.raises(
        VerificationError, match=r"hold NaN, or infinities that come and go, at steps"
    ):
        snnconvert.convert(Log().eval(), (-torch.rand(2, 3),))


def test_infinite_outputs_must_be_the_same():
    class Masked(nn.Module):
        def forward(self, x):
            return x.masked_fill(torch.tensor([False, True, False]), float("-inf"))

    assert snnconvert.convert(Masked().eval(), (torch.randn(2, 3),)).report.passed


def test_pinned_float32_is_checked_in_float64():
    class Pinned(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            x = self.fc(x)
            y = torch.softmax(x, -1, dtype=torch.float32).to(x.dtype)
            return y * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6).type_as(x)

    report = snnconvert.convert(Pinned().eval(), (torch.randn(2, 4),)).report
    assert report.max_rel_error < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes(cnn, dtype):
    report = snnconvert.verify(*cnn, dtype=dtype, time_steps=16)
    assert report.passed
    assert report.max_rel_error > 1e-12


@pytest.mark.parametrize(
    "argument", [{"tolerance": -1.0}, {"spiking_tolerance": "0.1"}, {"tolerance": float("nan")}]
)
def test_what_is_no_tolerance_is_refused_before_anything_runs(cnn, argument):
    with pytest.raises(ArgumentError, match="0 or more"):
        snnconvert.verify(*cnn, **argument)


def test_bad_arguments(cnn):
    with pytest.raises(InputError, match=r"dtype must be one of torch\.float64"):
        snnconvert.verify(*cnn, dtype=torch.int32)
    with pytest.raises(InputError, match="at least 2"):
        snnconvert.verify(*cnn, time_steps=1)
    with pytest.raises(InputError, match="whole number"):
        snnconvert.verify(*cnn, time_steps=2.5)


def test_neither_side_is_changed(cnn):
    model, snn = cnn
    before = {k: v.clone() for k, v in model.state_dict().items()}
    snnconvert.verify(model, snn)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert next(snn.parameters()).dtype is torch.float32
    assert next(snn.parameters()) is next(model.parameters())


def test_random_increments_are_signed_and_end_at_the_value():
    x = torch.randn(50, dtype=torch.float64)
    x[:5] = 0
    for keep_sign in (False, True):
        encoding = RandomIncrements(3, keep_sign)
        whole = encoding.cumulative(x, 0, 5, 5, "a")
        assert torch.equal(whole[-1], x)
        assert torch.equal(encoding.cumulative(x, 2, 1, 5, "a")[0], whole[2])
        increments = encoding.increments(x, 5, "a")
        assert (increments > 0).any() and (increments < 0).any()
        assert torch.equal(increments.cumsum(0)[-1, :5], x[:5])  # nothing is left of what went
        if keep_sign:
            assert torch.equal(whole.sign(), x.sign().expand_as(whole))
    other = RandomIncrements(3).cumulative(x, 0, 5, 5, "b")
    assert not torch.equal(other[0], RandomIncrements(3).cumulative(x, 0, 5, 5, "a")[0])


def test_partial_embeddings_are_compared_at_every_step():
    inputs = {"ids": torch.randint(0, 11, (2, 5)), "mask": torch.ones(2, 5, dtype=torch.long)}
    report = snnconvert.convert(TinyLM().eval(), inputs).report
    assert {leaf.name for leaf in report.leaves} == {"logits", "hidden"}
    assert all(error < 1e-12 for leaf in report.leaves for error in leaf.per_step)


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("actual", "expected", "error"),
    [
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([1.0, 0.0], [0.0, 0.0], INF),
        ([INF, 2.0], [INF, 2.0], 0.0),
        ([-INF, 2.0], [INF, 2.0], INF),
        ([NAN, 2.0], [NAN, 2.0], 0.0),
        ([NAN, 2.0], [1.0, 2.0], INF),
        ([1.0, 2.0], [NAN, 2.0], INF),
        ([INF, 2.0], [1.0, 2.0], INF),
        ([], [], 0.0),
    ],
)
def test_relative_error(actual, expected, error):
    assert relative_error(torch.tensor(actual), torch.tensor(expected))[1] == error


def test_relative_error_of_other_shapes_and_kinds():
    assert relative_error(torch.zeros(2), torch.zeros(3))[1] == INF
    assert relative_error(torch.tensor([True]), torch.tensor([False]))[0] == 1.0
    assert relative_error(torch.tensor([1j]), torch.tensor([2j]))[1] == 0.5


def test_spread():
    assert has_spread(torch.tensor([1.0, 2.0]))
    assert not has_spread(torch.ones(3))
    assert not has_spread(torch.full((3,), NAN))
    assert has_spread(torch.tensor([-INF, 1.0, 2.0]))
    assert has_spread(torch.tensor([True, False]))


@pytest.mark.parametrize("seed", range(6))
def test_increments_that_no_step_function_answers_are_drawn_again(seed):
    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.last((self.first(x) > 0).float())

    torch.manual_seed(seed)
    assert snnconvert.convert(Steps().eval(), (torch.randn(2, 4),)).report.passed


class Positioned(nn.Module):
    """Values whose first is the number of a row of a table, as those of patches in Pix2Struct."""

    def __init__(self):
        super().__init__()
        self.rows, self.map = nn.Embedding(8, 6), nn.Linear(5, 6)

    def forward(self, x):
        return self.map(x[..., 1:]).tanh() + self.rows(x[..., 0].long())


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_numbers_that_are_cast_to_positions_stay_within_those_of_the_example(rules):
    x = torch.randn(4, 3, 6)
    x[..., 0] = torch.randint(0, 8, (4, 3))
    report = snnconvert.convert(Positioned().eval(), (x,), rules, calibration=[(x,)]).report
    assert report.passed


def test_a_position_that_no_table_has_is_told():
    class Beyond(Positioned):
        def forward(self, x):
            return super().forward(x + 8.0 * (x.detach().double().sum() != self.known))

    x = torch.ones(4, 3, 6)
    model = Beyond().eval()
    model.register_buffer("known", x.double().sum())
    with pytest.raises(VerificationError, match=r"does not run in torch\.float64 on random"):
        snnconvert.convert(model, (x,))


class Masking(nn.Module):
    """Scores that are kept above the least number of their dtype, as in XGLM."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x):
        scores = self.map(x)
        return torch.max(scores, torch.full((), torch.finfo(scores.dtype).min)).softmax(-1)


def test_a_number_that_the_default_dtype_does_not_hold():
    assert snnconvert.convert(Masking().eval(), (torch.randn(2, 4),)).report.passed
