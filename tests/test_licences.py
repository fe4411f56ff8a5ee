"""The check of licences lets nothing through that it does not know."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

import pytest

from .licences import is_allowed, problems


class Written(Distribution):
    """A distribution of which only the metadata are there."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read_text(self, filename: str) -> str | None:
        return self.text if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return Path(str(path))


def dist(name: str, *lines: str) -> Written:
    return Written("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1", *lines, ""]))


OURS = dist("stoat-jobs", "License-Expression: MIT")


@pytest.mark.parametrize(
    "line",
    [
        "License-Expression: BSD-3-Clause",
        "License-Expression: Apache-2.0 OR GPL-3.0-only",
        "License-Expression: (MIT OR GPL-2.0-only) AND ISC",
        "Classifier: License :: OSI Approved :: MIT License",
        "Classifier: License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
        "License: BSD-2-Clause",
    ],
)
def test_a_permissive_licence_passes(line: str) -> None:
    """However a distribution says that it is permissive, it is understood."""
    assert problems([OURS, dist("theirs", line)]) == []


@pytest.mark.parametrize(
    "line",
    [
        "License-Expression: GPL-3.0-or-later",
        "License-Expression: MIT AND AGPL-3.0-only",
        "License-Expression: LicenseRef-Proprietary",
        "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
        "Classifier: License :: Other/Proprietary License",
        "License: see the file",
        "Summary: no word of a licence",
    ],
)
def test_any_other_licence_fails(line: str) -> None:
    """A licence that is forbidden, unknown or missing fails the check, by the name of who has it."""
    assert [text.partition(":")[0] for text in problems([OURS, dist("theirs", line)])] == ["theirs"]


@pytest.mark.parametrize("ours", [[], [dist("stoat-jobs", "License-Expression: ISC")]])
def test_our_own_licence_is_mit(ours: list[Distribution]) -> None:
    """The check fails where our own distribution is missing or says something else than MIT."""
    assert problems([*ours, dist("theirs", "License: MIT")])[0].startswith("stoat-jobs itself: ")


def test_an_empty_licence_is_none() -> None:
    """Nothing said is nothing allowed."""
    assert not is_allowed("")
