"""References are dispatched by prefix or as paths; what is unknown gets a suggestion."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from snnconvert.errors import SourceError
from snnconvert.sources.load import load_source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def module(folder: Path, code: str) -> str:
    """Writes a module of a fresh name into the working directory."""
    name = f"user_{folder.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(f"import torch\nfrom torch import nn\n{code}")
    return name


def test_the_demo_is_found() -> None:
    source = load_source("demo:digits-vit")
    assert source.name == "demo:digits-vit"
    assert source.model(*source.args).shape == (2, 10)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("tim:resnet18", ["unknown kind of source 'tim'", "timm", "demo:NAME"]),
        ("demo:digit-vit", ["no such demo", "digits-vit"]),
        ("http://example.org/model.pt", ["http"]),
        ("modle.pt", ["no such file", "did you mean 'model.pt'?", "hf:DIRECTORY_OR_ID"]),
        ("no/such/place/model.pt", ["there is no directory"]),
        ("resnet18", ["timm:resnet18"]),
        ("", ["is a directory", "config.json"]),
        ("hf:no/such/place", ["no such directory"]),
        ("hf:model.pt", ["is a file"]),
        ("python:nothing", ["python:package.module:factory"]),
        ("python:os.path:", ["python:package.module:factory"]),
        ("python:no_such_package_at_all:net", ["cannot be imported", "working directory"]),
        ("python:os.path:joyn", ["no function joyn", "join"]),
        ("python:os.path:join", ["called without arguments"]),
        ("python:os:getcwd", ["returned str", "must return an nn.Module"]),
        ("bad\x1b[31mname", ["no such file"]),
    ],
)
def test_unknown_references_say_what_is_allowed(
    reference: str, words: list[str], folder: Path
) -> None:
    (folder / "model.pt").write_bytes(b"x")
    with pytest.raises(SourceError) as error:
        load_source(reference)
    for word in words:
        assert word in str(error.value)
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("returned", "args", "kwargs"),
    [
        ("nn.Linear(3, 2)", 0, []),
        ("nn.Linear(3, 2), (torch.ones(2, 3),)", 1, []),
        ("nn.Linear(3, 2), (), {'input': torch.ones(2, 3)}", 0, ["input"]),
    ],
)
def test_factories_may_bring_example_inputs(
    returned: str, args: int, kwargs: list[str], folder: Path
) -> None:
    before = list(sys.path)
    name = module(folder, f"def net():\n    return {returned}\n")
    source = load_source(f"python:{name}:net")
    assert isinstance(source.model, nn.Linear) and not source.model.training
    assert "came in train mode" in source.note
    assert (len(source.args), list(source.kwargs)) == (args, kwargs)
    assert sys.path == before


def test_a_factory_may_return_a_source_and_a_class_is_a_factory(folder: Path) -> None:
    name = module(
        folder,
        "from snnconvert.sources.source import Source\n"
        "def source(): return Source('mine', nn.Identity())\n"
        "class Net(nn.Module): pass\n"
        "def wrong(): return nn.Identity(), 1, 2, 3\n",
    )
    assert load_source(f"python:{name}:source").name == "mine"
    assert type(load_source(f"python:{name}:Net").model).__name__ == "Net"
    with pytest.raises(SourceError, match="must return"):
        load_source(f"python:{name}:wrong")


def test_an_error_inside_a_factory_is_the_users_own(folder: Path) -> None:
    name = module(folder, "def net(): raise KeyError('mine')\n")
    with pytest.raises(SourceError, match=r"net\(\).* failed \(KeyError: 'mine'\)") as error:
        load_source(f"python:{name}:net")
    assert isinstance(error.value.__cause__, KeyError)


def test_arch_is_for_weights_only(folder: Path) -> None:
    torch.save({"w": torch.zeros(1)}, "w.pt")
    for reference in ("demo:digits-vit", "."):
        with pytest.raises(SourceError, match="arch"):
            load_source(reference, arch="demo:digits-vit")
    for arch in ("resnet18", "w.pt", "nothing:x", ""):
        with pytest.raises(SourceError, match="prefixes timm:"):
            load_source("w.pt", arch=arch)


def test_names_with_a_colon_can_be_files(folder: Path) -> None:
    torch.save(nn.Linear(2, 2), "run:7.pt")
    assert isinstance(load_source("run:7.pt").model, nn.Linear)
    assert isinstance(load_source(folder / "run:7.pt").model, nn.Linear)


def test_allow_is_a_sequence() -> None:
    with pytest.raises(SourceError, match="sequence of package names"):
        load_source("demo:digits-vit", allow="package")


@pytest.mark.parametrize("code", ["0", "'bye'", "None", "3"])
def test_a_factory_that_ends_the_process_is_an_error(folder: Path, code: str) -> None:
    name = module(folder, f"import sys\ndef net():\n    sys.exit({code})\n")
    with pytest.raises(SourceError, match=r"called sys\.exit\("):
        load_source(f"python:{name}:net")


def test_a_script_that_ends_the_process_is_an_error(folder: Path) -> None:
    name = module(folder, "import sys\nsys.exit(0)\n")
    with pytest.raises(SourceError, match=r"called sys\.exit\(0\)"):
        load_source(f"python:{name}:net")


@pytest.mark.parametrize("reference", ["~nobody-of-that-name/m.pt", "hf:~nobody-of-that-name/m"])
def test_a_home_of_nobody_is_an_error(reference: str) -> None:
    with pytest.raises(SourceError, match="home directory"):
        load_source(reference)


def test_names_of_files_nearby_are_shown_printable(folder: Path) -> None:
    (folder / "model\x1b.pt").write_text("")
    with pytest.raises(SourceError, match="did you mean") as caught:
        load_source("model.ptt")
    assert "\x1b" not in str(caught.value)
