"""What the pages show is what one gets: their code runs, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.docs.pages import PAGES, Reader, agree


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_can_be_followed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    torch.manual_seed(0)
    Reader(page).read()


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("error 3.1e-16", "error   8.2e-16", True),
        ("error 0.0031", "error 0.0030", True),
        ("error 0.0031", "error 0.0041", False),
        ("INT8  98.44%", "INT8  98.40%", True),
        ("INT8  98.44%", "INT7  98.44%", False),
        ("1,024 samples", "1,024 samples", True),
        ("1,024 samples", "2,024 samples", False),
        ("T=1, K=3", "T=1, K=2", False),
    ],
)
def test_lines_agree_in_words_and_nearly_in_numbers(shown: str, printed: str, same: bool) -> None:
    assert agree(shown, printed) is same


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```python\nraise ValueError('x')\n```\n", "x"),
        ("```bash\nsnnconvert rules show nothing\n```\n", "ended with 2"),
        ("```bash\nrm -r .\n```\n", "no test runs"),
        ("```bash\npip install '.[nothing]'\n```\n", "no extra"),
        ("```rust\n```\n", "rust is not run"),
        ("```python\nprint(1)\n```\n\n```\n2\n```\n", "not printed"),
        ("```python\nprint(1)\n```\n\n```\n1\n2\n```\n", "more is shown"),
        ("```yaml\nversion: 7\n```\n", "version"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(
    text: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(Exception, match=wrong):
        Reader(page).read()
