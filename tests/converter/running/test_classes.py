"""Which output has classes, and along which of its dimensions."""

import pytest
import torch

from snnconvert.converter.running.classes import Classes, find_classes
from snnconvert.errors import InputError


def outputs(*shapes, dtype=torch.float32):
    return [torch.randn(shape).to(dtype) for shape in shapes]


@pytest.mark.parametrize(
    ("shape", "dim"),
    [((4, 3), 1), ((4, 6, 10), 2), ((4, 5, 8, 8), 1), ((2, 3, 4, 4, 4), 1), ((4,), None)],
)
def test_the_dimension_of_classes_follows_from_the_rank(shape, dim):
    found = find_classes(["y"], outputs(shape), None, None, None)
    assert found == (None if dim is None else Classes(0, dim))


def test_logits_go_before_what_else_has_classes():
    names, values = ["hidden", "logits"], outputs((4, 6, 8), (4, 2))
    assert find_classes(names, values, None, None, None) == Classes(1, 1)
    assert find_classes(["a", "b"], values, None, None, None) == Classes(0, 2)
    assert find_classes(names, outputs((4, 6, 8), (4, 1)), None, None, None) is None


def test_labels_tell_the_output_and_the_dimension():
    names, values = ["mask", "class"], outputs((4, 2, 8, 8), (4, 3))
    assert find_classes(names, values, torch.zeros(4), None, None) == Classes(1, 1)
    assert find_classes(names, values, torch.zeros(4, 8, 8), None, None) == Classes(0, 1)
    sequence = outputs((4, 3, 7))
    assert find_classes(["y"], sequence, torch.zeros(4, 7), None, None) == Classes(0, 1)
    with pytest.raises(InputError, match=r"fit the predictions of no output.*'class' \[4, 3\]"):
        find_classes(names, values, torch.zeros(5), None, None)


def test_output_and_classes_can_be_chosen():
    names, values = ["a", "b"], outputs((4, 3), (4, 5, 7))
    assert find_classes(names, values, None, "b", 1) == Classes(1, 1)
    assert find_classes(names, values, None, 1, -1) == Classes(1, 2)
    for output, classes in (("c", None), (2, None), (-1, None), ("a", 2)):
        with pytest.raises(InputError, match=r"there is no output|no dimension"):
            find_classes(names, values, None, output, classes)
    with pytest.raises(InputError, match="no class is the likeliest"):
        find_classes(["a"], outputs((4, 3), dtype=torch.bool), None, "a", None)
