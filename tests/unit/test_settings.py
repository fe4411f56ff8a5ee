"""The limits among the settings, and numbers and names from anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from stoat_jobs import JobQueueSettings
from stoat_jobs._settings import check_timeout

LIMITS = ("max_payload_bytes", "max_payload_depth")


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf, "many", None])
def test_limits_of_payloads_are_positive_and_whole(field: str, value: Any) -> None:
    """A limit that is none is refused by its name."""
    with pytest.raises(ValidationError) as caught:
        JobQueueSettings.model_validate({field: value})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


@pytest.mark.parametrize("field", LIMITS)
def test_limits_of_payloads_may_come_as_text(field: str) -> None:
    """The environment brings text, and 1 is the least."""
    assert getattr(JobQueueSettings.model_validate({field: "1"}), field) == 1


def test_a_depth_that_no_parser_follows_is_refused() -> None:
    """A limit beyond what JSON parsers follow would promise what nobody can keep."""
    assert JobQueueSettings(max_payload_depth=128).max_payload_depth == 128
    with pytest.raises(ValidationError, match=r"\nmax_payload_depth\n.*less than or equal to 128"):
        JobQueueSettings(max_payload_depth=129)


def test_the_limits_do_not_change() -> None:
    """A limit cannot be lifted under a running queue."""
    with pytest.raises(ValidationError, match="Instance is frozen"):
        JobQueueSettings().max_payload_bytes = 10**9  # type: ignore[misc]


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31m", "\u202e", "\ud800", "x" * 10_000])
def test_a_setting_with_a_hostile_name_is_refused_in_short(name: str) -> None:
    """The name of a setting that there is not cannot forge a line of the log."""
    with pytest.raises(ValidationError) as caught:
        JobQueueSettings.model_validate({name: 1})
    assert all(str(place).isprintable() for place in caught.value.errors()[0]["loc"])
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("field", ["backend", "concurrency"])
def test_an_error_does_not_spell_out_what_has_no_end(field: str) -> None:
    """A value whose text would fill all memory is named by its type."""
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    with pytest.raises(ValidationError, match=r"input_value='\(list\)'"):
        JobQueueSettings.model_validate({field: value})


class Unreadable(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise ZeroDivisionError

    def __iter__(self) -> Iterator[str]:
        return iter(["timeout"])

    def __len__(self) -> int:
        return 1


def test_a_mapping_that_cannot_be_read_is_no_settings() -> None:
    """A mapping whose own methods fail is refused as any other wrong settings are."""
    with pytest.raises(ValidationError, match="reading it raised ZeroDivisionError"):
        JobQueueSettings.model_validate(Unreadable())


class Number(float):
    def __float__(self) -> float:
        raise ZeroDivisionError


@pytest.mark.parametrize("timeout", [10**400, -(10**5000), Number(1)], ids=["+", "-", "own"])
def test_a_timeout_that_is_no_float_is_refused(timeout: float) -> None:
    """An int beyond all floats, or a number with a mind of its own, is no number of seconds."""
    with pytest.raises(ValueError, match=r"must fit a float; math\.inf means no limit"):
        check_timeout(timeout)
