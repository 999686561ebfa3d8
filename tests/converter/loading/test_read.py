from __future__ import annotations

import json
import multiprocessing
import zipfile
from pathlib import Path

import pytest
import torch
import torch.utils._pytree as pytree
from safetensors.torch import load_file

import snnconvert
from snnconvert.converter.calibration.file import load_calibration
from snnconvert.converter.convert import convert_traced
from snnconvert.errors import SavedFileError
from snnconvert.rules import load_rules
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


def test_the_calibration_of_the_first_release_keeps_loading():
    answers = load_file(FIRST / "answers.safetensors")
    source = snnconvert.load(FIRST / "default.snn").conversion.source
    calibration = load_calibration(FIRST / "calibration.safetensors")
    again = convert_traced(source, load_rules("spiking"), calibration=calibration)
    with torch.no_grad():
        found = again.simulate(answers["x"], time_steps=4)
    torch.testing.assert_close(found, answers["spiking"], rtol=1e-5, atol=1e-6)
