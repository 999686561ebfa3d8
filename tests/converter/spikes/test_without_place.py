"""Maps and products that no neuron can stand before are said to be in floats."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from snnconvert.converter.spikes.degree import SOME_MAPS
from tests.converter.spikes.test_degree import degree
from tests.converter.verification.events.networks import Around, on_spikes

AT = torch.zeros(1, dtype=torch.long)


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(24, 6, 6)


def around(x):
    return x @ x.mT / 6 + torch.eye(6)


PRODUCTS = {
    "areas under one stream over another": lambda m, x: torch.trapezoid(m(x), m(x).cumsum(-1)),
    "a system of equations": lambda m, x: torch.linalg.solve(around(m(x)), x),
    "an inverse": lambda m, x: torch.linalg.inv(around(m(x))),
    "a determinant": lambda m, x: torch.det(m(x)),
    "an exponential of matrices": lambda m, x: torch.matrix_exp(m(x)),
    "a power of floats": lambda m, x: m(x).float_power(2),
    "means at places that change": lambda m, x: x.scatter_reduce(
        2, m(x).argsort(2) // 2, m(x), "mean"
    ),
    "products at a place": lambda m, x: x.scatter_reduce(2, AT.expand(x.shape), m(x), "prod"),
    "a loss": lambda m, x: F.soft_margin_loss(m(x), x),
    "a loss of chances": lambda m, x: F.cross_entropy(m(x), x.softmax(1)),
    "a product with a logarithm": lambda m, x: torch.xlogy(m(x), m(x).abs() + 1),
    "branches with maps": lambda m, x: torch.cond(
        x.sum() > 0, lambda y: y @ y, lambda y: y.relu(), (m(x),)
    ),
    "a loop with maps": lambda m, x: torch._higher_order_ops.map(lambda y: y @ y.mT, m(x)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_some_maps_are_not_on_spikes(name, x):
    assert degree(PRODUCTS[name], x, "spiking") == SOME_MAPS


NO_PRODUCTS = {
    "an absolute error": lambda m, x: F.l1_loss(m(x), x),
    "an error with a limit": lambda m, x: F.smooth_l1_loss(m(x), x),
    "a loss of classes": lambda m, x: F.cross_entropy(m(x), x.argmax(1)),
    "a loss by signs": lambda m, x: F.hinge_embedding_loss(m(x), x.sign()),
    "an angle": lambda m, x: torch.atan2(m(x), x),
    "a length": lambda m, x: torch.linalg.vector_norm(m(x), dim=-1),
    "a product with a constant logarithm": lambda m, x: torch.xlogy(torch.ones(6), m(x).abs()),
    "branches of functions": lambda m, x: torch.cond(
        x.sum() > 0, lambda y: y.exp(), lambda y: y.relu(), (m(x),)
    ),
}


@pytest.mark.parametrize("name", NO_PRODUCTS)
def test_functions_are_no_products(name, x):
    assert degree(NO_PRODUCTS[name], x, "spiking") == "maps"


def test_what_is_no_function_is_not_said_to_be_one(x):
    snn = on_spikes(Around(PRODUCTS["a loss"]), x)
    (note,) = [n for n in snn.conversion.notes if "in floats" in n or "not on spikes" in n]
    assert note.startswith("1 linear map or product not on spikes") and "soft_margin_loss" in note
