from __future__ import annotations

import pytest
import torch
from torch import nn

from snnconvert.errors import InputError
from snnconvert.sources.devices import batches_on, device_named, moved, on_device
from snnconvert.sources.source import Source

META = torch.device("meta")  # the one other device that every machine has


def test_structures_keep_all_but_their_device():
    x = torch.randn(2)
    made = moved({"a": [x, (1, "b")], "c": None}, META)
    assert made["a"][0].device == META
    assert (made["a"][1], made["c"]) == ((1, "b"), None)


def test_all_of_a_source_is_moved():
    x = torch.randn(2, 3)
    source = Source("net", nn.Linear(3, 2).eval(), (x,), {"y": x, "flag": True}, "", [(x,), (x,)])
    there = on_device(source, META)
    assert {p.device for p in there.model.parameters()} == {META}
    assert there.args[0].device == there.kwargs["y"].device == META
    assert there.kwargs["flag"] is True
    for _ in range(2):  # as often as it is asked for
        assert [batch[0].device for batch in there.calibration] == [META, META]


def test_a_program_is_moved_with_its_parameters():
    x = torch.randn(2, 3)
    program = torch.export.export(nn.Linear(3, 2).eval(), (x,))
    assert on_device(Source("net", program), torch.device("cpu")).model is program
    there = on_device(Source("net", program), META).model
    assert {x.device for x in there.state_dict.values()} == {META}


def test_what_is_no_batches_is_left_alone():
    assert batches_on(None, META) is None


def test_only_devices_with_values_are_named():
    assert device_named("cpu") == torch.device("cpu")
    for name in ("meta", "cuda:99", "nowhere"):
        with pytest.raises(InputError, match="this machine has cpu"):
            device_named(name)
