"""Which dimension is the batch, and which batch sizes a conversion takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.export import Dim, export

import snnconvert
from snnconvert.converter.tracing.trace import trace
from snnconvert.errors import InputError


class Fn(nn.Module):
    def __init__(self, fn, *layers):
        super().__init__()
        self.layers, self.fn = nn.ModuleList(layers), fn

    def forward(self, *inputs):
        return self.fn(*self.layers, *inputs)


class Ode(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, t, x):
        return self.map(x * t[:, None]).cumsum(1)


class StateFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 5, 2, batch_first=True)

    def forward(self, state, x):
        return self.gru(x, state)[0]


class StateLast(StateFirst):
    def forward(self, x, state):
        return self.gru(x, state)


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(6, 4)

    def forward(self, extra, x):
        return self.map(x).relu()


class SequenceFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.map = nn.GRU(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.map(self.gru(x)[0])


INPUTS = {
    Ode: lambda b: (torch.rand(5), torch.randn(b, 5, 4)),
    StateFirst: lambda b: (torch.randn(2, b, 5), torch.randn(b, 7, 4)),
    StateLast: lambda b: (torch.randn(b, 7, 4), torch.randn(2, b, 5)),
    Unused: lambda b: (torch.randn(7, 3), torch.randn(b, 6)),
}


def same(answer, wanted):
    answer, wanted = (x if isinstance(x, tuple) else (x,) for x in (answer, wanted))
    for got, right in zip(answer, wanted, strict=True):
        torch.testing.assert_close(got[-1], right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("kind", INPUTS)
def test_the_batch_is_found(kind, batch, tmp_path):
    torch.manual_seed(0)
    model = kind().eval()
    snn = snnconvert.convert(model, INPUTS[kind](batch))
    assert snn.report.passed
    assert snn.report.source_rel_error < 1e-9
    snn.save(tmp_path / "a.snn")
    for one in (snn, snnconvert.load(tmp_path / "a.snn")):
        for other in (1, 4):
            inputs = INPUTS[kind](other)
            same(one.simulate(*inputs, time_steps=3), model(*inputs))


def test_it_is_said_where_the_batch_was_found():
    notes = " ".join(snnconvert.convert(Ode().eval(), INPUTS[Ode](3)).report.notes)
    assert "the batch was found to be dimension 0 of 'x'" in notes
    assert "batch_dims=" in notes


@pytest.mark.parametrize("said", [1, {"x": 1}, {0: 1}])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_batch_can_be_said(said, batch, tmp_path):
    model = SequenceFirst().eval()
    snn = snnconvert.convert(model, (torch.randn(7, batch, 4),), batch_dims=said)
    assert snn.report.passed
    assert not snn.conversion.step_by_step
    snn.save(tmp_path / "a.snn")
    x = torch.randn(7, 5, 4)
    for one in (snn, snnconvert.load(tmp_path / "a.snn")):
        got = one.simulate(x, time_steps=3, encoding="uniform")
        assert got.shape == (3, 7, 5, 3)
        torch.testing.assert_close(got[-1], model(x))
        torch.testing.assert_close(got[0], model(x / 3), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match=r"'x' must have shape \[7, B, 4\]"):
        snn.simulate(torch.randn(6, 5, 4))


def test_an_input_of_which_none_is_said_leaves_the_batch_to_be_found(tmp_path):
    """The table has as many rows as there are samples, and is one for all of them."""
    model = Fn(lambda m, table, x: m(x) @ table.relu(), nn.Linear(4, 3)).eval()
    inputs = torch.randn(3, 2), torch.randn(3, 4)
    snn = snnconvert.convert(model, inputs, batch_dims={0: None}, held=(0,))
    assert snn.report.passed and not snn.conversion.step_by_step
    assert [given.batch_dim for given in snn.conversion.source.inputs] == [None, 0]
    sizes = ({}, {0: Dim("b")})
    program = export(model, inputs, dynamic_shapes={"inputs": sizes})
    of_program = snnconvert.convert(program, batch_dims={"inputs_0": None}, held=("inputs_0",))
    snn.save(tmp_path / "a.snn")
    for one in (snn, of_program, snnconvert.load(tmp_path / "a.snn")):
        given = inputs[0], torch.randn(5, 4)
        same(one.simulate(*given, time_steps=2), model(*given))


def test_that_no_input_has_a_batch_can_be_said():
    model, x = Fn(lambda m, x: m(x), nn.Linear(4, 3)).eval(), torch.randn(3, 4)
    snn = snnconvert.convert(model, (x,), batch_dims={0: None})
    assert snn.report.passed
    assert any("no input has a batch" in note for note in snn.report.notes)
    with pytest.raises(InputError, match=r"must have shape \[3, 4\]"):
        snn.simulate(torch.randn(5, 4))


def test_a_held_input_has_no_part_in_finding_the_batch(tmp_path):
    model, inputs = Ode().eval(), INPUTS[Ode](3)
    snn = snnconvert.convert(model, inputs, held=("t",))
    assert snn.report.passed
    assert not snn.conversion.step_by_step
    assert [given.role for given in snn.conversion.source.inputs] == ["held", "coded"]
    snn.save(tmp_path / "a.snn")
    t, x = INPUTS[Ode](4)
    for one in (snn, snnconvert.load(tmp_path / "a.snn")):
        got = one.simulate(t, x, time_steps=2, encoding="uniform")
        torch.testing.assert_close(got[0], model(t, x / 2))
    by_position = snnconvert.convert(model, inputs, held=(0,), verify=False)
    torch.testing.assert_close(by_position.simulate(t, x)[-1], model(t, x))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"y": 0}, r"batch_dims: there is no input 'y'; the inputs are t, x"),
        ({5: 0}, r"batch_dims: there is no input 5"),
        ({"x": 3}, r"'x' has 3 dimensions and 3 is asked for, allowed 0 to 2"),
        (7, r"batch_dims=7: 'x' has 3 dimensions, allowed 0 to 2"),
        ("a", r"batch_dims='a': a whole number is needed"),
        (2.5, r"batch_dims=2.5: a whole number"),
        ((0,), r"batch_dims=\(0,\): a whole number"),
        ({"x": "0"}, r"batch_dims=\{'x': '0'\}: a whole number"),
        ({"x": 0, "t": 0}, r"must have one size in the example"),
    ],
)
def test_what_is_wrongly_said_is_told(said, told):
    with pytest.raises(InputError, match=told):
        trace(Ode().eval(), INPUTS[Ode](3), batch_dims=said)


def test_a_held_name_that_is_not_there_is_told():
    with pytest.raises(InputError, match=r"held='mask': names of inputs are needed"):
        snnconvert.convert(nn.Tanh().eval(), (torch.randn(2, 4),), held="mask")
    with pytest.raises(InputError, match=r"held: there is no input 'mask'; the inputs are t, x"):
        snnconvert.convert(Ode().eval(), INPUTS[Ode](3), held=("mask",))


BY_SIZE = {
    "larger": (lambda n: 1.0 if n < 4 else 2.0, 3, 8, "batch sizes of 1 to 3"),
    "odd": (lambda n: 1.0 if n % 2 == 0 else 3.0, 6, 3, "% 2"),
    "one size": (lambda n: 1.0 if n != 5 else 3.0, 6, 5, "!= 5"),
    "smaller": (lambda n: 1.0 if n > 3 else 3.0, 6, 3, "3"),
}


@pytest.mark.parametrize("name", BY_SIZE)
def test_batches_for_which_the_model_does_otherwise_are_refused(name, tmp_path):
    factor, right, wrong, told = BY_SIZE[name]
    model = Fn(lambda m, x: m(x) * factor(x.shape[0]), nn.Linear(4, 3)).eval()
    snn = snnconvert.convert(model, (torch.randn(4 if name == "smaller" else 2, 4),))
    snn.save(tmp_path / "a.snn")
    for one in (snn, snnconvert.load(tmp_path / "a.snn")):
        x = torch.randn(right, 4)
        torch.testing.assert_close(one.simulate(x)[-1], model(x))
        x = torch.randn(wrong, 4)
        for call, given in ((one.simulate, x), (one.step, x), (one, x.unsqueeze(0))):
            with pytest.raises(InputError, match="batch size") as caught:
                call(given)
            assert told in str(caught.value)


@pytest.mark.parametrize(
    "fn",
    [
        lambda m, x: m(x).squeeze(),
        lambda m, x: m(x) * 2 if x.shape[0] == 1 else m(x),
        lambda m, x: m(x.squeeze()).reshape(x.shape[0], -1) if x.shape[0] > 1 else m(x) * 3,
        lambda m, x: (m(x), x.squeeze(0)),
        lambda m, x: m(x) - m(x).mean(0) if x.shape[0] > 1 else m(x),
    ],
)
def test_a_single_sample_is_looked_at(fn, tmp_path):
    model = Fn(fn, nn.Linear(4, 3)).eval()
    one = torch.randn(1, 4)
    alone = snnconvert.convert(model, (one,))
    same(alone.simulate(one, time_steps=2), model(one))
    assert any("a single sample" in note for note in alone.report.notes)
    several = snnconvert.convert(model, (torch.randn(2, 4),))
    x = torch.randn(3, 4)
    same(several.simulate(x), model(x))
    several.save(tmp_path / "a.snn")
    for snn in (several, snnconvert.load(tmp_path / "a.snn")):
        with pytest.raises(InputError, match="batch size must be 2 or more"):
            snn.simulate(one)


def test_a_single_sample_is_taken_where_the_model_treats_it_as_others():
    model = Fn(lambda m, x: m(x).relu(), nn.Linear(4, 3)).eval()
    for batch in (1, 2):
        snn = snnconvert.convert(model, (torch.randn(batch, 4),))
        assert not snn.report.notes
        x = torch.randn(1, 4)
        torch.testing.assert_close(snn.simulate(x)[-1], model(x))


def test_a_conversion_on_one_sample_runs_on_it_where_the_batch_is_fixed():
    model = Fn(lambda m, x: torch.stack([m(x[i]) for i in range(x.shape[0])]), nn.Linear(4, 4))
    x = torch.randn(1, 4)
    snn = snnconvert.convert(model.eval(), (x,))
    torch.testing.assert_close(snn.simulate(x)[-1], model(x))
    with pytest.raises(InputError, match=r"must have shape \[1, 4\]"):
        snn.simulate(torch.randn(2, 4))


@pytest.mark.parametrize("sizes", [(3, 5), (3, 1), (1, 3)])
def test_inputs_of_other_batch_sizes_are_told_by_name(sizes):
    model = Fn(lambda x, p: x * 2 + p).eval()
    snn = snnconvert.convert(model, (torch.randn(2, 4), torch.randn(2, 4)))
    with pytest.raises(InputError, match=r"batch size of 'inputs_1' \(dimension 0\) must be"):
        snn.simulate(*(torch.randn(n, 4) for n in sizes))


def test_a_size_that_is_twice_the_batch_is_checked():
    model = Fn(lambda x, y: torch.cat([x, x]) * y).eval()
    snn = snnconvert.convert(model, (torch.randn(3, 4), torch.randn(6, 4)))
    x, y = torch.randn(3, 4), torch.randn(6, 4)
    torch.testing.assert_close(snn.simulate(x, y)[-1], model(x, y))
    with pytest.raises(InputError, match="inputs_1"):
        snn.simulate(torch.randn(4, 4), y)


def test_the_ranges_of_a_program_are_kept():
    sizes = ({0: Dim("b", min=3, max=9)},)
    program = export(nn.Linear(4, 3), (torch.randn(4, 4),), dynamic_shapes=sizes)
    snn = snnconvert.convert(program)
    snn.simulate(torch.randn(9, 4))
    for size in (2, 10):
        with pytest.raises(InputError, match="batch sizes of 3 to 9"):
            snn.simulate(torch.randn(size, 4))


def test_names_are_those_of_forward():
    class Net(nn.Module):
        def forward(self, image, *extras, scale, **others):
            return image * scale + extras[0] + others["shift"][0]

    x = torch.randn(2, 4)
    traced = trace(Net().eval(), (x, x), {"scale": x, "shift": [x]})
    assert [given.name for given in traced.inputs] == ["image", "extras_0", "scale", "shift[0]"]
    traced = trace(export(Net().eval(), (x, x), {"scale": x, "shift": [x]}))
    assert [given.name for given in traced.inputs] == ["image", "extras_0", "scale", "shift[0]"]


class Placed(nn.Module):
    """Adds what is the same for the whole batch, in that the source repeats it."""

    def __init__(self):
        super().__init__()
        self.map, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x, place):
        return self.head((self.map(x) + place).relu())


@pytest.mark.parametrize("rules", ["default", "spiking"])
@pytest.mark.parametrize("held", [(), ("x",), ("place",)])
@pytest.mark.parametrize("alone", ["x", "place"])
@pytest.mark.parametrize("traced", [2, 3])  # one sample is traced as two
def test_an_input_may_be_one_for_the_whole_batch(traced, alone, held, rules):
    def inputs(batch):
        sizes = {"x": batch, "place": batch} | {alone: 1}
        return {name: torch.randn(size, 4) for name, size in sizes.items()}

    model, example = Placed().eval(), inputs(traced)
    snn = snnconvert.convert(model, example, rules, calibration=[example], held=held)
    assert snn.report.passed
    # Only what is coded needs a batch for time to lie in front of.
    assert (snn.conversion.step_by_step == "") is (alone in held)
    assert ("declare it so: held=" in snn.conversion.step_by_step) is (alone not in held)
    for batch in (1, 3, 5):
        given = inputs(batch)
        with torch.no_grad():
            expected = model(**given)
        assert snnconvert.verify(model, snn, given).passed
        whole = snn.simulate(**given, time_steps=16)[-1]
        half = {n: x if n in held else x / 2 for n, x in given.items()}
        steps = [snn.step(**half) for _ in range(2)]
        snn.reset()
        torch.testing.assert_close(whole, expected, atol=1e-3, rtol=1e-3)
        if rules == "default":
            torch.testing.assert_close(sum(steps), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(InputError, match=rf"'{alone}' must have shape .*convert with example_inp"):
        snn.simulate(**{name: torch.randn(3, 4) for name in given})


def last_of(mask, x, y):
    """``len`` of a tensor is a number that export fixes."""
    return x[torch.arange(len(x)), mask.sum(1) - 1], 2 * y


@pytest.mark.parametrize("batch_dims", [None, 0])
def test_an_input_whose_single_sample_is_fixed_keeps_its_size(batch_dims):
    inputs = torch.ones(1, 4, dtype=torch.long), torch.randn(1, 4, 3), torch.randn(1, 3)
    snn = snnconvert.convert(Fn(last_of).eval(), inputs, batch_dims=batch_dims)
    for made, own in zip(snn.simulate(*inputs, time_steps=2), last_of(*inputs), strict=True):
        assert torch.equal(made[-1], own)


@pytest.mark.parametrize("dim", [1, -1])
def test_a_dimension_that_cannot_be_the_batch_is_named(dim):
    model, x = nn.Linear(3, 5).eval(), torch.randn(4, 3)
    for source in (model, torch.export.export(model, (x,))):
        inputs = (x,) if source is model else None
        notes = snnconvert.convert(source, inputs, batch_dims=dim).conversion.notes
        said = [note for note in notes if "cannot be the batch" in note]
        assert len(said) == 1 and said[0].startswith("dimension 1 of 'input' cannot")
        assert not any("dimension 0" in note for note in notes)


def with_labels(m, x, labels):
    """A scatter takes an index of fewer rows: export leaves its size open, beside the batch."""
    known = torch.zeros(x.shape[0], 4).to(x).scatter_(1, labels, 1.0)
    return m(torch.cat([x, known], 1))


def spread(m, x, ids):
    return torch.zeros(x.shape[0], 4).to(x).scatter_add(1, ids, m(x))


@pytest.mark.parametrize("traced", [1, 3])
@pytest.mark.parametrize(
    ("fn", "layer", "width"), [(with_labels, nn.Linear(9, 3), 1), (spread, nn.Linear(5, 5), 5)]
)
def test_an_index_that_a_scatter_takes_has_the_batch(fn, layer, width, traced, tmp_path):
    def inputs(batch):
        return torch.randn(batch, 5), torch.randint(0, 4, (batch, width))

    model = Fn(fn, layer).eval()
    snn = snnconvert.convert(model, inputs(traced))
    assert not snn.report.notes and [i.batch_dim for i in snn.conversion.source.inputs] == [0, 0]
    snn.save(tmp_path / "a.snn")
    for conversion in (snn, snnconvert.load(tmp_path / "a.snn")):
        for batch in (1, 2, 5):
            given = inputs(batch)
            same(conversion.simulate(*given, time_steps=3), model(*given))
