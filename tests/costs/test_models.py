"""Cost models: the bundled ones, files of one's own, and what is wrong with a file."""

from __future__ import annotations

import pytest

import snnconvert
from snnconvert.costs.models import bundled_costs, cost_schema, load_costs
from snnconvert.costs.operations import OPERATIONS
from snnconvert.errors import CostModelError

OWN = """\
version: 1
extends: memory
prices:
  - of: [weight reads, state reads, state writes]
    fp32: 20.0
    int8: 5.0
    source: a data sheet
"""


@pytest.fixture(name="own")
def _own(tmp_path):
    def write(text):
        (tmp_path / "chip.yaml").write_text(text)
        return tmp_path / "chip.yaml"

    return write


@pytest.mark.parametrize("name", bundled_costs())
def test_bundled_models_name_a_source_for_each_price(name):
    model = load_costs(name)
    assert model.name == name and model.description
    assert all(price.source for price in model.prices.values())
    assert model.prices.keys() <= OPERATIONS.keys()


def test_each_counts_what_the_one_before_counts_and_more():
    arithmetic, memory, events = map(load_costs, bundled_costs())
    assert arithmetic.prices.items() < memory.prices.items() < events.prices.items()
    assert events.prices.keys() == OPERATIONS.keys() - {"spikes"}


def test_a_fresh_weight_for_each_operation_costs_what_the_field_says():
    # FIELD: an addition against a MAC is 100.7 against 104.4 pJ in fp32.
    memory = load_costs("memory")
    mac = memory.energy({"MACs in floats": 1e6, "weight reads in floats": 1e6})
    addition = memory.energy({"accumulations": 1e6, "weight reads": 1e6})
    assert (addition, mac) == pytest.approx((100.74, 104.44))


def test_a_file_of_ten_lines_is_a_model(own):
    model = snnconvert.load_costs(own(OWN))
    assert model.prices["weight reads"].fp32 == 20.0
    assert model.prices["accumulations"] == load_costs("arithmetic").prices["accumulations"]
    assert model.energy({"state reads": 2e6}, "int8") == pytest.approx(10.0)
    assert load_costs(model) is model


def test_what_has_no_price_is_not_counted(own):
    text = OWN.replace("extends: memory\n", "")
    assert load_costs(own(text)).energy({"accumulations": 1e9}) == 0.0


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("weight reads", "weight read", "did you mean 'weight reads'"),
        ("fp32: 20.0", "fp32: -1.0", "chip.yaml:5"),
        ("fp32: 20.0", "fp32: .inf", "chip.yaml:5"),
        ("    source: a data sheet\n", "", "'source'"),
        ("extends: memory", "extends: memry", "did you mean 'memory'"),
        ("extends: memory", "extends: ./other.yaml", "no bundled cost model is called"),
        ("of: [weight reads, state reads, state writes]", "of: []", "'of'"),
        ("prices:", "price:", "'price'"),
        ("version: 1", "version: 9", "version 9 is not known"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(own, old, new, said):
    with pytest.raises(CostModelError, match=r"chip\.yaml:") as error:
        load_costs(own(OWN.replace(old, new)))
    assert said in str(error.value)


def test_unknown_names_and_missing_files_are_errors(tmp_path):
    with pytest.raises(CostModelError, match="there are: arithmetic, memory, events"):
        load_costs("joules")
    with pytest.raises(snnconvert.SnnconvertError, match=r"none\.yaml"):
        load_costs(tmp_path / "none.yaml")


def test_the_schema_names_every_kind():
    schema = cost_schema()
    found = schema["$defs"]["_Price"]["properties"]["of"]
    assert found["items"]["enum"] == list(OPERATIONS)
