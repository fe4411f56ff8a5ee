"""What SECURITY.md says is held by the tests that it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import stoat_jobs

ROOT = Path(__file__).parents[1]
PACKAGE = Path(stoat_jobs.__file__).parent
PAGE = ROOT / "SECURITY.md"
FORBIDDEN = frozenset(
    "pickle marshal shelve dill cloudpickle eval exec compile __import__ import_module".split()
)


def named_in(source: Path) -> set[str]:
    """Everything that a module imports, calls or reads by name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            names.update((node.module or "").split("."), (alias.name for alias in node.names))
        elif isinstance(node, ast.Name):
            names.add(node.id)
    return names


def test_nothing_is_unpickled_or_evaluated() -> None:
    """No module of the package can unpickle, evaluate or import what a name or data says."""
    sources = [*PACKAGE.rglob("*.py"), PACKAGE.with_name("_stoat_jobs_pytest.py")]
    assert len(sources) > 50
    found = {path.name: named_in(path) & FORBIDDEN for path in sources}
    assert {name: names for name, names in found.items() if names} == {}


def test_every_test_that_the_page_names_is_there() -> None:
    """Each danger in the table has tests, and each of them exists."""
    code = "\n".join(
        path.read_text() for path in [*ROOT.glob("tests/**/*.py"), *PACKAGE.glob("testing/*.py")]
    )
    tests = set(re.findall(r"def (test_\w+)", code))
    rows = re.findall(r"^\| .+ \| .+ \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = [re.findall(r"`(test_\w+)`", row) for row in rows[1:]]
    assert len(named) >= 8
    assert all(named)
    assert {name for row in named for name in row} - tests == set()
