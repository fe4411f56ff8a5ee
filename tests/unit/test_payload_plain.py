"""Plain payloads, which are encoded only on request: nobody can tell, except by the time."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field
from pydantic_core import core_schema

from stoat_jobs import InMemoryJobQueue, InvalidPayloadError, JobContext, JobHandlers
from stoat_jobs import JobQueueSettings as Settings
from stoat_jobs._payload.codec import Codec
from stoat_jobs.backends import FrozenPayload, PayloadForm


class Colour(str, Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Text(str):
    """Text that lies about itself."""

    __slots__ = ()

    def isascii(self) -> bool:
        return True

    def __len__(self) -> int:
        return 0


class Real(float):
    """A float of a library's own."""

    __slots__ = ()


class JealousText(str):
    """Text that is not to be compared."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError


class Shouted(str):
    """Text that is written in another way than it is read."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        shout = core_schema.plain_serializer_function_ser_schema(str.upper)
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=shout
        )


class Jealous(int):
    """A number that is not to be compared."""

    __slots__ = ()
    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError


def form_of(annotation: Any, default: Any = None) -> PayloadForm:
    def handler(ctx: JobContext, it: Any, count: int = 1, flag: bool = True) -> None: ...

    handler.__annotations__["it"] = annotation
    return JobHandlers().register("handler", handler).form


PLAIN: list[Any] = [bool, float, int, str, None]
FIELDS: list[Any] = [
    *PLAIN,
    *(float | None, int | float, float | int, bool | float, str | float, str | int | None),
    *(int | bool, bool | int | float | str | None),
    *(Annotated[int, Field(gt=3)], Annotated[float, Field(allow_inf_nan=True)]),
    *(Colour, Level, Shouted, list[int], Any, Decimal),
]
FORMS = {index: form_of(annotation) for index, annotation in enumerate(FIELDS)}


def always_through_json(form: PayloadForm) -> PayloadForm:
    """The same form, in which every payload is encoded and decoded when it is submitted."""
    copied = object.__new__(PayloadForm)
    copied.__dict__.update(form.__dict__, _is_plain=False)
    return copied


THROUGH_JSON = {index: always_through_json(form) for index, form in FORMS.items()}

NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from(
        [0.0, -0.0, 1e16, 1e22, 5e-324, 1e300, -1e300, 2.0**53, 1.7976931348623157e308]
    )
    | st.sampled_from([2**63, 2**64, -(2**64), 2**1023, 2**1024 - 1, 2**1024, 10**4_300])
    | st.builds(float, st.integers(-(2**70), 2**70))
)
TEXTS = (
    st.text(st.characters(codec=None, exclude_categories=()))
    | st.text('\x00\x1f"\\/\x7f <a', max_size=300)
    | NUMBERS.map(lambda number: repr(number) if isinstance(number, float) else hex(number))
    | st.sampled_from(["inf", "nan", "-Infinity", "1e999", "true", "1", " 2 ", "0x1", "1_0"])
    | st.sampled_from(["9" * 320, "9" * 4_300, "9" * 4_301])
)
ODD = (
    st.sampled_from(
        [Colour.RED, Level.HIGH, Real(1.5), Real("inf"), Text("\ud800"), Text("a" * 99)]
    )
    | st.builds(Jealous, st.integers())
    | st.decimals()
    | st.lists(st.integers(), max_size=3)
    | st.binary(max_size=5)
)
VALUES = st.none() | st.booleans() | NUMBERS | TEXTS | ODD
PAYLOADS = st.fixed_dictionaries(
    {"it": VALUES},
    optional={"count": VALUES, "flag": st.booleans() | VALUES, "unknown": VALUES},
)


def outcome(form: PayloadForm, payload: Any, limits: Settings) -> Any:
    """What comes of a submission; text tells NaN, -0.0, and the types apart."""
    try:
        frozen = form.freeze(payload, limits)
    except InvalidPayloadError as error:
        return error.errors, type(error.__cause__)
    arguments = {name: (type(part), repr(part)) for name, part in frozen.arguments.items()}
    return list(arguments), arguments, frozen.text, form.thaw(frozen.text) == frozen.arguments


@settings(deadline=None, max_examples=500)
@given(
    st.sampled_from(sorted(FORMS)),
    PAYLOADS,
    st.integers(-3, 3),
    st.sampled_from([None, *range(1, 5)]) | st.integers(1, 3000),
    st.sampled_from([1, 2, 64]),
)
@example(FIELDS.index(int), {"it": 1e300}, 0, None, 64)
@example(FIELDS.index(float), {"it": 2**1023}, 0, None, 64)
@example(FIELDS.index(str), {"it": "\x00" * 40}, -1, None, 64)
@example(FIELDS.index(int), {"it": 10**600, "count": 10**600}, -1, None, 64)
@example(FIELDS.index(str), {"it": "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"}, 0, 10_000, 64)
@example(FIELDS.index(str), {"it": "\N{GRINNING FACE}" * 400}, -1, None, 64)
@example(FIELDS.index(Shouted), {"it": "a"}, 0, 10_000, 64)
def test_a_plain_payload_is_what_comes_back_from_json(
    field: int, payload: Any, beyond: int, limit: int | None, depth: int
) -> None:
    """With and without the way through JSON: the same refusals, arguments, types and text."""
    if limit is None:  # just around the size that it has
        try:
            limit = len(THROUGH_JSON[field].freeze(payload).text) + beyond
        except InvalidPayloadError:
            limit = 1_000_000
    limits = Settings(max_payload_bytes=max(limit, 1), max_payload_depth=depth)
    assert outcome(FORMS[field], payload, limits) == outcome(THROUGH_JSON[field], payload, limits)


@settings(deadline=None)
@given(
    st.sampled_from(range(len(PLAIN))),
    VALUES,
    st.integers(1, 3000),
)
def test_the_json_of_a_plain_payload_can_be_made_later(field: int, value: Any, limit: int) -> None:
    """Whatever was accepted can be encoded, and is as small as the setting says."""
    try:
        frozen = FORMS[field].freeze({"it": value}, Settings(max_payload_bytes=limit))
    except InvalidPayloadError:
        return
    assert len(frozen.text) <= limit
    assert FORMS[field].thaw(frozen.text) == frozen.arguments


ODD_KINDS: dict[str, tuple[Any, Any]] = {
    "half a surrogate pair": (str, "\ud800"),
    "an int that cannot be read": (int, 10**4_300),
    "an infinity": (float, math.inf),
    "not a number": (float, math.nan),
    "text that is an infinity": (float, "inf"),
    "text that is a large float": (float, "1e999"),
    "text of a library's own": (str, Text("x\ud800")),
    "a decimal": (int, Decimal("1e5000")),
    "a float of a library's own": (float, Real("inf")),
}


@pytest.mark.parametrize("kind", ODD_KINDS)
def test_what_would_not_come_back_is_refused_by_name(kind: str) -> None:
    """A value in a plain field that JSON cannot represent is refused, as anywhere."""
    annotation, value = ODD_KINDS[kind]
    with pytest.raises(InvalidPayloadError) as caught:
        form_of(annotation).freeze({"it": value})
    (error,) = caught.value.errors
    assert error["loc"] == ("it",)
    assert error["type"] in ("not_json", "string_unicode")


def test_a_value_of_the_callers_own_type_is_not_compared() -> None:
    """A value may have code of its own, which may raise; it arrives as a plain one."""
    assert form_of(int).freeze({"it": Jealous(3)}).arguments["it"] == 3
    assert form_of(str).freeze({"it": JealousText("a")}).arguments["it"] == "a"


@pytest.mark.parametrize(
    "value",
    ["x" * 2000, "\x00" * 300, "\N{EURO SIGN}" * 900, "\N{GRINNING FACE}" * 900, 10**99, 10**3000],
    ids=["ASCII", "control characters", "3 bytes", "4 bytes", "short int", "long int"],
)
def test_the_limit_of_bytes_is_exact_for_plain_values_too(value: Any) -> None:
    """Plain values of exactly as many bytes of JSON as allowed are accepted; one more is not."""
    form = form_of(type(value))
    size = len(form.freeze({"it": value}).text)
    assert form.freeze({"it": value}, Settings(max_payload_bytes=size)).arguments["it"] == value
    with pytest.raises(InvalidPayloadError, match=f"is {size} bytes of JSON, more than"):
        form.freeze({"it": value}, Settings(max_payload_bytes=size - 1))


def test_long_names_count_too() -> None:
    """The names of the fields are a part of the JSON, and take more bytes than characters."""
    name = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 600
    defined: dict[str, Any] = {}
    exec(f"def handler(ctx, {name}: bool): ...", defined)
    form = JobHandlers().register("handler", defined["handler"]).form
    size = len(form.freeze({name: True}).text)
    assert form.freeze({name: True}, Settings(max_payload_bytes=size)).arguments == {name: True}
    with pytest.raises(InvalidPayloadError, match=f"is {size} bytes of JSON"):
        form.freeze({name: True}, Settings(max_payload_bytes=size - 1))


def calls_of_a_name(form: PayloadForm) -> int:
    """How often a submission compares a name of the caller's own type."""

    class Name(str):
        __slots__ = ()
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return str.__eq__(self, other)

    form.freeze({Name("it"): 1})
    return Name.compared


def test_a_name_of_the_callers_own_type_is_not_compared_more_often() -> None:
    """A name may have code of its own, which may raise; only validation runs it."""
    form = form_of(int)
    assert calls_of_a_name(form) == calls_of_a_name(always_through_json(form))


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was encoded."""
    values: list[Any] = []
    encode = Codec.encode

    def counted(self: Codec, value: Any) -> bytes:
        values.append(value)
        return encode(self, value)

    monkeypatch.setattr(Codec, "encode", counted)
    return values


@pytest.mark.parametrize(
    ("annotation", "value"), [(int, 7), (str, "a"), (bool, True), (float, 1.5), (int | None, None)]
)
def test_a_plain_payload_is_encoded_once_and_on_request(
    encoded: list[Any], annotation: Any, value: Any
) -> None:
    """Encoding is most of what such a submission would cost, and most jobs need no JSON."""
    form = form_of(annotation)
    encoded.clear()
    frozen = form.freeze({"it": value})
    assert encoded == []
    assert frozen.text is frozen.text
    assert encoded == [{"it": value, "count": 1, "flag": True}]


def test_a_frozen_payload_may_be_given_its_text() -> None:
    """A backend that has the JSON already gives it, and gets the same back."""
    frozen = FrozenPayload(arguments={"a": 1}, text=b'{"a": 1}')
    assert (frozen.arguments, frozen.text) == ({"a": 1}, b'{"a": 1}')


def test_the_caller_may_change_its_dict_at_once() -> None:
    """The arguments are in a dict of their own, also those that are encoded later."""
    payload: dict[str, Any] = {"it": 1}
    frozen = form_of(int).freeze(payload)
    payload.update(it=2, count=3)
    assert frozen.arguments == {"it": 1, "count": 1, "flag": True}
    assert frozen.text == b'{"it":1,"count":1,"flag":true}'


def greedy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Takes the arguments away, as a decorator might."""

    @functools.wraps(function)
    async def taking(ctx: JobContext, **arguments: Any) -> Any:
        try:
            return await function(ctx, **arguments)
        finally:
            arguments.clear()

    return taking


async def test_a_retry_gets_what_the_first_attempt_took_away() -> None:
    """A first attempt cannot change the arguments from which the JSON for the second is made."""
    handlers, seen = JobHandlers(), []

    @handlers.job(retries=1)
    @greedy
    async def handler(ctx: JobContext, name: str, count: int = 2) -> str:
        seen.append((name, count))
        if ctx.attempt == 0:
            raise OSError
        return name

    async with InMemoryJobQueue(handlers) as queue:
        record = await queue.get_result(await queue.submit("handler", {"name": "a"}))
    assert (record.result, seen) == ("a", [("a", 2), ("a", 2)])
