"""Pickles never run code: all that is neither tensor nor accepted class is refused."""

from __future__ import annotations

import builtins
import collections
import functools
import importlib
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from snnconvert.errors import SourceError
from snnconvert.sources.load import load_source
from snnconvert.sources.pickle_policy import judge
from snnconvert.sources.pickle_scan import Request
from snnconvert.sources.pickles import load_pickle, load_tensors, requested
from snnconvert.sources.trust import Trust

PACKAGE = "snnconvert_test_package"


class Bomb:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduction = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduction


def saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def bombs(marker: Path) -> dict[str, Bomb]:
    write = f"open({str(marker)!r}, 'w').close()"
    return {
        "os.system": Bomb(os.system, f"touch {marker}"),
        "builtins.eval": Bomb(eval, write),
        "builtins.exec": Bomb(exec, write),
        "builtins.getattr": Bomb(getattr, "", "upper"),
        "subprocess.run": Bomb(subprocess.run, ["touch", str(marker)]),
        "functools.partial": Bomb(functools.partial, os.system, f"touch {marker}"),
        "torch.hub.load": Bomb(torch.hub.load, str(marker.parent), "build"),
        "importlib.import_module": Bomb(importlib.import_module, "antigravity"),
        "builtins.__import__": Bomb(builtins.__import__, "antigravity"),
        "torch.serialization.load": Bomb(torch.load, str(marker)),
        "builtins.bytearray": Bomb(bytearray, 1 << 40),
        "torch.nn.modules.linear.Linear": Bomb(nn.Linear, 1 << 20, 1 << 20),
    }


KINDS = list(bombs(Path("marker")))


def in_attribute(bomb: Bomb) -> Any:
    module = nn.Linear(2, 2)
    module.extra = {"deep": [(1, bomb)]}  # type: ignore[assignment]
    return module


def in_hook(bomb: Bomb) -> Any:
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    module[0]._forward_hooks[0] = bomb  # type: ignore[assignment,index]
    return module


PLACES: dict[str, Callable[[Bomb], Any]] = {
    "alone": lambda bomb: bomb,
    "attribute": in_attribute,
    "hook": in_hook,
    "state dict": lambda bomb: {"weight": torch.zeros(2), "bias": bomb},
    "key": lambda bomb: [{"state_dict": {}}, (bomb,)],
    "ordered dict": lambda bomb: collections.OrderedDict(weight=torch.zeros(2), epoch=bomb),
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_calls_are_refused_by_name_and_nothing_runs(
    kind: str, place: str, legacy: bool, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    hub = tmp_path / "hubconf.py"
    hub.write_text(f"open({str(marker)!r}, 'w').close()")
    path = tmp_path / "model.pt"
    content = PLACES[place](bombs(marker)[kind])
    path.write_bytes(saved(content, _use_new_zipfile_serialization=not legacy))
    asked = "posix.system" if kind == "os.system" else kind
    with pytest.raises(SourceError, match=asked.replace("posix", "(posix|nt)")) as error:
        load_source(path, allow=("os", "torch", "functools", "snnconvert"))
    assert not marker.exists()
    assert "antigravity" not in sys.modules
    assert "--trust-pickle" in str(error.value)


def test_the_bombs_would_work(tmp_path: Path) -> None:
    """The tests above can fail: the same files run code when pickles are trusted."""
    for kind in ("os.system", "builtins.eval", "builtins.exec", "subprocess.run"):
        marker = tmp_path / kind
        load_pickle(saved({"w": bombs(marker)[kind]}), "f", Trust(any_pickle=True))
        assert marker.exists(), kind


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "path" / PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "net.py").write_text(
        "from torch import nn\n"
        "import os\n"
        "def build(): raise RuntimeError('called')\n"
        "class Config: pass\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, path=None):\n"
        "        super().__init__()\n"
        "        if path: open(path, 'w').close()\n"
        "        self.fc = nn.Linear(3, 2)\n"
        "    def forward(self, x): return self.fc(x)\n"
    )
    (folder / "effects.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n"
        "from snnconvert_test_package.net import Net\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    yield PACKAGE
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def test_module_of_an_own_package_needs_allow(package: str) -> None:
    net = importlib.import_module(f"{package}.net").Net()
    data = saved(net)
    with pytest.raises(SourceError, match=rf"{package}\.net\.Net: package .* is not accepted"):
        load_pickle(data, "f", Trust())
    loaded = load_pickle(data, "f", Trust(allow=(package,)))
    assert type(loaded) is type(net)
    assert torch.equal(loaded.fc.weight, net.fc.weight)


def test_a_refused_file_imports_nothing(package: str, tmp_path: Path) -> None:
    net = importlib.import_module(f"{package}.net").Net()
    net.bomb = Bomb(os.system, "true")
    data = saved(net)
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]
    with pytest.raises(SourceError, match="system"):
        load_pickle(data, "f", Trust(allow=(package,)))
    assert not any(name.startswith(package) for name in sys.modules)


def test_constructor_of_an_allowed_class_is_never_called(package: str, tmp_path: Path) -> None:
    net = importlib.import_module(f"{package}.net")
    marker = tmp_path / "marker"
    for value in (Bomb(net.Net, str(marker)), {"a": Bomb(net.build)}, [net.Net, net.Net()]):
        with pytest.raises(SourceError, match=package):
            load_pickle(saved(value), "f", Trust(allow=(package,)))
    assert not marker.exists()


def test_what_is_not_a_module_class_is_refused_in_allowed_packages(package: str) -> None:
    net = importlib.import_module(f"{package}.net")
    with pytest.raises(SourceError, match=r"is not an nn\.Module"):
        load_pickle(saved({"config": net.Config()}), "f", Trust(allow=(package,)))


# Hand-written pickles: what no honest pickler writes.


def archive(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("archive/data.pkl", pickled)
        target.writestr("archive/version", "3\n")
    return buffer.getvalue()


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


LINEAR = b"ctorch.nn.modules.linear\nLinear\n"
NEW = LINEAR + b")\x81"

CRAFTED = {
    "arguments for __new__": (b"\x80\x02" + LINEAR + b"K\x01\x85\x81.", "__new__"),
    "state that is no dictionary": (b"\x80\x02" + NEW + b"K\x01K\x02\x86b.", "not a dictionary"),
    "state for a tensor": (b"\x80\x02ctorch\nTensor\n)\x81}b.", "torch.Tensor"),
    "state for a set": (b"\x80\x02c__builtin__\nset\n]\x85R}b.", "state for what is neither"),
    "copyreg": (
        b"\x80\x02ccopy_reg\n_reconstructor\n" + LINEAR + b"c__builtin__\nobject\nN\x87R.",
        "copyreg._reconstructor",
    ),
    "newobj through copyreg": (
        b"\x80\x02ccopy_reg\n__newobj__\n" + LINEAR + b"\x85R.",
        "copyreg.__newobj__",
    ),
    "codec": (
        b"\x80\x02c_codecs\nencode\n" + text("x") + text("zip") + b"\x86R.",
        "another codec than latin1",
    ),
    "call through a tensor rebuilder": (
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n("
        + LINEAR
        + b"ctorch\nTensor\nK\x04K\x04\x86}tR.",
        "torch.nn.modules.linear.Linear",
    ),
    "computed function": (b"\x80\x02N)R.", "a call of a value"),
    "computed class": (b"\x80\x02N)\x81.", "instance of a class that the pickle itself made"),
    "class of a code carrier": (
        b"\x80\x02ctorch.fx.graph_module\nGraphModule\n)\x81}b.",
        "is not below torch.nn",
    ),
    "re-exported by an accepted module": (
        b"\x80\x02ctorch.nn.modules.module\nOrderedDict\n)\x81}b.",
        "comes from collections",
    ),
    "function of an accepted module": (
        b"\x80\x02ctorch.nn.modules.module\nregister_module_forward_hook\n)\x81}b.",
        "is not a class",
    ),
    "name with a blank": (b"\x80\x02ctorch.nn modules\nLinear\n)\x81.", "the name"),
    "nested name": (b"\x80\x02ctorch.nn.modules\nlinear.Linear\n)\x81.", "the name"),
    "dunder module": (b"\x80\x02ctorch.nn.__main__\nNet\n)\x81.", "private name"),
    "conversion script": (
        b"\x80\x02ctransformers.models.bert.convert_to_pytorch\nNet\n)\x81.",
        "is not below",
    ),
    "missing class": (b"\x80\x02ctorch.nn.modules.linear\nNoSuch\n)\x81.", "does not exist"),
    "missing module": (b"\x80\x02ctorch.nn.no_such\nNet\n)\x81.", "cannot be imported"),
    "module outside of the layers": (b"\x80\x02ctorch.hub\nNet\n)\x81.", "is not below torch.nn"),
    "protocol 4": (pickle.dumps(os.getcwd, protocol=4), "PROTO 4.*default pickle protocol 2"),
    "extension registry": (b"\x80\x02\x82\x01.", "EXT1"),
    "inst": (b"(S'true'\nios\nsystem\n.", "MARK|INST|STRING"),
    "empty stack": (b"\x80\x02R.", "damaged or truncated"),
    "no stop": (b"\x80\x02N", "damaged or truncated"),
    "missing memo": (b"\x80\x02h\x05.", "damaged or truncated"),
    "huge text": (b"\x80\x02X\xff\xff\xff\xff.", "damaged or truncated"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_pickles_are_refused(case: str) -> None:
    pickled, reason = CRAFTED[case]
    with pytest.raises(SourceError, match=reason):
        load_pickle(archive(pickled), "f", Trust())


def test_deeply_nested_tuples_do_not_overflow() -> None:
    nested = b"\x80\x02c_codecs\nencode\n)" + b"\x85" * 100_000 + text("zip") + b"\x86R."
    with pytest.raises(SourceError, match="another codec"):
        load_pickle(archive(nested), "f", Trust())


def test_names_in_messages_are_printable_and_short() -> None:
    name = "x\x1b[31m" + "y" * 5000
    with pytest.raises(SourceError) as error:
        load_pickle(archive(b"\x80\x02c" + name.encode() + b"\nNet\n)\x81."), "f", Trust())
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 2000


def test_many_refused_names_are_counted() -> None:
    body = b"".join(b"cpkg\nname%d\n0" % i for i in range(40)).replace(b"\n0", b"\n\x85a")
    with pytest.raises(SourceError, match="and 20 more"):
        load_pickle(archive(b"\x80\x02]" + body + b"."), "f", Trust())


def test_scan_tells_calls_instances_and_values_apart() -> None:
    module = nn.TransformerEncoderLayer(8, 2, 16)
    request = requested(saved(module), "f")
    assert "torch.nn.modules.transformer.TransformerEncoderLayer" in request.made
    assert "torch._utils._rebuild_parameter" in request.called
    assert "torch.nn.functional.relu" in request.stored
    assert not request.violations


def test_stored_classes_must_be_layers() -> None:
    layer, model = "torch.nn.modules.batchnorm.BatchNorm2d", "torch.nn.utils.parametrize.X"
    assert not judge(Request(stored={layer}), Trust()).refused
    assert model in judge(Request(stored={model}), Trust()).refused


def test_users_safe_globals_stay_as_they_were() -> None:
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([collections.deque])
    try:
        load_pickle(saved(nn.Linear(2, 2)), "f", Trust())
        assert set(torch.serialization.get_safe_globals()) == {*before, collections.deque}
        with pytest.raises(SourceError, match="deque"):
            load_pickle(saved(collections.deque([1])), "f", Trust())
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.Flatten()),
        nn.LSTM(3, 4, bidirectional=True),
        nn.MultiheadAttention(8, 2),
        nn.TransformerDecoderLayer(8, 2, 16, activation="gelu"),
        nn.ModuleDict({"a": nn.Embedding(3, 4), "b": nn.Identity()}),
    ],
    ids=lambda module: type(module).__name__,
)
def test_honest_modules_load_bit_exactly(module: nn.Module) -> None:
    loaded = load_pickle(saved(module), "f", Trust())
    assert type(loaded) is type(module)
    for name, value in module.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_honest_checkpoints_load() -> None:
    half = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    half.note = "an attribute"  # type: ignore[attr-defined]
    content = {
        "state_dict": {"w": half, "q": torch.arange(6).view(2, 3).t()},
        "epoch": 3,
        "lr": 1e-3,
        "size": torch.Size([1, 2]),
        "dtype": torch.float16,
        "flags": {1, 2},
        "raw": b"bytes",
        "device": torch.device("cpu"),
    }
    for legacy in (False, True):
        loaded = load_tensors(saved(content, _use_new_zipfile_serialization=not legacy), "f")
        assert torch.equal(loaded["state_dict"]["q"], content["state_dict"]["q"])  # type: ignore[index]
        assert loaded["raw"] == b"bytes"


def test_tensors_only_refuses_modules() -> None:
    with pytest.raises(SourceError, match="only tensors are expected"):
        load_tensors(saved(nn.Linear(2, 2)), "f")


def test_main_script_classes_get_their_own_reason() -> None:
    with pytest.raises(SourceError, match="was defined in a script"):
        load_pickle(archive(b"\x80\x02c__main__\nNet\n)\x81}b."), "f", Trust())


@pytest.mark.parametrize("package", ["", "a b", "os; import x", "-x", "a..b", "/tmp"])
def test_allow_takes_package_names_only(package: str) -> None:
    with pytest.raises(SourceError, match="package name"):
        Trust(allow=(package,))


def test_a_package_in_the_working_directory_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden from site-packages, timm would be found here; its class is refused instead."""
    (tmp_path / "timm" / "layers").mkdir(parents=True)
    for folder in ("timm", "timm/layers"):
        code = f"open({str(tmp_path / 'marker')!r}, 'w')\n"
        (tmp_path / folder / "__init__.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    for name in [n for n in sys.modules if n.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    places = [place for place in sys.path if "site-packages" not in place]
    monkeypatch.setattr(sys, "path", places)
    verdict = judge(Request(made={"timm.layers.norm.LayerNorm2d"}), Trust())
    assert "pip install 'snnconvert[timm]'" in verdict.refused["timm.layers.norm.LayerNorm2d"]
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_storages_cannot_claim_more_than_the_file_holds(zipped: bool) -> None:
    data = saved({"a": torch.zeros(200)}, _use_new_zipfile_serialization=zipped)
    small, large = b"K\xc8", b"J" + (1 << 29).to_bytes(4, "little")
    if zipped:
        source, target = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name in source.namelist():
                archive.writestr(name, source.read(name).replace(small, large))
        data = target.getvalue()
    else:
        data = data.replace(small, large)
    with pytest.raises(SourceError, match="would take 2147483648 bytes"):
        load_tensors(data, "f")
