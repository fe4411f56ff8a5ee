"""The limits among the settings, and numbers and names from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from stoat_jobs import AsyncioJobQueue, JobQueueSettings, create_queue
from stoat_jobs.backends import check_timeout

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


SECRET = "hunter2"
SECRETIVE: dict[str, Any] = {
    "url": f"postgres://ada:{SECRET}@host/db",
    "options": {"password": SECRET, "nested": {"token": [SECRET]}},
}


class AppSettings(BaseModel):
    """An app's own, in which ours nest."""

    jobs: JobQueueSettings
    by_name: dict[str, JobQueueSettings] = {}


def told(value: Any) -> list[str]:
    """Every way in which a model becomes text."""
    rich = " ".join(map(repr, value.__rich_repr__()))
    pretty = " ".join(map(str, value.__pretty__(repr)))
    return [repr(value), str(value), f"{value}", f"{value!r:>5}", rich, pretty, repr([value])]


def test_the_values_of_options_are_not_shown__fault_71() -> None:
    """They may be secrets, so only their names are in any text, also in an app's own settings."""
    settings = JobQueueSettings.model_validate(SECRETIVE)
    nesting = AppSettings(jobs=settings, by_name={"io": settings})
    for text in (*told(settings), *told(nesting)):
        assert SECRET not in text
        assert "'password': (hidden)" in text
    assert settings.model_dump()["options"] == SECRETIVE["options"]
    assert nesting.model_dump()["jobs"]["url"] == SECRETIVE["url"]
    assert JobQueueSettings.model_validate(settings.model_dump()) == settings


@pytest.mark.parametrize("options", [None, SECRET, [SECRET]], ids=["none", "text", "list"])
def test_options_that_nobody_has_checked_are_not_shown__fault_71(options: Any) -> None:
    """Settings made without a check can be printed as well."""
    settings = JobQueueSettings.model_construct(options=options)
    assert all(SECRET not in text for text in told(settings))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


WRONG: dict[str, Callable[[], Any]] = {
    "settings": lambda: JobQueueSettings.model_validate({**SECRETIVE, "timeout": -1}),
    "constructor": lambda: JobQueueSettings(**SECRETIVE, timeout=-1),
    "json": lambda: JobQueueSettings.model_validate_json(json.dumps({**SECRETIVE, "timeout": -1})),
    "unknown": lambda: JobQueueSettings.model_validate({"pass": SECRET}),
    "wrong type": lambda: JobQueueSettings.model_validate({"options": SECRET, "url": [SECRET]}),
    "text": lambda: JobQueueSettings.model_validate(SECRET),
    "nested": lambda: AppSettings.model_validate({"jobs": {**SECRETIVE, "timeout": -1}}),
    "options": lambda: AsyncioJobQueue(settings=JobQueueSettings.model_validate(SECRETIVE)),
    "create": lambda: create_queue(settings=JobQueueSettings.model_validate(SECRETIVE)),
    "mapping": lambda: JobQueueSettings.model_validate(Unreadable(KeyError(SECRET))),
}


@pytest.mark.parametrize("fail", WRONG.values(), ids=WRONG)
def test_no_chain_of_causes_shows_a_secret__fault_71(fail: Callable[[], Any]) -> None:
    """An error that hides a value does not lead to one that shows it."""
    with pytest.raises(ValidationError) as caught:
        fail()
    for error in chain(caught.value):
        shown = f"{error} {error!r} {error.args!r}"
        shown += repr(error.errors()) if isinstance(error, ValidationError) else ""
        assert SECRET not in shown


class Basic(BaseModel):
    kind: Literal["basic"]


class Token(BaseModel):
    kind: Literal["token"]


class AuthOptions(BaseModel):
    auth: Basic | Token = Field(discriminator="kind")


def test_an_option_that_chooses_is_not_shown__fault_71() -> None:
    """The text of an error does not repeat what a choice was made by."""

    class Engine(AsyncioJobQueue):
        options_type = AuthOptions

    settings = JobQueueSettings(options={"auth": {"kind": SECRET}})
    with pytest.raises(ValidationError, match=r"tag '\(hidden\)' found") as caught:
        Engine(settings=settings)
    assert SECRET not in f"{caught.value} {caught.value.errors()}"


class Unreadable(Mapping[str, Any]):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, key: str) -> Any:
        raise self.error

    def __iter__(self) -> Iterator[str]:
        return iter(["timeout"])

    def __len__(self) -> int:
        return 1


def test_a_mapping_that_cannot_be_read_is_no_settings() -> None:
    """A mapping whose own methods fail is refused as any other wrong settings are."""
    with pytest.raises(ValidationError, match="reading it raised ZeroDivisionError"):
        JobQueueSettings.model_validate(Unreadable(ZeroDivisionError()))


class Number(float):
    def __float__(self) -> float:
        raise ZeroDivisionError


@pytest.mark.parametrize("timeout", [10**400, -(10**5000), Number(1)], ids=["+", "-", "own"])
def test_a_timeout_that_is_no_float_is_refused(timeout: float) -> None:
    """An int beyond all floats, or a number with a mind of its own, is no number of seconds."""
    with pytest.raises(ValueError, match=r"must fit a float; math\.inf means no limit"):
        check_timeout(timeout)
