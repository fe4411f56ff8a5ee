"""The documentation shows the examples."""

from __future__ import annotations

import re

from .conftest import EXAMPLES


def test_every_app_is_shown() -> None:
    """Each app of one file is included in the page on frameworks, and has its tests."""
    page = (EXAMPLES.parent / "docs" / "how-to" / "frameworks.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\{literalinclude\} \.\./\.\./examples/(\w+)/app\.py", page))
    tested = {file.stem.removeprefix("test_") for file in EXAMPLES.parent.glob("tests/examples/*")}
    assert shown == {app.parent.name for app in EXAMPLES.glob("*/app.py")}
    assert shown <= tested
