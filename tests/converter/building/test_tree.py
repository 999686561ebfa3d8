from __future__ import annotations

from torch import nn

from snnconvert.converter.building import tree as building
from snnconvert.converter.building.tree import Container, FreeNames, set_module


def test_free_names_go_on_from_the_last_and_never_name_what_stands_there(monkeypatch):
    tree = Container("Net")
    for taken in ("add", "add_2"):
        set_module(tree, taken, nn.Identity())
    free, found = FreeNames(tree), []
    for _ in range(4):
        found.append(free.like("add"))
        assert free.like("add") == found[-1]  # until something stands there
        set_module(tree, found[-1], nn.Identity())
    assert found == ["add_1", "add_3", "add_4", "add_5"]
    assert free.like("mul") == "mul"
    assert free.like("training") == "training_1"  # an attribute of every module

    looked = []
    has_module = building.has_module
    monkeypatch.setattr(
        building, "has_module", lambda root, path: looked.append(path) or has_module(root, path)
    )
    free.like("add")
    assert "add_4" not in looked
