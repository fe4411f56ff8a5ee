"""A release is made of what was built once, and agrees with itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .release_notes import ENTRY, RefusedError, main, notes

ROOT = Path(__file__).parents[1]
PYPROJECT = '[project]\nversion = "1.2.0"\n'
CHANGELOG = """# Changelog

## 1.2.0 - 2027-01-31

### Added

- This.

## 1.1.0 - 2026-12-24

- That.
"""


def test_the_notes_of_a_release_are_its_entry_in_the_changelog() -> None:
    """What is announced is the newest entry, and nothing of an older one."""
    assert notes("v1.2.0", PYPROJECT, CHANGELOG) == "### Added\n\n- This.\n"


@pytest.mark.parametrize(
    ("tag", "old", "new", "refusal"),
    [
        ("v1.3.0", "", "", "the tag is v1.3.0, and the version in pyproject.toml 1.2.0"),
        ("1.2.0", "", "", "the tag is 1.2.0, and"),
        ("v1.2.0", "## 1.2.0", "## 1.3.0", "does not open with 1.2.0"),
        ("v1.2.0", "2027-01-31", "unreleased", "1.2.0 has no date in CHANGELOG.md"),
    ],
    ids=["other tag", "no v", "other entry", "no date"],
)
def test_what_disagrees_is_not_released(tag: str, old: str, new: str, refusal: str) -> None:
    """A tag, a version and a changelog that do not agree are refused, with what differs."""
    with pytest.raises(RefusedError, match=re.escape(refusal)):
        notes(tag, PYPROJECT, CHANGELOG.replace(old, new) if old else CHANGELOG)


def test_the_project_is_refused_under_another_name() -> None:
    """The project's own files are those that are read."""
    with pytest.raises(RefusedError, match=r"the tag is v0\.0\.0"):
        main("v0.0.0")


def test_the_changelog_has_one_sentence_a_line() -> None:
    """Each line of the changelog is one sentence, below headings that say version and date."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [" - ".join(entry[:2]) for entry in ENTRY.findall(text)] == entries
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not is_a_sentence(line)] == []


def is_a_sentence(line: str) -> bool:
    words = re.sub(r"`[^`]*`|\([^)]*\)", "x", line.removeprefix("- "))
    return words.endswith(".") and not re.search(r"[.!?] ", words)
