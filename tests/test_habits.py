"""What a release promises beside its code: the pages, the scripts, what the wheel holds."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from zipfile import ZipFile

import pytest

from snnconvert.version import __version__

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "docs")
PAGES = sorted(ROOT.glob("*.md")) + [p for f in FOLDERS for p in sorted((ROOT / f).rglob("*.md"))]


def changelog() -> list[tuple[str, str]]:
    """Return the versions of the changelog with their dates, the newest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(r"^## \[([^\]]+)\](?: - (\S+))?$", text, re.MULTILINE)


def test_the_changelog_tells_of_this_version() -> None:
    (first, undated), *released = changelog()
    assert (first, undated) == ("Unreleased", "")
    assert __version__ in dict(released)
    dates = [date.fromisoformat(when) for _, when in released]
    assert dates == sorted(dates, reverse=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link}
    missing = [link for link in links if not (page.parent / link).exists()]
    files = set(
        re.findall(r"\b((?:benchmarks|docs|examples|snnconvert|tests)/[\w./-]+\.[a-z]+)\b", text)
    )
    missing += [file for file in files if not (ROOT / file).exists()]
    run = set(re.findall(r"python -m ((?:benchmarks|snnconvert)[\w.]*\w)", text))
    run |= set(re.findall(r"python:(benchmarks[\w.]*\w):", text))
    missing += [module for module in run if importlib.util.find_spec(module) is None]
    assert not missing


@pytest.mark.parametrize("script", ["run", "nightly"])
def test_scripts_stop_at_the_first_failure(script: str) -> None:
    path = ROOT / ".ci" / script
    lines = path.read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if not line.startswith("#")]
    assert "set -euo pipefail" in commands
    # set -e does not see what fails before && or ||.
    assert not [line for line in commands if re.search(r"&&|\|\|", line)]
    assert path.stat().st_mode & 0o111


def test_the_wheel_holds_all_that_the_package_reads(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", "77")
    source, wheels = tmp_path / "source", tmp_path / "wheels"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "*.so")
    shutil.copytree(ROOT / "snnconvert", source / "snnconvert", ignore=ignored)
    shutil.copytree(ROOT / "csrc", source / "csrc")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir".split()
    command = [sys.executable, "-m", "pip", *build, str(wheels), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = wheels.glob(f"snnconvert-{__version__}-*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = [path for path in (ROOT / "snnconvert").rglob("*") if path.is_file()]
    built = (".pyc", ".so")
    expected = {str(path.relative_to(ROOT)) for path in package if path.suffix not in built}
    assert "snnconvert/py.typed" in packed
    extensions = {name for name in packed if name.endswith(".so")}
    assert packed - extensions == expected
    if shutil.which("c++"):
        assert extensions == {"snnconvert/ops/_native.abi3.so"}
