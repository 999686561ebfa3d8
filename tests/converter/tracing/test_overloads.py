"""In-place operators and the functional ones that compute the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.tracing.overloads import functional_overload

# Of these no functional form has the same arguments; a second trace makes the graph functional.
WITHOUT = {
    "_fill_mem_eff_dropout_mask_",
    "_index_put_impl_",
    "_no_grad_fill_",
    "_no_grad_normal_",
    "_no_grad_uniform_",
    "_no_grad_zero_",
    "_sobol_engine_ff_",
    "_sobol_engine_initialize_state_",
    "_sobol_engine_scramble_",
    "copy_",
    "fill_diagonal_",
    "normal_",
    "polygamma_",
    "requires_grad_",
    "rrelu_with_noise_",
    "set_",
    "shallow_copy_data_",
}


def in_place_overloads():
    for schema in torch._C._jit_get_all_schemas():
        namespace, _, name = schema.name.partition("::")
        written = schema.arguments and schema.arguments[0].alias_info
        if namespace != "aten" or not name.endswith("_") or not (written and written.is_write):
            continue
        packet = getattr(torch.ops.aten, name, None)
        if packet is not None and (schema.overload_name or "default") in packet.overloads():
            yield getattr(packet, schema.overload_name or "default")


def types_of(overload):
    return [str(a.real_type) for a in overload._schema.arguments]


def test_every_in_place_overload_has_a_functional_one_of_the_same_arguments():
    seen = list(in_place_overloads())
    assert len(seen) > 300
    for overload in seen:
        found = functional_overload(overload)
        if found is None:
            assert overload.overloadpacket.__name__ in WITHOUT, overload
            continue
        assert types_of(found) == types_of(overload), (overload, found)
        assert not any(a.alias_info and a.alias_info.is_write for a in found._schema.arguments)


@pytest.mark.parametrize(
    "write",
    [
        lambda y, s: y.pow_(-0.5),
        lambda y, s: y.pow_(s),
        lambda y, s: y.double().float_power_(2),
        lambda y, s: y.double().float_power_(s),
        lambda y, s: y.ldexp_(torch.tensor([1])),
        lambda y, s: y.mul_(s),
        lambda y, s: y.add_(s, alpha=2),
        lambda y, s: y.addcmul_(y, s.float(), value=0.5),
        lambda y, s: y.copysign_(s),
        lambda y, s: y.gt_(0.9),
        lambda y, s: y.logical_not_(),
        lambda y, s: y.clamp_(min=s.float()),
        lambda y, s: y.xlogy_(s),
        lambda y, s: y.lerp_(s.float(), 0.25),
        lambda y, s: y.copy_(y * s),
        lambda y, s: y.fmod_(s),
        lambda y, s: y.masked_fill_(s > 1.5, 0.5),
    ],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_what_is_written_keeps_its_dtype(write, mapped):
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.map, self.last = nn.Linear(4, 4), nn.Linear(4, 2) if mapped else nn.Identity()
            self.register_buffer("scale", torch.rand(4, dtype=torch.float64) + 1)

        def forward(self, x):
            return self.last(write(self.map(x).exp(), self.scale).float())

    model, x = Written().eval(), torch.randn(3, 4)
    snn = snnconvert.convert(model, (x,), verify=False)
    assert snn.simulate(x).dtype is model(x).dtype
    torch.testing.assert_close(snn.simulate(x)[-1], model(x))


def test_an_in_place_operator_that_keeps_half_types():
    class Half(nn.Module):
        def forward(self, x):
            y = x.half() * 2
            return y.add_(x), y.sub_(x.double())

    x = torch.randn(3, 4)
    answers = snnconvert.convert(Half().eval(), (x,), verify=False).simulate(x)
    for got, wanted in zip(answers, Half()(x), strict=True):
        assert got.dtype is torch.float16
        assert torch.equal(got[-1], wanted)
