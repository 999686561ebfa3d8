from __future__ import annotations

import base64
import copy
import json
import multiprocessing
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
import torch.utils._pytree as pytree
from safetensors.torch import load_file, save
from torch import nn

import snnconvert
from snnconvert.converter.calibration.file import load_calibration
from snnconvert.converter.convert import convert_traced
from snnconvert.converter.loading.read import loads
from snnconvert.errors import SavedFileError
from snnconvert.rules import parse_rules
from tests.converter.conftest import TinyCNN


def outputs(snn, inputs):
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    with torch.no_grad():
        leaves = pytree.tree_leaves(snn.simulate(*args, time_steps=2, **kwargs))
    return [y for y in leaves if isinstance(y, torch.Tensor)]


def test_round_trip_is_bit_exact(network, tmp_path):
    model, inputs = network
    snn = snnconvert.convert(model, inputs, time_steps=5)
    snn.save(tmp_path / "a.snn")
    again = snnconvert.load(tmp_path / "a.snn")
    assert again.report == snn.report
    assert again.time_steps == 5
    assert again.conversion.rules == snn.conversion.rules
    assert again.state_dict().keys() == snn.state_dict().keys()
    for a, b in zip(outputs(again, inputs), outputs(snn, inputs), strict=True):
        assert torch.equal(a, b)


def _run_elsewhere(path, x, queue):
    torch.set_num_threads(1)
    queue.put(snnconvert.load(path).simulate(x, time_steps=2).detach().numpy())


def test_another_process_agrees(tmp_path):
    x = torch.randn(2, 1, 8, 8)
    snn = snnconvert.convert(TinyCNN().eval(), (x,), verify=False)
    snn.save(tmp_path / "a.snn")
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_run_elsewhere, args=(tmp_path / "a.snn", x, queue))
    process.start()
    there = torch.from_numpy(queue.get(timeout=120))
    process.join()
    assert torch.equal(there, snn.simulate(x, time_steps=2).detach())


@pytest.fixture
def saved(tmp_path):
    snn = snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),), verify=False)
    snn.save(tmp_path / "a.snn")
    return tmp_path / "a.snn"


def test_an_existing_file_is_replaced_and_nothing_is_left_beside(saved):
    snnconvert.load(saved).save(saved)
    snnconvert.load(saved)
    assert [p.name for p in saved.parent.iterdir()] == ["a.snn"]


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    snn = snnconvert.load(saved)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        snn.save(saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["a.snn"]


def rewritten(path, change):
    """The archive with its members changed by ``change(name, data) -> data | None``."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            new = change(name, data)
            if new is not None:
                archive.writestr(name, new)


def manifest_with(**changes):
    def change(name, data):
        if not name.endswith("snnconvert.json"):
            return data
        return json.dumps({**json.loads(data), **changes}).encode()

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (manifest_with(format=2, version="9.0"), "format 2 by snnconvert 9.0.*Upgrade"),
        (manifest_with(format="x"), "manifest or its rules are damaged"),
        (manifest_with(report={"passed": True}), "its report is damaged"),
        (manifest_with(report=3), "its report is damaged"),
        (manifest_with(notes=3), "its report is damaged"),
        (manifest_with(held=["nothing"]), "says of its inputs is damaged.*no input 'nothing'"),
        (manifest_with(held="x"), "says of its inputs is damaged"),
        (manifest_with(batch_dims={"x": 9}), "says of its inputs is damaged.*dimensions"),
        (manifest_with(batch_dims={"x": "0"}), "says of its inputs is damaged"),
        (manifest_with(batch_dims=[0]), "says of its inputs is damaged"),
        (manifest_with(shared=3), "tensors with several names is damaged"),
        (manifest_with(shared=[["fc.weight", "nothing"]]), "several names is damaged"),
        (manifest_with(shared=[[]]), "several names is damaged"),
        (manifest_with(shared=[[["fc.weight"]]]), "several names is damaged"),
        (manifest_with(not_single=3), "says of its inputs is damaged"),
        (lambda n, d: b"{" if n.endswith("snnconvert.json") else d, "rules are damaged"),
        (lambda n, d: b"\x80" if n.endswith("snnconvert.yaml") else d, "rules are damaged"),
        (lambda n, d: None if n.endswith("snnconvert.yaml") else d, "is not a saved conversion"),
        (lambda n, d: None if n.endswith("model.json") else d, "holds no model"),
    ],
)
def test_damaged_files_are_told(saved, change, words):
    rewritten(saved, change)
    with pytest.raises(SavedFileError, match=words):
        snnconvert.load(saved)


def test_a_flipped_bit_is_found(saved):
    data = bytearray(saved.read_bytes())
    position = data.find(b"everything exact")
    data[position] ^= 1
    saved.write_bytes(bytes(data))
    with pytest.raises(SavedFileError):
        snnconvert.load(saved)


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_what_is_no_saved_file_is_told(tmp_path, content):
    path = tmp_path / "x.snn"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(SavedFileError, match=str(path)):
        snnconvert.load(path)
    with pytest.raises(SavedFileError, match="cannot be read"):
        snnconvert.load(tmp_path / "missing")


def test_cut_files_are_told(saved):
    data = saved.read_bytes()
    for part in (10, len(data) // 2, len(data) - 1):
        saved.write_bytes(data[:part])
        with pytest.raises(SavedFileError):
            snnconvert.load(saved)


FIRST = Path(__file__).parent / "first_release"


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_files_of_the_first_release_keep_loading(rules):
    answers = load_file(FIRST / "answers.safetensors")
    snn = snnconvert.load(FIRST / f"{rules}.snn")
    assert snn.report.passed and bool(snn.conversion.neurons) == (rules == "spiking")
    with torch.no_grad():
        found = snn.simulate(answers["x"])
    # Kernels of other machines and releases of torch add in another order.
    torch.testing.assert_close(found, answers[rules], rtol=1e-5, atol=1e-6)


# The neuron of `spiking` was another then.
FIRST_SPIKING = """
version: 1
extends: spiking
time_steps: 8
neuron: {bursts: 1}
rules: []
"""


def test_the_calibration_of_the_first_release_keeps_loading():
    answers = load_file(FIRST / "answers.safetensors")
    source = snnconvert.load(FIRST / "default.snn").conversion.source
    calibration = load_calibration(FIRST / "calibration.safetensors")
    again = convert_traced(source, parse_rules(FIRST_SPIKING), calibration=calibration)
    with torch.no_grad():
        found = again.simulate(answers["x"], time_steps=4)
    torch.testing.assert_close(found, answers["spiking"], rtol=1e-5, atol=1e-6)


def test_a_report_from_a_file_is_a_claim(tmp_path):
    snn = snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),))
    assert "recorded" not in str(snn.report)
    snn.save(tmp_path / "a.snn")
    again = snnconvert.load(tmp_path / "a.snn")
    assert again.report == snn.report
    for text in (str(again.report), again.summary(), again.report.to_markdown()):
        assert "recorded" in text and "not verified here" in text
    assert "verify again" in again.report.verdict() and "a.snn" in again.report.verdict()
    twice = tmp_path / "b.snn"
    again.save(twice)
    assert "b.snn" in snnconvert.load(twice).report.verdict()


@pytest.mark.parametrize(
    "change",
    [
        {"max_rel_error": "small"},
        {"time_steps": 1 << 70},
        {"passed": 1},
        {"kinds": [{"kind": "a"}]},
        {"leaves": 3},
        {"more": 1},
        {"spiking": {}},
    ],
)
def test_reports_of_another_form_are_told(tmp_path, change):
    path = tmp_path / "a.snn"
    snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),)).save(path)
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("snnconvert.json"))
        report = json.loads(archive.read(name))["report"]
    rewritten(path, manifest_with(report={**report, **change}))
    with pytest.raises(SavedFileError, match="its report is damaged"):
        snnconvert.load(path)


def test_texts_of_a_file_are_shown_printable(saved):
    rewritten(saved, manifest_with(notes=["\x1b[31mred\n"], version="\x1b[2J"))
    assert not any("\x1b" in note for note in snnconvert.load(saved).conversion.notes)
    rewritten(saved, manifest_with(format=99, version="\x1b[2J"))
    with pytest.raises(SavedFileError, match="Upgrade") as caught:
        snnconvert.load(saved)
    assert "\x1b" not in str(caught.value)


def test_weights_that_no_rule_absorbs_are_refused(saved):
    name = next(iter(snnconvert.load(saved).state_dict()))
    weights = {name: torch.full_like(snnconvert.load(saved).state_dict()[name], float("nan"))}
    with zipfile.ZipFile(saved, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/extra/snnconvert.folded", base64.b64encode(save(weights)))
    with pytest.raises(SavedFileError, match="is not a weight that these rules change"):
        snnconvert.load(saved)


def test_a_manifest_of_any_depth_is_told(saved):
    rewritten(saved, lambda n, d: b"[" * 100_000 if n.endswith("snnconvert.json") else d)
    with pytest.raises(SavedFileError, match="manifest or its rules are damaged"):
        snnconvert.load(saved)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(11, 6), nn.Linear(6, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids):
        return self.head(self.table(ids).tanh())


def test_tied_weights_are_one_again():
    snn = snnconvert.convert(Tied().eval(), (torch.randint(0, 11, (2, 5)),), verify=False)
    again = pickle.loads(pickle.dumps(snn)).double()
    assert again.table.weight is again.head.weight
    assert len(list(again.parameters())) == 1


class Shifted(nn.Module):
    def __init__(self):
        super().__init__()
        self.map, self.constant = nn.Linear(4, 4), torch.ones(4)
        self.register_buffer("shift", torch.ones(4), persistent=False)

    def forward(self, x):
        return self.map(x) + self.shift * self.constant


def test_a_copy_is_saved_with_buffers_and_constants_of_its_own():
    x = torch.randn(2, 4)
    snn = snnconvert.convert(Shifted().eval(), (x,), verify=False)
    before = snn.dumps()
    twin = copy.deepcopy(snn)
    twin.shift.mul_(5)
    twin.constant.add_(1)
    again = pickle.loads(pickle.dumps(twin))
    assert torch.equal(again.simulate(x), twin.simulate(x))
    assert not torch.equal(again.simulate(x), snn.simulate(x))
    assert torch.equal(loads(before).simulate(x), snn.simulate(x))


@torch.library.custom_op("snnconvert_tests::soft", mutates_args=())
def soft(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + x.abs())


@soft.register_fake
def _(x):
    return torch.empty_like(x)


class Soft(nn.Module):
    def forward(self, x):
        return soft(x)


def test_operators_of_another_library_are_loaded_where_they_are_allowed():
    x = torch.randn(2, 4)
    snn = snnconvert.convert(Soft().eval(), (x,), verify=False)
    data = snn.dumps()
    assert torch.equal(loads(data, allow=["snnconvert_tests"]).simulate(x), snn.simulate(x))
    with pytest.raises(SavedFileError, match="'snnconvert_tests', which is not accepted") as caught:
        loads(data)
    assert "trust_pickle" not in str(caught.value)


def test_what_is_no_regular_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero", tmp_path, "a\0b"):
        with pytest.raises(SavedFileError, match=r"cannot be read: (is not a regular|embedded)"):
            snnconvert.load(name)


def test_a_file_of_text_is_no_saved_conversion(tmp_path):
    (tmp_path / "text.snn").write_text("text")
    with pytest.raises(SavedFileError, match=r"is no saved conversion, which snn\.save\(\)"):
        snnconvert.load(tmp_path / "text.snn")
