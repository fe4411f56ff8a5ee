"""Wrong settings and wrong names: the error says what is wrong and what to do."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from stoat_jobs import (
    AsyncioJobQueue,
    BackendNotFoundError,
    JobQueueSettings,
    create_queue,
    lifespan,
)

SECRET = "postgres://ada:hunter2@db/jobs"
COUNTS = ("concurrency", "max_pending", "max_results")
LIMITS = ("timeout", "result_ttl")
GRACES = ("drain_timeout", "cancel_grace", "loop_block_limit")
FINITE = (*COUNTS, *GRACES)


def refusal(**settings: Any) -> str:
    """The text of the one error that these settings get."""
    with pytest.raises(ValidationError) as caught:
        JobQueueSettings.model_validate(settings)
    assert caught.value.error_count() == 1
    return str(caught.value)


@pytest.mark.parametrize("field", [*COUNTS, *LIMITS])
@pytest.mark.parametrize("value", [0, -1])
def test_positive_settings(field: str, value: int) -> None:
    """What must be positive refuses 0 and less, by name."""
    text = refusal(**{field: value})
    assert f"\n{field}\n" in text
    assert "greater than 0" in text


@pytest.mark.parametrize("field", GRACES)
def test_graces_may_be_zero_but_not_less(field: str) -> None:
    """Drain, grace and watch may be 0, which turns them off; less is refused, by name."""
    assert getattr(JobQueueSettings.model_validate({field: 0}), field) == 0
    text = refusal(**{field: -0.1})
    assert f"\n{field}\n" in text
    assert "greater than or equal to 0" in text


@pytest.mark.parametrize("field", [*COUNTS, *LIMITS, *GRACES])
def test_nan_is_never_a_setting(field: str) -> None:
    """NaN is refused everywhere, by name."""
    assert f"\n{field}\n" in refusal(**{field: math.nan})


@pytest.mark.parametrize("field", FINITE)
def test_infinite_where_it_makes_no_sense(field: str) -> None:
    """What has to be finite says so, by name."""
    text = refusal(**{field: math.inf})
    assert f"\n{field}\n" in text
    assert "finite number" in text


@pytest.mark.parametrize("field", LIMITS)
def test_infinite_where_it_means_no_limit(field: str) -> None:
    """A time limit and a time to live may be infinite, also as text from the environment."""
    assert getattr(JobQueueSettings.model_validate({field: math.inf}), field) == math.inf
    assert getattr(JobQueueSettings.model_validate({field: "inf"}), field) == math.inf
    assert "greater than 0" in refusal(**{field: -math.inf})


@pytest.mark.parametrize("field", COUNTS)
def test_counts_are_whole(field: str) -> None:
    """A count with a fraction is refused, by name, and not rounded."""
    text = refusal(**{field: 1.5})
    assert f"\n{field}\n" in text
    assert "valid integer" in text


@pytest.mark.parametrize("field", [*COUNTS, *LIMITS, *GRACES])
def test_text_that_is_no_number(field: str) -> None:
    """Text from the environment that is no number is refused, by name."""
    text = refusal(**{field: "five minutes"})
    assert f"\n{field}\n" in text
    assert "unable to parse string" in text


def test_unknown_setting() -> None:
    """A misspelt setting is named, not ignored."""
    text = refusal(concurency=4)
    assert "\nconcurency\n" in text
    assert "Extra inputs are not permitted" in text


def test_all_errors_at_once() -> None:
    """Several wrong settings are told in one error."""
    with pytest.raises(ValidationError) as caught:
        JobQueueSettings(concurrency=0, timeout=-1, cancel_grace=math.inf)
    fields = [error["loc"] for error in caught.value.errors()]
    assert fields == [("concurrency",), ("timeout",), ("cancel_grace",)]


def test_settings_do_not_change() -> None:
    """A setting cannot be changed under a running queue."""
    settings = JobQueueSettings()
    with pytest.raises(ValidationError, match="Instance is frozen"):
        settings.timeout = 1  # type: ignore[misc]


def test_url_is_not_shown() -> None:
    """The url, which may hold a password, is in no repr and no text of a queue."""
    settings = JobQueueSettings(url=SECRET)
    assert settings.url == SECRET
    for shown in (repr(settings), str(settings), repr(AsyncioJobQueue(settings=settings))):
        assert "hunter2" not in shown


@pytest.mark.parametrize("wrong", [{"url": [SECRET]}, {"urls": SECRET}, {"url": SECRET, "x": 1}])
def test_url_is_not_in_errors(wrong: dict[str, Any]) -> None:
    """An error about the settings shows no value of theirs, which may be the password."""
    assert "hunter2" not in refusal(**wrong)


class AppSettings(BaseModel):
    """Settings of an app, with ours nested in them."""

    jobs: JobQueueSettings = JobQueueSettings()


@pytest.mark.parametrize("wrong", [SECRET, {"url": [SECRET]}, {"urls": SECRET}])
def test_url_is_not_in_errors_of_an_apps_settings(wrong: Any) -> None:
    """Nested in an app's settings, ours still do not show the password in an error."""
    with pytest.raises(ValidationError) as caught:
        AppSettings.model_validate({"jobs": wrong})
    assert "hunter2" not in str(caught.value)


def test_nested_settings_are_named_by_their_path() -> None:
    """An app's settings name the field that is wrong in ours."""
    with pytest.raises(ValidationError, match=r"\njobs\.timeout\n.*greater than 0"):
        AppSettings.model_validate({"jobs": {"timeout": 0}})


def test_empty_backend_name() -> None:
    """An empty name, as from an environment variable that is set to nothing, is refused."""
    text = refusal(backend="")
    assert "\nbackend\n" in text
    assert "at least 1 character" in text


@pytest.mark.parametrize("name", ["asyncoi", "Memory", "os:system", " asyncio"])
def test_unknown_backend(name: str) -> None:
    """A name that no backend has is quoted, with the names that would do."""
    with pytest.raises(BackendNotFoundError) as caught:
        create_queue(settings=JobQueueSettings(backend=name))
    assert str(caught.value) == f"no backend {name!r}; installed: asyncio, memory, postgres, sqlite"
    assert isinstance(caught.value, LookupError)


async def test_unknown_backend_in_lifespan() -> None:
    """A wrong name fails the start of the app with the same words."""
    with pytest.raises(BackendNotFoundError, match="no backend 'redis'; installed: asyncio, memo"):
        async with lifespan(settings=JobQueueSettings(backend="redis")):
            pytest.fail("the app came up")


@pytest.mark.parametrize("backend", ["asyncio", "memory", "sqlite"])
def test_unknown_option(backend: str) -> None:
    """An option that a backend does not know is refused, with the names of both."""
    settings = JobQueueSettings(backend=backend, options={"autorn": SECRET})
    with pytest.raises(ValueError, match="Extra inputs are not permitted") as caught:
        create_queue(settings=settings)
    assert f"backend '{backend}'\noptions.autorn\n" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_option_of_another_backend() -> None:
    """An option that only another backend has is refused, not ignored."""
    with pytest.raises(ValueError, match=r"\noptions\.autorun\n.*Extra inputs are not permitted"):
        create_queue(settings=JobQueueSettings(backend="asyncio", options={"autorun": False}))


def test_option_of_the_wrong_type() -> None:
    """An option's value is checked by its backend."""
    with pytest.raises(ValueError, match=r"\noptions\.autorun\n.*valid boolean"):
        create_queue(settings=JobQueueSettings(backend="memory", options={"autorun": "perhaps"}))
