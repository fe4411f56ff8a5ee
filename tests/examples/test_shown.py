"""The documentation shows the examples."""

from __future__ import annotations

import re
from pathlib import Path

from .conftest import EXAMPLES


def test_every_app_is_shown() -> None:
    """Each app of one file is included in the page on frameworks, and has its tests."""
    page = (EXAMPLES.parent / "docs" / "how-to" / "frameworks.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\{literalinclude\} \.\./\.\./examples/(\w+)/app\.py", page))
    tested = {file.stem.removeprefix("test_") for file in EXAMPLES.parent.glob("tests/examples/*")}
    assert shown == {app.parent.name for app in EXAMPLES.glob("*/app.py")}
    assert shown <= tested


def test_every_how_to_is_shown() -> None:
    """Each file in ``how_to`` is included, whole, in the page of its name, and has its tests."""
    pages = EXAMPLES.parent / "docs" / "how-to"
    for file in EXAMPLES.glob("how_to/*.py"):
        name = "several-workers" if "conf" in file.name else file.stem.replace("_", "-")
        page = (pages / f"{name}.md").read_text(encoding="utf-8")
        assert (
            f"{{literalinclude}} ../../examples/how_to/{file.name}\n:language: python\n```" in page
        )
        assert "conf" in file.name or (Path(__file__).parent / f"test_{file.stem}.py").exists()


def test_every_how_to_page_is_in_the_readme() -> None:
    """Whoever looks for how to do something finds its page from the README."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    for page in (EXAMPLES.parent / "docs" / "how-to").glob("*.md"):
        assert f"(docs/how-to/{page.name})" in readme
