"""The page on reliability says what the tests hold: every fault, a promise, and all its tests."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

import stoat_jobs.testing

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/explanation/reliability.md"

ENTRY = re.compile(r"^\*\*(\d+)\.\*\* (.+)\\\n\*\*Here:\*\* (.+)\\\n(`test_.+`)$", re.MULTILINE)
TEST = re.compile(r"def (test_\w*__faults?_(\d+(?:_\d+)*))\(")

# 50 is about pickle, which nothing here reads.
FAULTS = [*range(1, 50), *range(51, 75)]


def entries() -> dict[int, tuple[str, str, set[str]]]:
    """Fault, promise and tests by number, as on the page."""
    found = ENTRY.findall(PAGE.read_text(encoding="utf-8"))
    return {
        int(number): (fault, promise, set(re.findall(r"`(\w+)`", tests)))
        for number, fault, promise, tests in found
    }


def numbered() -> dict[int, set[str]]:
    """The tests that carry a number, wherever they are."""
    found = defaultdict(set)
    for folder in (Path(stoat_jobs.testing.__file__).parent, ROOT / "tests", ROOT / "examples"):
        for path in folder.rglob("*.py"):
            for name, numbers in TEST.findall(path.read_text(encoding="utf-8")):
                for number in numbers.split("_"):
                    found[int(number)].add(name)
    return found


@pytest.mark.parametrize("number", sorted({*FAULTS, *entries(), *numbered()}))
def test_a_fault_stands_with_its_promise_and_its_tests(number: int) -> None:
    """No fault is left out, no promise is without a test, and no test is missing on the page."""
    fault, promise, tests = entries()[number]
    assert fault.strip()
    assert promise.strip()
    assert tests == numbered()[number]


def test_every_entry_is_read() -> None:
    """An entry that has another form would be on the page, and looked at by nobody."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("**Here:**") == len(entries()) >= len(FAULTS)
