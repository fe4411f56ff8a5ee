"""How a refusal of a payload reads: places, causes, and no secrets."""

from __future__ import annotations

import enum
import json
import math
import traceback
from datetime import datetime
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError, field_validator

from stoat_jobs import InvalidPayloadError, JobContext, JobHandlers
from stoat_jobs.backends import PayloadForm

SECRET = "hunter2"


class Word(str, enum.Enum):
    A = "a"


class Model(BaseModel):
    a: int = 1


class Tree(BaseModel):
    children: list[Tree] = []


class LooksUp(BaseModel):
    word: str

    @field_validator("word")
    @classmethod
    def look_up(cls, word: str) -> str:
        return {"known": "word"}[word]


def form_of(annotation: Any) -> PayloadForm:
    """The form of a handler with two parameters, of which `it` has that type."""

    def handler(ctx: JobContext, it: Any, fine: int = 0) -> None: ...

    handler.__annotations__["it"] = annotation
    return JobHandlers().register("handler", handler).form


def refusal(form: PayloadForm, payload: Any) -> InvalidPayloadError:
    with pytest.raises(InvalidPayloadError) as caught:
        form.freeze(payload)
    return caught.value


INVALID: dict[str, tuple[dict[str, Any], tuple[str | int, ...]]] = {
    "missing": ({}, ("it",)),
    "wrong type": ({"it": "x"}, ("it",)),
    "none": ({"it": None}, ("it",)),
    "unknown name": ({"it": 1, "extra": SECRET}, ("extra",)),
    "wrong second": ({"it": 1, "fine": SECRET}, ("fine",)),
    "huge": ({"it": math.inf}, ("it",)),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_does_not_fit_is_refused_with_pydantics_details(case: str) -> None:
    """A wrong payload is refused with pydantic's details, its ValidationError the cause."""
    payload, place = INVALID[case]
    error = refusal(form_of(int), payload)
    assert [each["loc"] for each in error.errors] == [place]
    assert {"type", "loc", "msg"} <= error.errors[0].keys()
    assert isinstance(error.__cause__, ValidationError)
    assert f"{place[0]}: {error.errors[0]['msg']}" in str(error)


@pytest.mark.parametrize("annotation", [int, Tree, list[Tree], Any], ids=str)
def test_an_unknown_name_is_refused_whatever_the_others_are(annotation: Any) -> None:
    """A name that the handler does not have is refused, beside recursive models too."""
    given: Any = 1 if annotation is int else [] if annotation != Tree else {}
    error = refusal(form_of(annotation), {"it": given, "itt": 1})
    assert [each["loc"] for each in error.errors] == [("itt",)]


def test_a_deep_place_is_spelled_out() -> None:
    """The place of a fault within a list of models is the whole way to it."""
    error = refusal(form_of(list[Model]), {"it": [{"a": 1}, {"a": "x"}]})
    assert error.errors[0]["loc"] == ("it", 1, "a")
    assert "it.1.a: " in str(error)


@pytest.mark.parametrize(
    "payload", [None, [("it", 1)], "it", 3, {"it"}, Model()], ids=lambda p: type(p).__name__
)
def test_what_is_no_mapping_is_refused(payload: Any) -> None:
    """A payload that maps no names to values is refused, saying what it is instead."""
    error = refusal(form_of(int), payload)
    assert type(payload).__name__ in str(error)
    assert error.errors[0]["type"] == "mapping_type"


def test_an_empty_payload_of_another_kind_is_refused_too() -> None:
    """A handler without parameters does not take an empty list for an empty payload."""

    def handler(ctx: JobContext) -> None: ...

    assert refusal(JobHandlers().register("handler", handler).form, []).errors


@pytest.mark.parametrize("key", [1, None, True, ("a",)], ids=repr)
@pytest.mark.parametrize("open_", [False, True], ids=["closed", "open"])
def test_names_that_are_no_text_are_refused(key: Any, open_: bool) -> None:
    """A payload's names are text, in a closed form and in an open one."""

    def closed(ctx: JobContext, a: int = 1) -> None: ...

    def opened(ctx: JobContext, /, **rest: Any) -> None: ...

    function: Any = opened if open_ else closed
    form = JobHandlers().register("handler", function).form
    assert refusal(form, {key: 1}).errors


@pytest.mark.parametrize("key", ["\ud800", "two\nlines"], ids=ascii)
@pytest.mark.parametrize("open_", [False, True], ids=["closed", "open"])
def test_a_refusal_of_a_hostile_name_can_be_shown(key: str, open_: bool) -> None:
    """Whatever a name holds, the refusal is one line that a log and an API can show."""

    def closed(ctx: JobContext, a: int = 1) -> None: ...

    def opened(ctx: JobContext, /, **rest: Any) -> None: ...

    function: Any = opened if open_ else closed
    form = JobHandlers().register("handler", function).form
    error = refusal(form, {key: (1,)})
    assert len(str(error).encode().splitlines()) == 1
    assert json.dumps(error.errors, ensure_ascii=False).encode()


SECRETS: dict[str, tuple[Any, Any]] = {
    "int": (int, SECRET),
    "float": (float, SECRET),
    "datetime": (datetime, SECRET),
    "enum": (Word, SECRET),
    "secret": (SecretStr, SECRET),
    "dict": (dict[str, int], {"password": SECRET}),
    "model": (Model, {"a": SECRET}),
    "list": (list[int], [SECRET]),
    "any": (Any, (SECRET,)),
    "surrogate": (Any, SECRET + "\ud800"),
    "validator": (LooksUp, {"word": SECRET}),
}


@pytest.mark.parametrize("case", SECRETS)
def test_a_refusal_keeps_secrets(case: str) -> None:
    """No value of the payload is in the refusal, its text, or the traceback that a log shows."""
    annotation, value = SECRETS[case]
    error = refusal(form_of(annotation), {"it": value})
    assert SECRET not in str(error)
    assert SECRET not in repr(error.errors)
    assert not any(SECRET in line for line in traceback.format_exception_only(type(error), error))


@pytest.mark.parametrize("case", ["int", "enum", "model", "list", "dict"])
def test_the_cause_of_a_refusal_keeps_secrets(case: str) -> None:
    """pydantic's own error, which a logged traceback shows, does not show the input either."""
    annotation, value = SECRETS[case]
    assert SECRET not in str(refusal(form_of(annotation), {"it": value}).__cause__)


def test_a_validator_that_breaks_down_is_a_refusal() -> None:
    """A validator's KeyError, which pydantic lets through, refuses its field like any other."""
    error = refusal(form_of(LooksUp), {"it": {"word": "unknown"}})
    assert error.errors[0]["loc"] == ("it",)
    assert isinstance(error.__cause__, KeyError)
    assert "KeyError" in str(error)


def test_only_the_field_whose_validator_breaks_down_is_named() -> None:
    """Where a validator breaks down, its own field is named, whatever is wrong with others."""

    def handler(ctx: JobContext, number: int, it: LooksUp, fine: int = 0) -> None: ...

    form = JobHandlers().register("handler", handler).form
    error = refusal(form, {"number": "none", "it": {"word": "unknown"}})
    assert [each["loc"] for each in error.errors] == [("it",)]


def test_thawing_what_no_longer_fits_is_a_refusal() -> None:
    """A stored payload whose handler has changed since is refused by name."""
    with pytest.raises(InvalidPayloadError) as caught:
        form_of(int).thaw(b'{"it": "text", "fine": 1}')
    assert caught.value.errors[0]["loc"] == ("it",)
    assert isinstance(caught.value.__cause__, ValidationError)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b'{"it":1}{', b"\xff"], ids=repr)
def test_thawing_what_is_no_payload_is_a_refusal(text: bytes) -> None:
    """Text that freeze never made is refused, without a raw error."""
    with pytest.raises(InvalidPayloadError, match="handler"):
        form_of(int).thaw(text)


def test_thawing_with_a_validator_that_breaks_down_is_a_refusal() -> None:
    """A validator's own error refuses a stored payload as it refuses a new one."""
    with pytest.raises(InvalidPayloadError):
        form_of(LooksUp).thaw(b'{"it": {"word": "unknown"}, "fine": 1}')


@pytest.mark.parametrize("owner", ["function", "method"])
def test_a_key_that_would_hit_the_context_is_refused_at_submission(owner: str) -> None:
    """An open payload cannot fill the context's own name, which is said at submission."""

    def handler(ctx: JobContext, **payload: Any) -> None: ...

    class Scanner:
        def scan(self, ctx: JobContext, **payload: Any) -> None: ...

    target: Any = handler if owner == "function" else Scanner().scan
    form = JobHandlers().register("handler", target).form
    assert refusal(form, {"ctx": 1}).errors[0]["loc"] == ("ctx",)
    assert owner == "function" or refusal(form, {"self": 1}).errors[0]["loc"] == ("self",)
