"""LSTM, GRU and RNN on spikes: taken apart, calibrated, counted and reported."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.calibration.observe import Observed
from snnconvert.errors import ConversionError
from tests.converter.test_recurrent import LAYERS, OPTIONS, Cells, Layer

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")

N, H, L, B = 3, 4, 4, 8
NEURON = "neuron: {type: multi_threshold, levels: 8, threshold: {statistic: max, per: tensor}}\n"


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "version: 1\nextends: default\n" + NEURON + "rules:\n"
        "  - {name: recurrences, match: {op: [lstm, gru, rnn]}, action: spike_operands}\n"
        "  - {name: maps, match: {op: linear}, action: spike_operands}\n"
    )
    return path


def batches(count=3):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(B, L, N, generator=generator) for _ in range(count)]


def made(name, **options):
    torch.manual_seed(0)
    return Layer(LAYERS[name][1](**options)).eval()


def convert(model, rules, time_steps=8):
    data = batches()
    return snnconvert.convert(model, data[:1], rules, calibration=data, time_steps=time_steps)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_exact_without_spikes_and_close_with_them(name, options, rules):
    model = made(name, **OPTIONS[options])
    snn = convert(model, rules)
    report = snn.report
    assert report.passed and report.dtype == "float64" and report.max_rel_error <= 1e-9
    errors = [step.rel_error for step in report.spiking.steps]
    assert errors[-1] < 0.02 and errors[-1] < errors[0]
    assert "linear" not in report.spiking.analog, "every map must have spikes for its operand"
    assert {layer.place for layer in report.spiking.layers} >= {"linear at 'head'"}
    layer = next(x for x in report.spiking.layers if "at 'inner'" in x.place)
    assert layer.rel_error < 0.02 and layer.correlation > 0.99
    assert snn.state_dict().keys() >= model.state_dict().keys()
    assert all(dict(snn.named_parameters())[k] is p for k, p in model.named_parameters())


def test_a_layer_and_direction_has_one_neuron_for_all_positions(rules):
    snn = convert(made("lstm", batch_first=True, num_layers=2, bidirectional=True), rules)
    assert [name for name, _ in snn.inner.named_children()] == [
        "input_l0_neuron",
        "hidden_l0_neuron",
        "hidden_l0_reverse_neuron",
        "input_l1_neuron",
        "hidden_l1_neuron",
        "hidden_l1_reverse_neuron",
    ]
    rows = {site.name: site for site in snn.report.spiking.sites}
    assert len(rows) == 7  # with the head's
    assert rows["inner.hidden_l0_neuron"].values == H * (L - 1)
    assert rows["inner.input_l1_neuron"].values == 2 * H * L
    tracked = [n for n in snn.graph.nodes if n.op == "call_method" and n.target == "track"]
    hidden = [n for n in tracked if n.args[0].target == "inner.hidden_l0_neuron"]
    assert len(hidden) == L - 1, "the first position's hidden state is zero"
    assert len({n.args[3] for n in hidden}) == L - 1, "each position must have its own state"


def test_is_the_recurrence_with_neurons_by_hand(rules):
    model = made("lstm", batch_first=True)
    snn = convert(model, rules)
    steps = 5
    x = batches()[2]
    inner, lstm = snn.inner, model.inner
    coded = inner.input_l0_neuron.cumulative(x.expand(steps, *x.shape))
    h = c = torch.zeros(steps, B, H)
    outputs = []
    with torch.no_grad():
        for position in range(L):
            spikes = inner.hidden_l0_neuron.cumulative(h) if position else h
            gates = F.linear(coded[:, :, position], lstm.weight_ih_l0, lstm.bias_ih_l0)
            gates = gates + F.linear(spikes, lstm.weight_hh_l0, lstm.bias_hh_l0)
            i, f, g, o = gates.chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
    got, _, _ = snn.simulate(x, time_steps=steps)
    torch.testing.assert_close(got, torch.stack(outputs, 2), rtol=1e-5, atol=1e-6)


def test_step_equals_forward_and_a_file_gives_the_same(rules, tmp_path):
    snn = convert(made("gru", batch_first=True, bidirectional=True), rules)
    x_seq = torch.randn(4, B, L, N)
    expected = snn(x_seq)[1]
    for t in range(4):
        torch.testing.assert_close(snn.step(x_seq[t])[1], expected[t], rtol=1e-4, atol=1e-5)
    snn.save(tmp_path / "m.snn")
    torch.testing.assert_close(snnconvert.load(tmp_path / "m.snn")(x_seq)[1], expected)


def test_cells_in_a_loop_share_their_neurons(rules):
    class Loop(nn.Module):
        def __init__(self, cell):
            super().__init__()
            self.cell, self.head = cell, nn.Linear(H, 2)

        def forward(self, x):
            state = None
            for position in range(L):
                state = self.cell(x[:, position], state)
            return self.head(state[0] if isinstance(state, tuple) else state)

    for cell in (nn.LSTMCell(N, H), nn.GRUCell(N, H), nn.RNNCell(N, H, bias=False)):
        snn = convert(Loop(cell).eval(), rules)
        assert snn.report.passed and snn.report.max_rel_error <= 1e-9
        names = [name for name, _ in snn.cell.named_children()]
        assert names == ["input_neuron", "hidden_neuron"]
        assert "linear" not in snn.report.spiking.analog
        assert snn.report.spiking.rel_error < 0.05


def test_a_hidden_state_that_also_drives_another_cell_has_one_neuron(rules):
    snn = convert(Cells().eval(), rules)
    assert snn.report.passed and "linear" not in snn.report.spiking.analog
    assert [name for name, _ in snn.lstm.named_children()] == ["input_neuron"]


def test_initial_states_that_are_streams_are_coded(rules):
    class FromStates(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = made("lstm", batch_first=True)

        def forward(self, x, h):
            return self.model(x, (h.unsqueeze(0), 2 * h.unsqueeze(0)))

    data = [(x, 0.5 * x[:, 0, :1].repeat(1, H)) for x in batches()]
    snn = snnconvert.convert(FromStates().eval(), data[0], rules, calibration=data)
    assert snn.report.passed
    tracked = [n for n in snn.graph.nodes if n.op == "call_method" and n.target == "track"]
    hidden = [n for n in tracked if n.args[0].target == "model.inner.hidden_l0_neuron"]
    assert len(hidden) == L


def test_mutation_a_coarse_threshold_of_the_hidden_state_fails(rules):
    model = made("lstm", batch_first=True)
    snn = convert(model, rules)
    broken = copy.deepcopy(snn)
    broken.inner.hidden_l0_neuron.v_threshold.mul_(1e4)
    report = snnconvert.verify(model, broken)
    assert not report.passed and report.spiking.rel_error > 10 * snn.report.spiking.rel_error


def test_bundled_rules_put_recurrences_on_spikes():
    snn = convert(made("lstm", batch_first=True), "spiking")
    assert snn.report.passed and "linear" not in snn.report.spiking.analog


def test_a_neuron_on_the_output_of_a_layer_is_told(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "version: 1\nextends: default\n" + NEURON + "rules:\n"
        "  - {name: outputs, match: {op: lstm}, action: neuron}\n"
    )
    with pytest.raises(ConversionError, match=r"rule 'outputs'.*no place for 'neuron'.*spiking"):
        convert(made("lstm", batch_first=True), path)


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_torchs_own_layout_has_a_fixed_length_and_is_taken_apart(layer, rules):
    """Positions first, samples second: export keeps the length as a symbol, which is a number."""
    torch.manual_seed(0)
    data = [torch.randn(L, B, N) for _ in range(2)]
    snn = snnconvert.convert(layer(N, H).eval(), data[:1], rules, calibration=data)
    assert snn.report.passed and snn.report.spiking.rel_error < 0.02
    with pytest.raises(snnconvert.SnnconvertError, match="shape"):
        snn.simulate(torch.randn(L + 2, B, N))


def test_positions_that_share_thresholds_are_sampled_apart():
    observed = Observed("shared", (1,))
    rows = torch.arange(2000.0).unsqueeze(1).expand(-1, 64)
    for _ in range(4):
        observed.see(rows, 0)
    kept = observed.fitted.rows[1][:, 0]
    assert len(kept.unique()) > 0.9 * len(kept)


def test_a_recurrence_in_floats_counts_as_work():
    """Of an LSTM that stays TD all multiply-accumulates are analog, in each step that changes."""
    torch.manual_seed(0)
    model = nn.Sequential(Taken(nn.LSTM(N, H, batch_first=True)), nn.ReLU(), nn.Linear(H, 2)).eval()
    data = batches()
    snn = snnconvert.convert(model, data[:1], "rate_if", calibration=data, verify=False)
    work = snnconvert.verify(model, snn, data=data).spiking.work
    recurrent, head = L * (4 * H * N + 4 * H * H), L * 2 * H
    assert work.source_macs == recurrent + head
    assert work.spiking_macs == head and work.operations["MACs in floats"] == recurrent


def test_attention_in_floats_counts_as_two_products():
    model = Attention().eval()
    data = batches()
    snn = snnconvert.convert(model, data[:1], "rate_if", calibration=data, verify=False)
    work = snnconvert.verify(model, snn, data=data).spiking.work
    assert work.operations["MACs in floats"] == 2 * L * L * N


class Taken(nn.Module):
    """A layer's output without its states."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class Attention(nn.Module):
    """One head of a sequence on itself, and a ReLU."""

    def forward(self, x):
        x = x.unsqueeze(1)
        return F.scaled_dot_product_attention(x, x, x).relu().squeeze(1)


@pytest.mark.filterwarnings("ignore::snnconvert.NotEquivalentWarning")
def test_work_that_is_not_counted_is_said(tmp_path):
    """A class that a rule names is not looked into; the report does not pass over it."""
    path = tmp_path / "r.yaml"
    path.write_text(
        "version: 1\nextends: spiking_cells\n" + NEURON + "rules:\n"
        "  - {name: maps, match: {op: linear}, action: spike_operands}\n"
    )
    model = nn.Sequential(Taken(nn.LSTM(N, H, batch_first=True)), nn.Linear(H, 2)).eval()
    snn = convert(model, path)
    report = snnconvert.verify(model, snn, data=batches()).spiking
    assert report.analog == {"SpikingLSTM (its work is not counted)": 1}
    assert any("1 SpikingLSTM (its work is not counted)" in said for said in report.sentences())
