"""The README, the documentation and the docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

import stoat_jobs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(stoat_jobs.__path__, "stoat_jobs.")
)
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


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    """Every example in a docstring gives what it shows."""
    outcome = doctest.testmod(importlib.import_module(name), extraglobs=PUBLIC)
    assert outcome.failed == 0


def test_docstrings_have_examples() -> None:
    """The docstring examples are found at all, so that the test above means something."""
    finder = doctest.DocTestFinder()
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in found) >= 3
