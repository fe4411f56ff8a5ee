"""The examples are imported as their own folder would import them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.slow_disk import SlowDisk

EXAMPLES = Path(__file__).parents[2] / "examples"

for _folder in (EXAMPLES, EXAMPLES / "create_app"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    """The disk on which every path of this process lies."""
    slow = SlowDisk()
    for name in ("open", "stat"):
        monkeypatch.setattr(Path, name, slow.slowed(getattr(Path, name)))
    yield slow
    slow.released.set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four files in two folders; two of them are the same."""
    root = tmp_path / "folder"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("one\ntwo\n")
    (root / "b.md").write_text("three\n")
    (root / "sub" / "c.txt").write_text("one\ntwo\n")
    (root / "sub" / "d.txt").write_text("four\nfive\nsix\n")
    return root


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library of real files: two folders, three files, and a link that leads nowhere."""
    root = tmp_path / "library"
    (root / "2023").mkdir(parents=True)
    (root / "2024").mkdir()
    (root / "2023" / "beach.mp4").write_bytes(b"x" * 300)
    (root / "2024" / "snow.mp4").write_bytes(b"x" * 20)
    (root / "2024" / "notes").write_bytes(b"x")
    (root / "2024" / "gone.mp4").symlink_to(root / "nowhere")
    return root
