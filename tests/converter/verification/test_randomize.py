from __future__ import annotations

import torch
from torch import nn

from snnconvert import randomize_constant_weights
from snnconvert.converter.verification.randomize import settle_batch_norms


def test_constants_become_random_and_the_rest_stays():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    nn.init.zeros_(model[2].weight)
    drawn = model[0].weight.clone()
    changed = randomize_constant_weights(model)
    assert changed == 5  # BatchNorm's four vectors and the zero matrix
    assert torch.equal(model[0].weight, drawn)
    assert model[2].weight.std() > 0.1
    assert (model[1].running_var > 0).all() and model[1].running_var.std() > 0
    assert model[1].num_batches_tracked == 0


def test_it_is_deterministic_and_shared_tensors_change_once():
    def build():
        a, b = nn.Linear(3, 3), nn.Linear(3, 3)
        nn.init.ones_(a.weight)
        b.weight = a.weight
        return nn.Sequential(a, b)

    one, two = build(), build()
    assert randomize_constant_weights(one, seed=1) == randomize_constant_weights(two, seed=1) == 1
    assert torch.equal(one[0].weight, two[0].weight)
    assert one[0].weight is one[1].weight


def deep():
    torch.manual_seed(0)

    def layer():
        return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.GELU(), nn.BatchNorm2d(4))

    return nn.Sequential(*(layer() for _ in range(31))).eval()


def test_an_input_reaches_the_end_of_a_deep_network_with_settled_norms():
    model, x = deep(), torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        assert (model(x) - model(x + 1)).abs().max() < 1e-6
        assert settle_batch_norms(model, (x,)) == 31
        assert (model(x) - model(x + 1)).abs().max() > 0.1
    assert not any(module.training for module in model.modules())
    assert all(m.momentum == 0.1 for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    assert settle_batch_norms(model, (x,)) == 0, "they have seen a batch"


def test_norms_stay_as_they_are_where_a_batch_has_no_variance():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    assert settle_batch_norms(model, (torch.randn(1, 3),)) == 0
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    assert not model[1].training
