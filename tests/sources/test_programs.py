"""Exported programs load without running code that the archive carries."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnconvert.errors import SourceError
from snnconvert.sources.load import load_source
from snnconvert.sources.operators import operator_problem
from snnconvert.sources.programs import load_program
from snnconvert.sources.size_expressions import expression_problem
from snnconvert.sources.trees import tree_problem
from snnconvert.sources.trust import Trust

MODEL = "models/model.json"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 6)
        self.register_buffer("shift", torch.arange(6.0))
        self.factor = torch.tensor(0.5)

    def forward(self, x: Tensor, more: dict[str, Tensor]) -> dict[str, Tensor]:
        y = (self.fc(x) + self.shift) * self.factor
        return {"y": y.view(x.shape[0] * 2, -1), "z": torch.cat([y, more["m"]])}


@lru_cache(maxsize=1)
def program_bytes() -> bytes:
    batch, rows = torch.export.Dim("batch"), torch.export.Dim("rows")
    program = torch.export.export(
        Net().eval(),
        (torch.randn(2, 4),),
        {"more": {"m": torch.randn(3, 6)}},
        dynamic_shapes={"x": {0: batch}, "more": {"m": {0: rows}}},
    )
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def rewritten(changes: dict[str, Callable[[bytes], bytes | None]]) -> bytes:
    """The archive with some records replaced, added or (where None is returned) removed."""
    source, target = zipfile.ZipFile(io.BytesIO(program_bytes())), io.BytesIO()
    folder = source.namelist()[0].split("/")[0]
    names = [name.partition("/")[2] for name in source.namelist()]
    with zipfile.ZipFile(target, "w") as archive:
        for name in [*names, *(name for name in changes if name not in names)]:
            data: bytes | None = source.read(f"{folder}/{name}") if name in names else b""
            data = changes.get(name, lambda old: old)(data or b"")
            if data is not None:
                archive.writestr(f"{folder}/{name}", data)
    return target.getvalue()


def with_json(name: str, change: Callable[[Any], Any]) -> bytes:
    def apply(old: bytes) -> bytes:
        document = json.loads(old)
        change(document)
        return json.dumps(document).encode()

    return rewritten({name: apply})


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def bomb(marker: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(((Bomb(marker),), {}), buffer)
    return buffer.getvalue()


def test_an_honest_program_loads_with_its_example_inputs(tmp_path: Path) -> None:
    path = tmp_path / "model.any-name"
    path.write_bytes(program_bytes())
    source = load_source(path)
    assert isinstance(source.model, torch.export.ExportedProgram)
    assert source.args[0].shape == (2, 4)
    assert source.kwargs["more"]["m"].shape == (3, 6)
    original = torch.export.load(io.BytesIO(program_bytes())).module()
    x, m = torch.randn(5, 4), torch.randn(2, 6)
    expected, got = original(x, more={"m": m}), source.model.module()(x, more={"m": m})
    assert torch.equal(expected["y"], got["y"]) and torch.equal(expected["z"], got["z"])


def test_rewriting_alone_changes_nothing() -> None:
    assert load_program(rewritten({}), "f", Trust()).state_dict.keys()


def test_pickled_example_inputs_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    data = rewritten({SAMPLE_INPUTS: lambda _: bomb(marker)})
    with pytest.raises(SourceError, match=r"(posix|nt)\.system"):
        load_program(data, "f", Trust())
    assert not marker.exists()
    # What the bomb leaves behind is no input; torch 2.15 does not mind.
    with contextlib.suppress(SourceError):
        load_program(data, "f", Trust(any_pickle=True))
    assert marker.exists(), "the bomb itself does not work"


@pytest.mark.parametrize("kind", ["weights", "constants"])
def test_pickled_tensors_never_run(kind: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    config = f"data/{kind}/model_{kind}_config.json"

    def pickled(old: bytes) -> bytes:
        document = json.loads(old)
        assert document["config"], f"the program holds no {kind}"
        for payload in document["config"].values():
            payload["use_pickle"] = True
        return json.dumps(document).encode()

    names = [n.partition("/")[2] for n in zipfile.ZipFile(io.BytesIO(program_bytes())).namelist()]
    payloads = [n for n in names if n.startswith(f"data/{kind}/") and not n.endswith(".json")]
    changes: dict[str, Any] = {name: lambda _: bomb(marker) for name in payloads}
    with pytest.raises(SourceError, match=r"(posix|nt)\.system"):
        load_program(rewritten({**changes, config: pickled}), "f", Trust())
    assert not marker.exists()


@pytest.mark.parametrize("name", ["custom_obj_0", "opaque_obj_0", "../../tensor_0", "/tensor_0"])
def test_payloads_that_are_not_tensors_are_refused(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    def renamed(document: Any) -> None:
        next(iter(document["config"].values()))["path_name"] = name

    data = with_json("data/constants/model_constants_config.json", renamed)
    with pytest.raises(SourceError, match="names the payload"):
        load_program(data, "f", Trust())
    with pytest.raises(SourceError, match="unknown members"):
        load_program(
            rewritten({f"data/constants/{name}": lambda _: pickle.dumps(Bomb(marker))}),
            "f",
            Trust(),
        )
    assert not marker.exists()


@pytest.mark.parametrize(
    "member",
    ["data/weights/model.pt", "data/constants/model.pt", "models/other.json", "code/x.py"],
)
def test_unknown_members_are_refused(member: str) -> None:
    with pytest.raises(SourceError, match="unknown members"):
        load_program(rewritten({member: lambda _: b"x"}), "f", Trust())


def test_compiled_packages_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(rewritten({"data/aotinductor/model/x.so": lambda _: b"\x7fELF"}))
    with pytest.raises(SourceError, match="AOTInductor"):
        load_source(path)


OPERATORS = [
    "torch.hub.load",
    "torch.os.system",
    "torch.serialization.load",
    "torch.ops.load_library",
    "torch.ops.aten.from_file.default",
    "torch.ops.aten.save.default",
    "torch.ops.aten.__class__.mro",
    "torch.ops.aten.no_such_operator.default",
    "torch.ops.quantized.linear.default",
    "torch.ops.higher_order.call_torchbind",
    "_operator.attrgetter",
    "_operator.methodcaller",
    "math.__loader__",
    "#extension:os.system",
    "os.system",
    "",
]


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_that_reach_beyond_the_graph_are_refused(operator: str) -> None:
    def retarget(document: Any) -> None:
        document["graph_module"]["graph"]["nodes"][-1]["target"] = operator

    with pytest.raises(SourceError, match="refused"):
        load_program(with_json(MODEL, retarget), "f", Trust())


def test_libraries_of_allowed_packages_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "snnconvert_test_library.py").touch()
    monkeypatch.chdir(tmp_path)
    library = torch.library.Library("snnconvert_test_library", "DEF")
    library.define("double(Tensor x) -> Tensor")
    name = "torch.ops.snnconvert_test_library.double.default"
    assert "not accepted" in operator_problem(name, ())
    assert not operator_problem(name, ("snnconvert_test_library",))
    del library


EXPRESSIONS = [
    "__import__('os').system('true')",
    "s0.__class__",
    "().__class__",
    "Symbol('s0').diff",
    "Symbol('__import__(1)')",
    "Integer('__import__(1)')",
    "open('x')",
    "exec('x')",
    "lambda: 0",
    "[x for x in s0]",
    "s0 if s0 else s1",
    "'text'",
    "f'{s0}'",
    "Pow(Integer(10), Integer(10000000))",
    "Pow(Pow(Integer(10), Integer(60)), Integer(60))",
    "Pow(Integer(10), Symbol('s0'))",
    "LShift(Integer(1), Integer(100000000))",
    "10**10**10",
    "Add(*s0)",
    "Symbol('s0', __class__=True)",
    "Max(Symbol('s0'), key=print)",
    "s" * 5000,
    "(" * 300 + ")" * 300,
    "",
    "s0; s1",
    ["__import__('os')"],
    {"a": 1},
    None,
    7,
]


@pytest.mark.parametrize("text", EXPRESSIONS, ids=lambda t: str(t)[:30])
def test_expressions_beyond_arithmetic_are_refused(text: Any) -> None:
    assert expression_problem(text)


@pytest.mark.parametrize(
    "text",
    [
        "Symbol('s77', positive=True, integer=True)",
        "Mul(Integer(6), Symbol('s77', positive=True, integer=True))",
        "Add(Integer(-1), Pow(Symbol('s0'), Integer(2)))",
        "FloorDiv(s0, 2)",
        "Max(Integer(1), Mod(s1, 4))",
        "Float('0.5', precision=53)",
        "Rational(1, 2)",
        "-s0",
    ],
)
def test_plain_size_expressions_pass(text: str) -> None:
    assert not expression_problem(text)


def test_evaluated_text_never_runs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    text = f"__import__('os').system('touch {marker}')"

    def evil(document: Any) -> None:
        values = document["graph_module"]["graph"]["tensor_values"]
        expressions = [s["as_expr"] for v in values.values() for s in v["sizes"] if "as_expr" in s]
        for expression in expressions:
            expression["expr_str"] = text

    with pytest.raises(SourceError, match="not plain arithmetic"):
        load_program(with_json(MODEL, evil), "f", Trust())
    assert not marker.exists()


def tree(kind: Any, context: Any, *children: Any) -> Any:
    return {"type": kind, "context": context, "children_spec": list(children)}


LEAF = tree(None, None)
FACTORY = {"default_factory_module": "antigravity", "default_factory_name": "x"}


@pytest.mark.parametrize(
    "root",
    [
        tree("collections.defaultdict", {**FACTORY, "dict_context": ["a"]}, LEAF),
        tree("builtins.dict", json.dumps([{"__enum__": True, "fqn": "antigravity:x"}]), LEAF),
        tree("builtins.dict", '[{"__en\\u0075m__": true, "fqn": "antigravity:x"}]', LEAF),
        tree("builtins.tuple", "null", tree("collections.defaultdict", FACTORY, LEAF)),
        tree("transformers.commands.x.Y", "[]", LEAF),
        tree("transformers.models.__main__.Y", "[]", LEAF),
        tree("builtins.tuple", "not json", LEAF),
        tree("os.system", "[]"),
        {"type": "builtins.tuple"},
        [1, 2],
    ],
)
def test_trees_that_import_are_refused(root: Any) -> None:
    text = json.dumps([1, root])
    assert tree_problem(text)

    def evil(document: Any) -> None:
        entry = document["graph_module"]["module_call_graph"][0]
        entry["signature"]["in_spec"] = text

    with pytest.raises(SourceError, match="refused"):
        load_program(with_json(MODEL, evil), "f", Trust())
    assert "antigravity" not in sys.modules


def test_range_constraints_cannot_count_for_ever() -> None:
    def evil(document: Any) -> None:
        document["range_constraints"] = {"u99999999999": {"min_val": 0, "max_val": 1}}

    with pytest.raises(SourceError, match="not the name of a size"):
        load_program(with_json(MODEL, evil), "f", Trust())


def test_guards_of_the_file_are_dropped(tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    def evil(document: Any) -> None:
        document["guards_code"] = [f"__import__('os').system('touch {marker}') == 0"]

    program = load_program(with_json(MODEL, evil), "f", Trust())
    program.module()(torch.randn(2, 4), more={"m": torch.randn(3, 6)})
    assert not marker.exists()


def test_tensors_cannot_claim_more_than_the_file_holds() -> None:
    def huge(document: Any) -> None:
        for payload in document["config"].values():
            payload["tensor_meta"]["sizes"] = [{"as_int": 1 << 20}, {"as_int": 1 << 20}]
            payload["tensor_meta"]["strides"] = [{"as_int": 0}, {"as_int": 0}]

    with pytest.raises(SourceError, match="would take"):
        load_program(with_json("data/weights/model_weights_config.json", huge), "f", Trust())


@pytest.mark.parametrize("name", [MODEL, "data/weights/model_weights_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 100_000, b"7"])
def test_damaged_json_is_an_error_of_ours(name: str, content: bytes) -> None:
    with pytest.raises(SourceError):
        load_program(rewritten({name: lambda _: content}), "f", Trust())


def test_a_weight_without_bytes_is_refused_before_it_is_made() -> None:
    table = "data/weights/model_weights_config.json"

    def huge(document: Any) -> None:
        meta = next(iter(document["config"].values()))["tensor_meta"]
        meta.update(sizes=[{"as_int": 1 << 29}], strides=[{"as_int": 1}])

    with pytest.raises(SourceError, match="would take 2147483648 bytes"):
        load_program(with_json(table, huge), "f", Trust())


def test_example_inputs_cannot_be_repeated() -> None:
    buffer = io.BytesIO()
    torch.save(((torch.zeros(1, 1).expand(1 << 27, 4),), {}), buffer)
    with pytest.raises(SourceError, match="would take"):
        load_program(rewritten({SAMPLE_INPUTS: lambda _: buffer.getvalue()}), "f", Trust())


def test_operators_are_refused_by_their_names() -> None:
    def retarget(document: Any) -> None:
        nodes = document["graph_module"]["graph"]["nodes"]
        nodes[-1]["target"] = "torch.ops.aten._sparse_coo_tensor_unsafe.default"

    with pytest.raises(SourceError, match=r"_sparse_coo_tensor_unsafe.*not among the operators"):
        load_program(with_json(MODEL, retarget), "f", Trust())


@pytest.mark.parametrize(
    "text",
    [
        "FloorDiv(Pow(Add(s0,Symbol('a'),Symbol('b'),1), 64), Add(s0,1))",
        "Pow(Float('1.5',precision=50000000), 64)",
        "Not(And("
        + ",".join(f"Or(LessThan(a{i},b{i}),LessThan(c{i},a{i}))" for i in range(30))
        + "))",
        "FloorDiv(Mul(" + ",".join(f"Add(a{i},b{i},1)" for i in range(60)) + "),Add(a1,2))",
        "Mul(" + ",".join("Pow(Integer(10), Integer(60))" for _ in range(60)) + ")",
        "Max(" + ",".join(f"Add(a{i},1)" for i in range(19)) + ")",
        "Add(" * 200 + "s0" + ",1)" * 200,
    ],
)
def test_expressions_that_never_end_are_refused(text: str) -> None:
    assert expression_problem(text)


def test_what_torch_logs_of_a_file_is_said_once_and_shown_printable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def twice(document: Any) -> None:
        nodes = document["graph_module"]["graph"]["nodes"]
        nodes.insert(1, nodes[0])

    with pytest.raises(SourceError, match="cannot be loaded as an exported program") as caught:
        load_program(with_json(MODEL, twice), "f", Trust())
    assert "warnings above" not in str(caught.value) and "\n" not in str(caught.value)
    assert not [record for record in caplog.records if record.name == "torch.export"]
