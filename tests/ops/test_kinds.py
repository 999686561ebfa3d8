from __future__ import annotations

import torch

from snnconvert.ops.activation import TDReLU
from snnconvert.ops.kinds import (
    KINDS,
    is_kind,
    is_own,
    kind_of,
    multiplies,
    operator_name,
    region_kinds,
)
from snnconvert.ops.temporal_difference import TDOperator
from tests.libraries import of_a_library

aten = torch.ops.aten


def as_gelu(self):
    return self * 2


OF_OTHER_LIBRARIES = {"transformers::grouped_mm_fallback"}


def test_every_row_names_operators_that_exist():
    for kind in KINDS.values():
        for target, operator in kind.operators.items():
            assert hasattr(aten, target) or target in OF_OTHER_LIBRARIES, target
            assert operator is None or issubclass(operator, TDOperator)


def test_the_inputs_of_a_row_are_arguments_of_its_operators():
    for kind in KINDS.values():
        for target, operator in kind.operators.items():
            if operator is None:
                continue
            packet = getattr(aten, target)
            for overload in packet.overloads():
                names = {a.name for a in getattr(packet, overload)._schema.arguments}
                if overload in ("default", "int"):
                    assert names & set(kind.inputs), (target, overload)


def test_no_operator_is_in_two_rows():
    targets = [target for kind in KINDS.values() for target in kind.operators]
    assert len(targets) == len(set(targets))


def test_spellings_share_a_kind_and_others_are_their_own():
    assert kind_of(aten.conv2d.default).name == kind_of(aten.conv2d.padding).name == "conv"
    assert kind_of(aten.bmm.default).name == kind_of(aten.matmul.default).name == "matmul"
    assert kind_of(aten.roll.default).name == "roll"
    assert operator_name(getattr) == "getattr"


def test_an_operator_of_another_library_is_another_operator():
    gelu = of_a_library("snnconvert_kinds::gelu", as_gelu)
    assert operator_name(gelu) == kind_of(gelu).name == "snnconvert_kinds::gelu"
    assert operator_name(torch.ops.prims.sin.default) == "sin"
    assert operator_name(torch.ops.higher_order.cond) == "higher_order::cond"


def test_rules_may_name_rows_and_aten_operators():
    assert is_kind("multihead_attention") and is_kind("roll")
    assert not is_kind("liner") and not is_kind("os.system")


def test_regions_come_from_enclosing_classes():
    within = ("my.Net", "torch.nn.modules.activation.MultiheadAttention")
    assert region_kinds(within) == ("multihead_attention",)
    assert region_kinds(("my.Net",)) == ()


def test_operators_that_are_the_packages_own():
    class Own(TDOperator):
        pass

    assert is_own(TDReLU()) and not is_own(torch.nn.ReLU())
    assert not is_own(Own.__new__(Own))


def test_truth_values_are_not_multiplied():
    assert multiplies(kind_of("mul"), torch.float32) and multiplies(kind_of("mul"), torch.int64)
    assert not multiplies(kind_of("mul"), torch.bool)
    assert multiplies(kind_of("linear"), None) and not multiplies(kind_of("gelu"), torch.float32)
