from __future__ import annotations

import torch

from snnconvert.ops.facts import fact_names, weight_facts
from snnconvert.ops.kinds import KINDS


def test_arguments_and_sizes_are_facts():
    assert {"in_features", "bias", "shape"} <= fact_names(["linear"])
    assert {"kernel_size", "stride", "groups", "out_channels"} <= fact_names(["conv"])
    assert {"index", "num_embeddings"} <= fact_names(["embedding"])
    assert fact_names(["roll"]) == {"self", "shifts", "dims", "shape"}
    assert fact_names(["linear", "roll"]) == fact_names(["linear"]) | fact_names(["roll"])


def test_any_fact_may_occur_where_any_operator_may():
    assert fact_names([]) is None
    assert fact_names(["*"]) is None
    assert fact_names(["multihead_attention"]) is None
    assert fact_names(["linear", "*"]) is None


def test_every_kind_with_operators_has_facts():
    for kind in KINDS.values():
        assert bool(fact_names([kind.name])) is bool(kind.operators)


def test_sizes_that_a_weight_says():
    assert weight_facts("linear", (5, 3)) == {"out_features": 5, "in_features": 3}
    assert weight_facts("conv2d", torch.Size((8, 4, 3, 3)))["kernel_size"] == [3, 3]
    assert weight_facts("layer_norm", (8,)) == {}
