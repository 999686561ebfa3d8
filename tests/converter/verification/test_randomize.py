from __future__ import annotations

import torch
from torch import nn

from snnconvert import randomize_constant_weights


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
