"""Models as users hand them over: wrapped, exported, with a cache, with classes of their own."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict

import pytest
import torch
import torch.utils._pytree as pytree
from torch import nn

import snnconvert
from snnconvert.converter.tracing.preparing import caching, unwrapped
from snnconvert.errors import TraceError


class Parallel(nn.parallel.DistributedDataParallel):
    """Has the class without the process group."""

    def __init__(self, module):
        nn.Module.__init__(self)
        self.module = module


@pytest.mark.parametrize(
    "wrap", [Parallel, nn.DataParallel, lambda m: torch.compile(nn.DataParallel(m))]
)
def test_what_trains_on_several_devices_is_unwrapped(wrap):
    model, x = nn.Sequential(nn.Linear(4, 3), nn.Tanh()).eval(), torch.randn(2, 4)
    wrapped = wrap(model).eval()
    snn = snnconvert.convert(wrapped, (x,))
    assert snn.report.passed
    assert snn.report.source_rel_error < 1e-9
    assert any("Parallel" in note for note in snn.report.notes)
    assert snn.state_dict().keys() == model.state_dict().keys()
    assert snnconvert.verify(wrapped, snn).source_rel_error < 1e-9
    assert unwrapped(model) == (model, "")


def test_the_module_of_an_exported_program_has_no_modes():
    x = torch.randn(2, 6)
    program = torch.export.export(nn.Sequential(nn.Linear(6, 4), nn.ReLU()).eval(), (x,))
    assert snnconvert.convert(program.module(), (x,)).report.passed
    graph_module = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(6, 4)))
    with pytest.raises(TraceError, match=r"call model\.eval\(\) first"):
        snnconvert.convert(graph_module.train(), (x,))


@pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated")
def test_modules_of_torchscript_are_told_as_such():
    x, layer = torch.randn(2, 4), nn.Linear(4, 4)
    scripted, traced = torch.jit.script(layer).eval(), torch.jit.trace(layer, x).eval()
    inside = nn.Sequential(nn.ReLU(), scripted).eval()
    for model, place in ((scripted, "model itself"), (traced, "model itself"), (inside, "'1'")):
        with pytest.raises(TraceError, match=rf"{place}.* is a module of TorchScript.*state_dict"):
            snnconvert.convert(model, (x,))
    assert snnconvert.convert(nn.Sequential(nn.Tanh(), traced).eval(), (x,)).report.passed


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "LlamaModel", "GPT2LMHeadModel"])
def test_a_language_model_converts_as_its_library_makes_it(name):
    transformers = pytest.importorskip("transformers")
    llama = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    gpt = transformers.GPT2Config(vocab_size=32, n_positions=16, n_embd=16, n_layer=1, n_head=2)
    model = getattr(transformers, name)(gpt if "GPT2" in name else llama).eval()
    ids = torch.randint(0, 32, (2, 6))
    snn = snnconvert.convert(model, (ids,))
    assert snn.report.passed
    assert snn.report.source_rel_error < 1e-9
    assert any("use_cache" in note for note in snn.report.notes)
    answer = snn.simulate(ids)
    with torch.no_grad():
        source = model(ids)
    assert model.config.use_cache is True
    assert "past_key_values" in source
    torch.testing.assert_close(answer[0][-1], source[0], rtol=1e-4, atol=1e-5)


class Caching(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.map = config, nn.Linear(4, 4)

    def forward(self, x):
        y = self.map(x)
        return {"y": y, **({"cache": object()} if self.config.use_cache else {})}


def test_a_cache_is_off_while_a_model_is_traced_and_on_again_after():
    config = dataclasses.make_dataclass("Config", [("use_cache", bool)])(True)
    model = nn.Sequential(nn.Linear(4, 4), Caching(config)).eval()
    assert caching(model) == [config]
    assert snnconvert.convert(model, (torch.randn(2, 4),)).report.passed
    assert config.use_cache
    failing = nn.Sequential(model, nn.Linear(4, 3)).eval()
    with pytest.raises(TraceError):
        snnconvert.convert(failing, (torch.randn(2, 4),))
    assert config.use_cache


@dataclasses.dataclass
class Registered:
    sample: torch.Tensor
    hidden: torch.Tensor


pytree.register_pytree_node(
    Registered,
    lambda o: ([o.sample, o.hidden], None),
    lambda leaves, _: Registered(*leaves),
    serialized_type_name="tests.Registered",
)


@dataclasses.dataclass
class Plain:
    sample: torch.Tensor
    hidden: torch.Tensor | None = None


class Ordered(OrderedDict):
    """As the output classes of diffusers and older transformers are."""

    @property
    def sample(self):
        return self["sample"]


@dataclasses.dataclass
class Both(OrderedDict):
    sample: torch.Tensor = None
    hidden: torch.Tensor = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            self[field.name] = getattr(self, field.name)


@pytest.mark.parametrize("cls", [Registered, Plain, Ordered, Both])
def test_output_classes_are_kept(cls):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.map, self.head = nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, x):
            hidden = self.map(x).tanh()
            return cls(sample=self.head(hidden), hidden=hidden)

    model, x = Net().eval(), torch.randn(3, 6)
    snn = snnconvert.convert(model, (x,))
    assert snn.report.passed
    assert [leaf.name for leaf in snn.report.leaves] == ["sample", "hidden"]
    answer = snn.simulate(x)
    assert type(answer) is cls
    torch.testing.assert_close(answer.sample[-1], model(x).sample)
    assert type(snn.step(x)) is cls
    assert snnconvert.convert(model, (x,), "spiking", calibration=[x]).report.spiking is not None


@pytest.mark.parametrize("name", ["meta", "graph", "code", "print_readable"])
def test_a_name_that_torch_keeps_is_told(name):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            setattr(self, name, nn.Linear(4, 6))

        def forward(self, x):
            return getattr(self, name)(x).tanh()

    model, x = Net().eval(), torch.randn(2, 4)
    try:
        snn = snnconvert.convert(model, (x,))
    except TraceError as error:
        assert f"The names '{name}' of submodules" in str(error)
    else:
        torch.testing.assert_close(snn.simulate(x)[-1], model(x))


@pytest.mark.parametrize(
    "select",
    [
        lambda y: (y > 0).nonzero(),
        lambda y: y[y > 0],
        lambda y: {"mask": y > 0, "chosen": torch.masked_select(y, y > 0)},
        lambda y: (y, y[:, 0].round().unique()),
    ],
)
def test_an_output_whose_shape_follows_the_data_is_told(select):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(4, 4)

        def forward(self, x):
            return select(self.map(x))

    with pytest.raises(TraceError, match=r"shape of the output .* depends on the values"):
        snnconvert.convert(Net().eval(), (torch.randn(3, 4),))


def masked(kind):
    layer = {"d_model": 8, "nhead": 2, "dim_feedforward": 16, "batch_first": True}
    if kind is nn.TransformerEncoder:
        return kind(nn.TransformerEncoderLayer(**layer), 1)
    return kind(nn.TransformerDecoderLayer(**layer), 1)


class Masked(nn.Module):
    """Calls a transformer of ``torch.nn`` with a mask of which it does not say whether it is
    causal."""

    def __init__(self, kind):
        super().__init__()
        self.inner = masked(kind)

    def forward(self, x, mask):
        if isinstance(self.inner, nn.TransformerEncoder):
            return self.inner(x, mask)
        return self.inner(x, x, tgt_mask=mask)


@pytest.mark.parametrize("kind", [nn.TransformerEncoder, nn.TransformerDecoder])
def test_a_mask_is_as_it_is_given_whether_causal_or_not(kind):
    model, x = Masked(kind).eval(), torch.randn(3, 5, 8)
    causal = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    for mask in (causal, causal.flip(1).roll(1, 0) & causal):
        snn = snnconvert.convert(model, (x, mask), batch_dims={"mask": None})
        assert snn.report.passed and not snn.conversion.step_by_step
        for other in (causal, torch.eye(5, dtype=torch.bool)):
            answer = snn.simulate(x[:2], other, time_steps=2)[-1]
            torch.testing.assert_close(answer, model(x[:2], other))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_the_whole_transformer_takes_masks():
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    x, y = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    snn = snnconvert.convert(model, {"src": x, "tgt": y, "tgt_mask": mask}, held=("tgt_mask",))
    assert snn.report.passed
    answer = snn.simulate(src=x, tgt=y, tgt_mask=mask, time_steps=2)[-1]
    torch.testing.assert_close(answer, model(x, y, tgt_mask=mask))


@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")
def test_a_module_that_is_quantised_to_integers_is_told():
    class Packed(nn.Linear):
        """Holds an object of TorchScript, as modules of ``torch.ao.nn.quantized`` do."""

        def __init__(self):
            super().__init__(4, 3)
            self.packed = torch.ops.quantized.linear_prepack(
                torch.quantize_per_tensor(self.weight, 0.1, 0, torch.qint8), self.bias
            )

        def forward(self, x):
            return torch.ops.quantized.linear_dynamic(x, self.packed)

    with pytest.raises(TraceError, match=r"'0' \(Packed\).* quantised to integers .* in floats"):
        snnconvert.convert(nn.Sequential(Packed()).eval(), (torch.randn(2, 4),))


def test_lazy_modules_are_told_and_left_as_they_are():
    model, x = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d()).eval(), torch.randn(2, 4)
    with pytest.raises(TraceError, match=r"0\.weight, 0\.bias.*run the model on an example once"):
        snnconvert.convert(model, (x,))
    assert isinstance(model[0], nn.LazyLinear)
    model(x)
    assert snnconvert.convert(model, (x,)).report.passed


def test_weights_of_inference_mode_are_told():
    with torch.inference_mode():
        model = nn.Linear(4, 3).eval()
    with pytest.raises(TraceError, match=r"made under torch\.inference_mode\(\).* or convert it"):
        snnconvert.convert(model, (torch.randn(2, 4),))
    with torch.inference_mode():
        assert snnconvert.convert(model, (torch.randn(2, 4),)).report.passed
