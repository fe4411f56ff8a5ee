"""The check of the lowest versions lets no other pass for one."""

from __future__ import annotations

import pytest

from .lowest import not_lowest


@pytest.mark.parametrize(
    ("required", "installed", "passes"),
    [
        ("anchor>=1.2", "1.2.0", True),
        ("anchor>=1.2; extra == 'harbour'", "1.2", True),
        ("anchor>=1.2", "1.3", False),
        ("anchor", "1.2", False),
        ("anchor<2", "1.2", False),
    ],
)
def test_only_the_lowest_is_the_lowest(required: str, installed: str, passes: bool) -> None:
    """A newer version than the lowest is named, and so is what has no lowest."""
    assert not_lowest([required], lambda name: installed) == (
        [] if passes else [f"anchor {installed}, not {required.removeprefix('anchor')}"]
    )
