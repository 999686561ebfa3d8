"""Recurrent layers and cells in converted networks."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import snnconvert
from snnconvert import ops
from snnconvert.errors import ConversionError, TraceError
from snnconvert.ops import TDGRU, TDLSTM, TDRNN, TDGRUCell, TDLSTMCell, TDRNNCell

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")

F, H, L = 3, 4, 5


class Layer(nn.Module):
    """A recurrent layer between two maps; the batch comes first, the layer may have it second."""

    def __init__(self, layer):
        super().__init__()
        self.inner = layer
        self.head = nn.Linear(layer.proj_size or H, 2)

    def forward(self, x, state=None):
        given = x if self.inner.batch_first else x.transpose(0, 1)
        output, final = self.inner(given, state)
        last = final[0] if isinstance(final, tuple) else final
        return output, self.head(last[-1]), final


class Cells(nn.Module):
    """Cells in a loop of Python's, used at each position."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTMCell(F, H)
        self.gru = nn.GRUCell(H, H)
        self.rnn = nn.RNNCell(H, H, nonlinearity="relu", bias=False)

    def forward(self, x):
        state = g = r = None
        for position in range(x.shape[1]):
            state = self.lstm(x[:, position], state)
            g = self.gru(state[0], g)
            r = self.rnn(g, r)
        return state, g, r


LAYERS = {
    "lstm": (TDLSTM, lambda **o: nn.LSTM(F, H, **o)),
    "lstm projected": (TDLSTM, lambda **o: nn.LSTM(F, H, proj_size=2, **o)),
    "gru": (TDGRU, lambda **o: nn.GRU(F, H, **o)),
    "rnn tanh": (TDRNN, lambda **o: nn.RNN(F, H, **o)),
    "rnn relu": (TDRNN, lambda **o: nn.RNN(F, H, nonlinearity="relu", **o)),
}
OPTIONS = {
    "batch first": {"batch_first": True},
    "batch second": {},
    "two layers, both directions": {
        "batch_first": True,
        "num_layers": 2,
        "bidirectional": True,
        "dropout": 0.5,
    },
    "no bias": {"batch_first": True, "bias": False},
}


def made(name, **options):
    torch.manual_seed(0)
    return Layer(LAYERS[name][1](**options)).eval()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_become_named_operators_and_are_exact(name, options):
    model = made(name, **OPTIONS[options])
    snn = snnconvert.convert(model, (torch.randn(2, L, F),))
    assert type(snn.inner) is LAYERS[name][0]
    assert snn.inner.extra_repr() == model.inner.extra_repr()
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    assert not snn.conversion.step_by_step
    own = dict(snn.named_parameters())
    assert all(own[k] is p for k, p in model.named_parameters())
    assert snn.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_initial_states_may_be_streams(name):
    model = made(name, batch_first=True)

    class FromStates(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x, h):
            h = h.unsqueeze(0)
            return self.model(x, (h, 2 * h) if name == "lstm" else h)

    snn = snnconvert.convert(FromStates().eval(), (torch.randn(2, L, F), torch.randn(2, H)))
    assert type(snn.model.inner) is LAYERS[name][0]
    assert snn.report.passed


def test_cells_in_a_loop_become_named_operators_and_are_exact():
    model = Cells().eval()
    snn = snnconvert.convert(model, (torch.randn(2, L, F),))
    kinds = [type(m) for m in (snn.lstm, snn.gru, snn.rnn)]
    assert kinds == [TDLSTMCell, TDGRUCell, TDRNNCell]
    assert snn.report.passed
    assert snn.state_dict().keys() == model.state_dict().keys()
    x_seq = torch.randn(3, 2, L, F)
    expected = snn(x_seq)
    for t in range(3):
        (h, _), _, _ = snn.step(x_seq[t])
        torch.testing.assert_close(h, expected[0][0][t])


def test_a_conversion_is_saved_copied_and_cast(tmp_path):
    snn = snnconvert.convert(made("lstm", batch_first=True), (torch.randn(2, L, F),))
    x_seq = torch.randn(3, 2, L, F)
    expected = snn(x_seq)[1]
    snn.save(tmp_path / "m.snn")
    torch.testing.assert_close(snnconvert.load(tmp_path / "m.snn")(x_seq)[1], expected)
    double = copy.deepcopy(snn).double()
    assert type(double.inner) is TDLSTM and snn.inner.weight_ih_l0.dtype is torch.float32
    torch.testing.assert_close(double(x_seq.double())[1], expected.double(), rtol=1e-4, atol=1e-6)


def test_weights_that_are_computed_stay_in_the_graph():
    model = made("lstm", batch_first=True)
    weight_norm(model.inner, "weight_hh_l0").eval()
    assert snnconvert.convert(model, (torch.randn(2, L, F),)).report.passed


class Forgetful(TDLSTM):
    """An LSTM of a user's that leaves its cell state out."""

    def cumulative(self, x, hx=None, *, packing=None):
        h, c = hx
        return super().cumulative(x, (h, c + 1e-3), packing=packing)


def test_mutation_a_wrong_class_of_the_users_fails(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "version: 1\nextends: default\nrules:\n"
        f"  - {{name: mine, match: {{op: lstm}}, action: {__name__}.Forgetful}}\n"
    )
    rules = snnconvert.load_rules(path, allow=["tests"])
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(made("lstm", batch_first=True), (torch.randn(2, L, F),), rules)
    assert type(snn.inner) is Forgetful
    assert snn.report.first_failure == "lstm"


@pytest.mark.parametrize("given", [True, False], ids=["lengths given", "lengths fixed"])
def test_a_model_that_packs_is_told_what_to_do(given):
    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(F, H, batch_first=True)

        def forward(self, x, lengths=None):
            lengths = torch.tensor([L, 2]) if lengths is None else lengths
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]

    inputs = (torch.randn(2, L, F), torch.tensor([L, 2]))[: 1 + given]
    with pytest.raises(TraceError, match=r"(?s)PackedSequence.*leave out.*padded") as error:
        snnconvert.convert(Packs().eval(), inputs)
    assert "test_recurrent.py" in str(error.value)


SPIKING = {
    "lstm": ops.SpikingLSTM,
    "lstm projected": ops.SpikingLSTM,
    "gru": ops.SpikingGRU,
    "rnn tanh": ops.SpikingRNN,
    "rnn relu": ops.SpikingRNN,
}


def spiking_cells(model, *inputs):
    with pytest.warns(snnconvert.NotEquivalentWarning, match="a starting point for training"):
        return snnconvert.convert(model, inputs, "spiking_cells")


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_spiking_cells_stand_in_the_place_of_layers(name, options):
    model = made(name, **OPTIONS[options])
    snn = spiking_cells(model, torch.randn(2, L, F))
    assert type(snn.inner) is SPIKING[name]
    own = dict(snn.named_parameters())
    assert all(own[k] is p for k, p in model.named_parameters())
    assert snn.state_dict().keys() == model.state_dict().keys()
    x = torch.randn(2, L, F)
    given = x if model.inner.batch_first else x.transpose(0, 1)
    output, final = SPIKING[name].from_ann(model.inner)(given)
    last = final[0] if isinstance(final, tuple) else final
    for run in (snn.simulate(x, time_steps=1), snn.simulate(x, time_steps=3)):
        torch.testing.assert_close(run[0][-1], output)
        torch.testing.assert_close(run[1][-1], model.head(last[-1]))


def test_spiking_cells_stand_in_the_place_of_cells():
    snn = spiking_cells(Cells().eval(), torch.randn(2, L, F))
    kinds = [type(m) for m in (snn.lstm, snn.gru, snn.rnn)]
    assert kinds == [ops.SpikingLSTMCell, ops.SpikingGRUCell, ops.SpikingRNNCell]


def test_the_report_of_spiking_cells_has_their_numbers():
    report = spiking_cells(made("lstm", batch_first=True), torch.randn(2, L, F)).report
    assert not report.passed and report.max_rel_error > 1e-3
    assert report.to_be_trained == ("inner (SpikingLSTM)",)
    assert report.verdict().startswith("NOT equivalent: a starting point for training, as inner")
    assert f"{report.max_rel_error:.1e}" in report.verdict()
    again = snnconvert.EquivalenceReport.from_dict(report.to_dict())
    assert again == report


def test_spiking_cells_are_trained_saved_and_loaded(tmp_path):
    torch.manual_seed(0)
    model = made("lstm", batch_first=True)
    snn = spiking_cells(copy.deepcopy(model), torch.randn(2, L, F))
    x, wanted = torch.randn(1, 16, L, F), torch.randn(16, 2)
    optimizer = torch.optim.Adam(snn.parameters(), 0.02)
    losses = []
    for _ in range(30):
        loss = (snn(x)[1][0] - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    snn.save(tmp_path / "m.snn")
    again = snnconvert.load(tmp_path / "m.snn")
    assert type(again.inner) is ops.SpikingLSTM
    torch.testing.assert_close(again(x)[1], snn(x)[1])


def test_a_layer_does_not_stand_for_a_cell(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "version: 1\nrules:\n"
        "  - {name: mine, match: {op: lstm}, action: snnconvert.ops.SpikingLSTM}\n"
    )
    with pytest.raises(ConversionError, match=r"rule 'mine'.*cannot stand for 'lstm_cell'"):
        snnconvert.convert(Cells().eval(), (torch.randn(2, L, F),), path)
