"""The example is imported as its own folder would import it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "create_app"

if str(EXAMPLE) not in sys.path:
    sys.path.insert(0, str(EXAMPLE))


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
