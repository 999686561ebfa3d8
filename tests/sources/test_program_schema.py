"""Every text of a program is looked at: the table of what it may be has no gap."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._export.serde import schema

from snnconvert.sources.program_schema import REFUSED, TEXTS, texts_of
from snnconvert.sources.program_tables import tensor_bytes
from snnconvert.sources.program_text import problems_of, table_problems

MODEL = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
# Texts that are shown or compared, never written into a program.
FREE = {"stack_trace", "torch_fn", "torch_version", "guards_code", "as_string"}
EVIL = 'x"), print(open("marker", "w")) or ("'


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("b", torch.randn(4))
        self.c = torch.randn(4)

    def forward(self, x: Tensor, *, k: Tensor) -> dict[str, Tensor]:
        y = self.l(x) * self.b
        with torch.autocast("cpu", enabled=False):
            y = y.reshape(x.shape[0] * 2, -1)
        return {"o": y.relu() + k.sum(), "p": torch.div(y + self.c[:2], 2, rounding_mode="floor")}


@cache
def records() -> dict[str, Any]:
    auto = torch.export.Dim.AUTO
    shapes = {"x": {0: auto}, "k": {0: auto}}
    kwargs = {"k": torch.randn(2, 4)}
    program = torch.export.export(Net().eval(), (torch.randn(2, 4),), kwargs, dynamic_shapes=shapes)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with zipfile.ZipFile(buffer) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json")]
        return {name.partition("/")[2]: json.loads(archive.read(name)) for name in names}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every text and of every key in a document."""
    if isinstance(value, str):
        yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, entry in items:
        if isinstance(key, str):
            yield (*path, (key,))
        yield from places(entry, (*path, key))


def with_text(document: Any, path: tuple[Any, ...], text: str) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    last = path[-1]
    if isinstance(last, tuple):
        inner[text] = inner.pop(last[0])
    else:
        inner[last] = text
    return changed


def test_every_text_of_the_schema_has_its_row() -> None:
    found = {*texts_of(schema.ExportedProgram), *texts_of(schema.PayloadConfig)}
    by_function = {"Node.target", "Argument.as_operator", "keys of Node.metadata"}
    custom = {name for name in found if name.startswith(("CustomObj", "InputToCustomObj"))}
    assert found - by_function - custom <= TEXTS.keys() | REFUSED.keys()
    assert TEXTS.keys() <= found


def test_honest_documents_are_accepted() -> None:
    assert problems_of(records()[MODEL], ()) == []
    assert table_problems(records()[WEIGHTS]) == []


def test_no_text_of_a_program_may_be_text_of_python() -> None:
    document = records()[MODEL]
    taken = [p for p in places(document) if not problems_of(with_text(document, p, EVIL), ())]
    assert {next(k for k in reversed(p) if isinstance(k, str)) for p in taken} <= FREE
    assert len(taken) < len(list(places(document))) / 2


def test_no_text_of_a_table_may_be_text_of_python() -> None:
    table = records()[WEIGHTS]
    taken = [p for p in places(table) if not table_problems(with_text(table, p, EVIL))]
    assert {p[-1] for p in taken} <= {"path_name"}  # compared with the names of records


@pytest.mark.parametrize("value", [None, [], {}, 7, "x", True, [[]], {"graph_module": 3}])
def test_other_documents_are_refused(value: Any) -> None:
    assert problems_of(value, ())


def nodes(document: Any) -> list[Any]:
    return document["graph_module"]["graph"]["nodes"]


def sizes(values: list[int]) -> list[dict[str, int]]:
    return [{"as_int": value} for value in values]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(more=1), "is not a part of"),
        (lambda d: d.pop("range_constraints"), "lacks range_constraints"),
        (lambda d: nodes(d)[0].update(target=3), "not text"),
        (lambda d: nodes(d)[0]["inputs"][0].update(arg={"as_int": 1 << 64}), "cannot be"),
        (lambda d: nodes(d)[0]["inputs"][0].update(arg={}), "not one kind of"),
        (lambda d: nodes(d)[0]["inputs"][0].update(arg={"as_layout": 1}), "as_layout"),
        (lambda d: nodes(d)[0]["metadata"].update(more="1"), "not known"),
    ],
)
def test_documents_of_another_form_are_refused(change: Any, words: str) -> None:
    document = copy.deepcopy(records()[MODEL])
    change(document)
    assert any(words in problem for problem in problems_of(document, ()))


def test_graphs_in_graphs_in_graphs_end() -> None:
    document = copy.deepcopy(records()[MODEL])
    graph = document["graph_module"]["graph"]
    for _ in range(100):
        outer = copy.deepcopy(graph) if _ == 0 else {**graph}
        node = {**graph["nodes"][0], "inputs": [{"name": "", "kind": 1, "arg": {}}]}
        node["inputs"][0]["arg"] = {"as_graph": {"name": "g", "graph": outer}}
        graph = {**graph, "nodes": [node]}
    document["graph_module"]["graph"] = graph
    assert any("levels deep" in problem for problem in problems_of(document, ()))


def powers(*targets: str, operand: Any = None, exponent: int = 8) -> Any:
    """A program that computes with a size: each call takes the result of the one before."""
    document = copy.deepcopy(records()[MODEL])
    name: Any = {"as_sym_int": {"as_name": "sym_size_int"}} if operand is None else operand
    for number, target in enumerate(targets):
        second = name if target.endswith("mul") else {"as_int": exponent}
        inputs = [{"name": n, "arg": a, "kind": 1} for n, a in (("a", name), ("b", second))]
        output = {"as_sym_int": {"as_name": f"v{number}"}}
        call = {"target": target, "inputs": inputs, "outputs": [output], "metadata": {}}
        nodes(document).append({**call, "is_hop_single_tensor_return": None, "name": f"v{number}"})
        name = output
    return document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (lambda: powers("_operator.pow", operand={"as_int": 10**9}), "on constants"),
        (lambda: powers("_operator.pow", exponent=10**9), "an exponent"),
        (lambda: powers("_operator.pow", "_operator.pow"), "more than 1024 bits"),
        (lambda: powers(*["_operator.mul"] * 5), "more than 1024 bits"),
    ],
)
def test_integers_have_bounds(document: Any, words: str) -> None:
    assert any(words in problem for problem in problems_of(document(), ()))


def test_sizes_may_be_computed() -> None:
    assert problems_of(powers("_operator.mul", "_operator.add", "_operator.floordiv"), ()) == []


def test_trees_have_as_many_leaves_as_the_graph() -> None:
    document = copy.deepcopy(records()[MODEL])
    leaf = {"type": None, "context": None, "children_spec": []}
    tree = {"type": "builtins.tuple", "context": "null", "children_spec": [leaf] * 3}
    signature = document["graph_module"]["module_call_graph"][0]["signature"]
    signature["out_spec"] = json.dumps([1, tree])
    assert any("has 3 leaves, the graph 2 outputs" in p for p in problems_of(document, ()))


def meta(shape: list[int], strides: list[int], offset: int = 0) -> dict[str, Any]:
    found = {"dtype": 7, "sizes": sizes(shape), "strides": sizes(strides)}
    return {**found, "storage_offset": {"as_int": offset}}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (meta([2, 3], [3, 1]), (24, 24)),
        (meta([2, 3], [0, 1]), (24, 12)),
        (meta([2], [1], 5), (8, 28)),
        (meta([0, 1 << 40], [1, 1]), (0, 0)),
        (meta([], []), (4, 4)),
    ],
)
def test_bytes_of_a_tensor(entry: Any, expected: tuple[int, int]) -> None:
    assert tensor_bytes(entry) == expected


@pytest.mark.parametrize(
    "entry",
    [meta([2], [-1]), meta([-2], [1]), meta([2], [1], -1), meta([2, 2], [1]), {}, {"sizes": None}],
)
def test_tensors_that_make_no_sense_fit_in_no_file(entry: Any) -> None:
    assert min(tensor_bytes(entry)) > 1 << 50


@pytest.mark.parametrize("what", ["sizes", "strides"])
def test_no_value_has_many_dimensions(what: str) -> None:
    document = copy.deepcopy(records()[MODEL])
    value = document["graph_module"]["graph"]["tensor_values"]["relu"]
    value[what] = [{"as_int": 1}] * 64
    assert not problems_of(document, ())
    value[what] *= 2
    assert problems_of(document, ()) == [f"TensorMeta.{what} are more than 64"]
