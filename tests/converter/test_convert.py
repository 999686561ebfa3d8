from __future__ import annotations

import copy
import importlib
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.graph.meta import SOURCE
from snnconvert.errors import ConversionError, InputError, RuleError, SnnconvertError, TraceError
from snnconvert.rules import parse_rules
from tests.converter.conftest import Gated, TinyCNN, TinyLM, TinyViT


def snapshot(model: nn.Module) -> tuple[object, ...]:
    return (
        {k: v.clone() for k, v in model.state_dict().items()},
        {k: id(v) for k, v in model.named_parameters()},
        [m.training for m in model.modules()],
        [len(m._forward_hooks) for m in model.modules()],
        [p.requires_grad for p in model.parameters()],
    )


def test_every_network_is_equivalent(network):
    model, inputs = network
    report = snnconvert.convert(model, inputs).report
    assert report.passed
    assert report.max_rel_error <= 1e-9
    assert report.source_rel_error is not None


def test_the_source_is_not_changed(network):
    model, inputs = network
    model.register_forward_hook(lambda *_: None)
    before = snapshot(model)
    snnconvert.convert(model, inputs)
    after = snapshot(model)
    assert before[1:] == after[1:]
    assert all(torch.equal(before[0][k], v) for k, v in after[0].items())


def test_parameters_are_shared_under_the_source_names(network):
    model, inputs = network
    snn = snnconvert.convert(model, inputs, verify=False)
    assert snn.state_dict().keys() == model.state_dict().keys()
    own = dict(snn.named_parameters(remove_duplicate=False))
    assert all(own[k] is p for k, p in model.named_parameters(remove_duplicate=False))
    snn.load_state_dict(model.state_dict(), strict=True)


def test_conversion_is_deterministic(network):
    model, inputs = network
    first, second = (snnconvert.convert(model, inputs) for _ in range(2))
    assert str(first.graph) == str(second.graph)
    assert first.report == second.report


def test_operators_stand_at_the_paths_of_their_modules():
    snn = snnconvert.convert(TinyViT().eval(), (torch.randn(2, 1, 4, 4),), verify=False)
    names = {path: type(m).__name__ for path, m in snn.named_modules()}
    assert names["attn.qkv"] == "TDLinear"
    assert names["patch"] == "TDConv2d"
    assert names["norm1"] == "TDLayerNorm"
    assert names["act"] == "TDGELU"
    assert names["attn.softmax"] == "TDSoftmax"
    assert "TDLinear(in_features=8, out_features=24" in repr(snn)


def test_train_mode_is_refused():
    with pytest.raises(TraceError, match=r"train mode .*model\.eval\(\)"):
        snnconvert.convert(TinyCNN(), (torch.randn(2, 1, 8, 8),))


def test_layers_that_are_the_same_in_train_mode_need_no_eval():
    x = torch.randn(2, 4)
    for model in (nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.LayerNorm(4))):
        assert snnconvert.convert(model, (x,)).report.passed and model.training
    for other in (nn.Dropout(), nn.BatchNorm1d(4), nn.RReLU()):
        with pytest.raises(TraceError, match=r"train mode .*model\.eval\(\)"):
            snnconvert.convert(nn.Sequential(nn.Linear(4, 4), other), (x,))


def test_keyword_inputs_in_the_place_of_rules_are_told():
    with pytest.raises(InputError, match=r"a dict of inputs \(x\): .*in the second place"):
        snnconvert.convert(TinyCNN().eval(), (), {"x": torch.randn(2, 1, 8, 8)})


def test_a_module_needs_example_inputs():
    with pytest.raises(InputError, match="needs example_inputs"):
        snnconvert.convert(TinyCNN().eval())


def test_calibration_that_no_rule_uses_is_said():
    snn = snnconvert.convert(
        TinyCNN().eval(), (torch.randn(2, 1, 8, 8),), calibration=[torch.randn(2, 1, 8, 8)]
    )
    assert any("calibration batches were not used" in note for note in snn.report.notes)


def test_what_is_no_model_is_told():
    with pytest.raises(InputError, match=r"received the class TinyCNN; make one"):
        snnconvert.convert(TinyCNN, (torch.randn(2, 1, 8, 8),))
    with pytest.raises(InputError, match=r"received a mapping with conv1.weight.*load it into its"):
        snnconvert.convert(TinyCNN().state_dict(), (torch.randn(2, 1, 8, 8),))
    with pytest.raises(InputError, match=r"received None"):
        snnconvert.convert(None)


def test_a_network_without_a_stream_is_refused():
    class Lookup(nn.Module):
        def forward(self, ids):
            return ids * 2

    with pytest.raises(ConversionError, match="no input is coded"):
        snnconvert.convert(Lookup().eval(), (torch.arange(4).reshape(2, 2),))


def test_an_untraceable_module_is_named_with_its_line():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Branch()

        def forward(self, x):
            return self.inner(x)

    with pytest.raises(TraceError, match=r"module 'inner' \(Branch\) at .*test_convert\.py:\d+"):
        snnconvert.convert(Outer().eval(), (torch.randn(2, 3),))


def test_a_batch_of_one_is_enough():
    snn = snnconvert.convert(TinyCNN().eval(), (torch.randn(1, 1, 8, 8),))
    assert snn.report.passed
    assert snn.simulate(torch.randn(3, 1, 8, 8), time_steps=2).shape == (2, 3, 3)


def test_an_exported_program_is_a_model():
    model, x = TinyCNN().eval(), torch.randn(2, 1, 8, 8)
    program = torch.export.export(model, (x,), strict=False)
    snn = snnconvert.convert(program)
    assert snn.report.passed
    assert "batch" in " ".join(snn.report.notes)  # exported with a fixed batch, and said so


def test_time_steps_replace_those_of_the_rules():
    snn = snnconvert.convert(
        Gated().eval(), (torch.randn(2, 4), torch.randn(2, 4)), time_steps=3, verify=False
    )
    assert snn.time_steps == 3
    with pytest.raises(InputError):
        snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),), time_steps=0)


def rules_file(tmp_path, text: str):
    path = tmp_path / "rules.yaml"
    path.write_text("version: 1\nextends: default\nrules:\n" + text)
    return path


def test_a_rule_that_takes_nothing_is_said_and_is_an_error_when_strict(tmp_path):
    rules = rules_file(tmp_path, "  - {name: lost, match: {op: gelu}, action: td}\n")
    inputs = (torch.randn(2, 1, 8, 8),)
    snn = snnconvert.convert(TinyCNN().eval(), inputs, rules)
    assert any("lost" in note for note in snn.report.notes)
    with pytest.raises(RuleError, match="lost"):
        snnconvert.convert(TinyCNN().eval(), inputs, rules, strict=True)
    snnconvert.convert(TinyCNN().eval(), inputs, strict=True)  # bundled rules may take nothing


def test_encoding_a_stream_again_is_refused(tmp_path):
    rules = rules_file(tmp_path, "  - {name: again, match: {op: relu}, action: encode}\n")
    with pytest.raises(ConversionError, match="is a stream already"):
        snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),), rules)


@pytest.mark.parametrize("spelling", ["module", "function", "method"])
def test_three_spellings_are_one_kind(spelling, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.act = nn.Linear(4, 4), nn.SiLU()

        def forward(self, x):
            x = self.fc(x)
            if spelling == "module":
                return self.act(x)
            return torch.nn.functional.silu(x) if spelling == "function" else torch.ops.aten.silu(x)

    rules = rules_file(tmp_path, "  - {name: silus, match: {op: silu}, action: td}\n")
    snn = snnconvert.convert(Net().eval(), (torch.randn(2, 4),), rules, strict=True)
    assert [r.nodes for r in snn.report.kinds if r.rule == "silus"] == [1]


def test_mutation_dropping_the_encoding_rule_is_an_error():
    default = snnconvert.load_rules("default")
    without = tuple(rule for rule in default.rules if rule.action != "encode")
    assert len(without) < len(default.rules)
    inputs = {"ids": torch.randint(0, 11, (2, 5)), "mask": torch.ones(2, 5, dtype=torch.long)}
    with pytest.raises(ConversionError, match="no input is coded"):
        snnconvert.convert(TinyLM().eval(), inputs, replace(default, rules=without))


@pytest.mark.parametrize("name", ["layer_norm", "gelu"])
def test_mutation_dropping_what_a_rule_puts_in_fails(name):
    model = TinyViT().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 1, 4, 4),), verify=False)
    placed = next(n for n in snn.graph.nodes if n.meta.get(SOURCE) == name)
    placed.replace_all_uses_with(placed.args[1])  # its (first) stream passes as it is
    snn.graph.erase_node(placed)
    report = snnconvert.verify(model, snn)
    assert not report.passed
    assert report.first_failure is not None


def test_mutation_passing_a_constant_through_fails(tmp_path):
    rules = rules_file(tmp_path, "  - {name: bad, match: {op: add, path: ''}, action: keep}\n")
    rules.write_text(rules.read_text().replace(", path: ''", ""))
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(TinyViT().eval(), (torch.randn(2, 1, 4, 4),), rules)
    assert not snn.report.passed
    assert snn.report.first_failure == "add"  # x + pos


def test_mutation_a_product_of_streams_as_linear_fails(tmp_path):
    rules = rules_file(tmp_path, "  - {name: bad, match: {op: mul}, action: keep}\n")
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(Gated().eval(), (torch.randn(2, 4), torch.randn(2, 4)), rules)
    assert snn.report.first_failure == "mul"


def test_mutation_a_bias_counted_at_every_step_fails(tmp_path):
    rules = rules_file(tmp_path, "  - {name: bad, match: {op: conv, path: patch}, action: keep}\n")
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(TinyViT().eval(), (torch.randn(2, 1, 4, 4),), rules)
    assert snn.report.first_failure == "conv2d"


def test_keep_is_right_for_what_is_linear(tmp_path):
    rules = rules_file(
        tmp_path, "  - {name: linear, match: {op: conv, path: conv1}, action: keep}\n"
    )
    snn = snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),), rules)
    assert snn.report.passed


def test_no_warning_of_torch_reaches_the_user():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lstm = nn.LSTM(3, 4, batch_first=True).eval()
        assert snnconvert.convert(lstm, (torch.randn(2, 5, 3),)).report.passed


def test_nested_inputs_and_outputs():
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, batch, *, flag=None):
            left, (right,) = batch["left"], batch["rest"]
            return {"sum": [self.fc(left) + right], "flag": flag, "n": 3}

    inputs = {
        "batch": {"left": torch.randn(2, 3), "rest": (torch.randn(2, 3),)},
        "flag": None,
    }
    model = Nested().eval()
    snn = snnconvert.convert(model, inputs)
    assert snn.report.passed
    out = snn.simulate(**inputs, time_steps=2)
    assert out["flag"] is None and out["n"] == 3
    torch.testing.assert_close(out["sum"][0][-1], model(**inputs)["sum"][0])


def test_hooks_and_deepcopy_of_the_source_still_work():
    model = TinyLM().eval()
    inputs = {"ids": torch.randint(0, 11, (2, 5)), "mask": torch.ones(2, 5, dtype=torch.long)}
    snn = snnconvert.convert(model, inputs, verify=False)
    again = copy.deepcopy(model)
    torch.testing.assert_close(
        snn.simulate(**inputs, time_steps=2)["logits"][-1], again(**inputs)["logits"]
    )


def test_the_warning_points_at_the_line_that_converted():
    rules = "version: 1\nextends: default\nrules: [{name: n, match: {op: gelu}, action: keep}]"
    model = nn.Sequential(nn.Linear(4, 4), nn.GELU()).eval()
    with pytest.warns(snnconvert.NotEquivalentWarning) as caught:
        snnconvert.convert(model, (torch.randn(2, 4),), parse_rules(rules))
    assert [warning.filename for warning in caught] == [__file__]


def test_weights_and_own_packages_are_found_from_python_too(tmp_path, monkeypatch):
    name = f"own_{tmp_path.name}".replace("-", "_")
    code = "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self):\n"
    (tmp_path / f"{name}.py").write_text(f"{code}        super().__init__(4, 3)\n")
    monkeypatch.chdir(tmp_path)
    model = nn.Linear(4, 3).eval()
    torch.save(model.state_dict(), "w.pt")
    x = torch.randn(2, 4)
    snn = snnconvert.convert("w.pt", (x,), arch=f"python:{name}:Net")
    with torch.no_grad():
        torch.testing.assert_close(snn.simulate(x)[-1], model(x))
    own = importlib.import_module(name).Net().eval()
    torch.save(own, "m.pt")
    with pytest.raises(SnnconvertError, match="--allow"):
        snnconvert.convert("m.pt", (x,))
    assert snnconvert.convert("m.pt", (x,), allow=[name]).report.passed
    with pytest.raises(SnnconvertError, match="arch= is for files"):
        snnconvert.convert(model, (x,), arch=f"python:{name}:Net")


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_one_batch_for_calibration_or_data_is_told_before_anything_is_traced(rules, monkeypatch):
    x, traced = torch.randn(3, 4), []
    model = torch.nn.Linear(4, 2).eval()
    snn = snnconvert.convert(model, (x,), rules)
    with pytest.raises(InputError, match=r"data= is one tensor.* one batch x is \[x\]"):
        snnconvert.verify(model, snn, data=x)
    monkeypatch.setattr("snnconvert.converter.convert.trace_source", traced.append)
    with pytest.raises(InputError, match=r"calibration= is one tensor.* one batch x is \[x\]"):
        snnconvert.convert(model, (x,), rules, calibration=x)
    assert not traced
