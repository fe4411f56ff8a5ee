"""The README, the documentation and the docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

import stoat_jobs

from . import guide

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
MODULES = [
    "stoat_jobs",
    *(module.name for module in pkgutil.walk_packages(stoat_jobs.__path__, "stoat_jobs.")),
]
EXAMPLES = Sybil([PythonCodeBlockParser()])
PUBLIC = {name: getattr(stoat_jobs, name) for name in stoat_jobs.__all__}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_a_page_run(page: Path) -> None:
    """Every Python example of a page runs, from the first to the last, as a reader would."""
    document = EXAMPLES.parse(page)
    document.namespace["__name__"] = page.stem.replace("-", "_")
    for example in document.examples():
        example.evaluate()
    assert ("```python" in page.read_text()) == bool(list(document.examples()))


def test_included_files_are_there() -> None:
    """What a page takes from a file is in that file."""
    shown = [
        (page.parent / file, name)
        for page in PAGES
        for file, name in re.findall(
            r"^```\{literalinclude\} (\S+)(?:\n:(?!pyobject)\S+: .*)*(?:\n:pyobject: (\S+))?",
            page.read_text(),
            re.MULTILINE,
        )
    ]
    assert any(name for _, name in shown)
    assert [str(file) for file, name in shown if name not in file.read_text()] == []


def test_the_backend_of_the_guide_is_shown_whole() -> None:
    """Whoever follows the page on backends has each file of the example's package."""
    page = (ROOT / "docs/how-to/write-a-backend.md").read_text()
    example = ROOT / "examples/stoat-jobs-lmdb"
    for file in [example / "pyproject.toml", *example.glob("src/**/*.py")]:
        assert f"{{literalinclude}} ../../{file.relative_to(ROOT)}\n" in page


def test_the_folder_of_the_guide_is_all_that_it_needs(tmp_path: Path) -> None:
    """Whoever makes the folder that the page draws, of what it shows, can install it."""
    guide.make(tmp_path)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert made == set(guide.files()) >= set(guide.shown())
    readme = re.search(
        r'^readme = "(.+)"$', (tmp_path / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert readme is None or Path(readme[1]) in made
    assert "class TestLmdbJobQueue" in (tmp_path / "tests/test_contract.py").read_text()


class Finder(doctest.DocTestFinder):
    """Finds the examples of methods too, if their class says that it is of a public module."""

    def _from_module(self, module: Any, found: Any) -> bool:
        is_method = inspect.isfunction(found) and "." in found.__qualname__
        from_module: bool = super()._from_module(module, found)  # type: ignore[misc]
        return is_method or from_module


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    """Every example in a docstring gives what it shows."""
    runner = doctest.DocTestRunner()
    for test in Finder().find(importlib.import_module(name), extraglobs=PUBLIC):
        runner.run(test)
    assert runner.failures == 0


def test_docstrings_have_examples() -> None:
    """The docstring examples are found at all, so that the test above means something."""
    found = [test for name in MODULES for test in Finder().find(importlib.import_module(name))]
    names = {test.name.rpartition(".")[2] for test in found if test.examples}
    assert {"JobContext", "options", "AsyncioJobQueue", "one_line", "FakeClockLoop"} <= names
