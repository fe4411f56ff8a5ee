"""How large and how deep a payload may be, and that saying no is cheap."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, RootModel, TypeAdapter, field_validator
from typing_extensions import TypedDict

from stoat_jobs import InvalidPayloadError, JobContext, JobHandlers, JobQueueSettings
from stoat_jobs.backends import PayloadForm

SECRET = "hunter2"


class Node(BaseModel):
    child: Node | None = None


@dataclasses.dataclass
class Plain:
    child: Plain | None = None


class Typed(TypedDict, total=False):
    child: Typed | None


class Nest(RootModel[list["Nest"]]):
    pass


class Watched(BaseModel):
    seen: bool = False

    @field_validator("seen", mode="before")
    @classmethod
    def look(cls, value: Any) -> Any:
        raise AssertionError("validated")


def form_of(annotation: Any) -> PayloadForm:
    def handler(ctx: JobContext, it: Any, fine: int = 0) -> None: ...

    handler.__annotations__["it"] = annotation
    return JobHandlers().register("handler", handler).form


def open_form() -> PayloadForm:
    def handler(ctx: JobContext, /, fine: int = 0, **rest: Any) -> None: ...

    return JobHandlers().register("handler", handler).form


def refusal(form: PayloadForm, payload: Any, **limits: int) -> InvalidPayloadError:
    with pytest.raises(InvalidPayloadError) as caught:
        form.freeze(payload, JobQueueSettings.model_validate(limits))
    return caught.value


def nested(depth: int, wrap: Callable[[Any], Any], value: Any = None) -> Any:
    for _ in range(depth):
        value = wrap(value)
    return value


def in_dict(value: Any) -> Any:
    return {"child": value}


def in_node(value: Any) -> Any:
    return Node.model_construct(child=value)


FORMS: dict[str, Callable[[], PayloadForm]] = {
    "Any": lambda: form_of(Any),
    "model": lambda: form_of(Node),
    "dataclass": lambda: form_of(Plain),
    "TypedDict": lambda: form_of(Typed),
    "open": open_form,
}
# No deque: Python itself crashes when it frees a deque of a million levels.
WRAPS: dict[str, Callable[[Any], Any]] = {
    "dict": in_dict,
    "list": lambda value: [value],
    "tuple": lambda value: (value,),
    "model": in_node,
    "dataclass": Plain,
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("limit", [2, 64, 128])
def test_the_limit_of_depth_is_exact(name: str, limit: int) -> None:
    """As many levels as the setting says are taken, the payload itself the first; no more."""
    form, settings = FORMS[name](), JobQueueSettings(max_payload_depth=limit)
    fits = nested(limit - 1, in_dict)
    assert TypeAdapter(Any).dump_python(form.freeze({"it": fits}, settings).arguments["it"]) == fits
    error = refusal(form, {"it": in_dict(fits)}, max_payload_depth=limit)
    assert [(each["type"], each["loc"]) for each in error.errors] == [("too_deep", ("it",))]
    assert f"at least {limit + 1} levels deep, more than max_payload_depth ({limit});" in str(error)


def test_depth_in_models_counts_too() -> None:
    """Models are no way around the limit, in a declared field and in an open payload."""
    error = refusal(form_of(Node | None), {"it": nested(8, in_node)}, max_payload_depth=8)
    assert [(each["type"], each["loc"]) for each in error.errors] == [("too_deep", ("it",))]
    fits = nested(7, in_node)
    settings = JobQueueSettings(max_payload_depth=8)
    assert form_of(Node | None).freeze({"it": fits}, settings).arguments["it"] == fits


def test_depth_without_a_word_counts_too() -> None:
    """Levels that take two bytes each, one for each bracket, are seen in models as well."""
    fits = nested(19, lambda value: Nest.model_construct([value] if value else []))
    settings = JobQueueSettings(max_payload_depth=20)
    assert form_of(Nest).freeze({"it": fits}, settings).arguments["it"] == fits
    error = refusal(form_of(Nest), {"it": Nest.model_construct([fits])}, max_payload_depth=20)
    assert error.errors[0]["type"] == "too_deep"


def test_an_open_payload_may_be_as_deep_as_any_other() -> None:
    """How an open payload is kept takes nothing from the levels it may have."""

    def handler(ctx: JobContext, /, **rest: Node | None) -> None: ...

    form = JobHandlers().register("handler", handler).form
    fits = nested(7, in_node)
    settings = JobQueueSettings(max_payload_depth=8)
    assert form.freeze({"it": fits}, settings).arguments == {"it": fits}
    assert refusal(form, {"it": in_node(fits)}, max_payload_depth=8).errors[0]["loc"] == ("it",)


@pytest.mark.parametrize(
    "text", ["[" * 900, '"{[' * 300, '\\"[' * 300, "\\" * 900 + "[" * 99, "[" * 99 + "\\"]
)
def test_brackets_in_text_are_no_depth(text: str) -> None:
    """Text may hold brackets, quotes and backslashes in any order."""
    settings = JobQueueSettings(max_payload_depth=2)
    payload = {"it": [text, text]}
    assert form_of(Any).freeze(payload, settings).arguments["it"] == [text, text]


@pytest.mark.slow
@pytest.mark.parametrize("wrap", WRAPS)
def test_a_million_levels_are_a_refusal(wrap: str) -> None:
    """However deep a value is, in whatever it is nested, it is refused and crashes nothing."""
    levels = 1_000_000 if wrap in ("dict", "list") else 30_000  # the others take long to build
    value = nested(levels, WRAPS[wrap])
    for form in FORMS.values():
        error = refusal(form(), {"it": value})
        assert {each["loc"][:1] for each in error.errors} == {("it",)}
        assert len(str(error)) < 4096


def test_a_deep_value_travels_from_a_deep_stack() -> None:
    """What is within the limit is taken wherever submit is called."""
    form, value = form_of(Any), nested(100, in_dict)

    def call(frames: int) -> Any:
        return call(frames - 1) if frames else form.freeze({"it": value}, settings)

    settings = JobQueueSettings(max_payload_depth=128)
    depth = 0
    frame: Any = sys._getframe()
    while frame:
        depth, frame = depth + 1, frame.f_back
    assert call(sys.getrecursionlimit() - depth - 50).arguments["it"] == value


def test_the_limit_of_bytes_is_exact() -> None:
    """JSON of as many bytes as the setting says is taken, and of one more is not."""
    form = form_of(Any)
    size = len(form.freeze({"it": "x" * 50}).text)
    settings = JobQueueSettings(max_payload_bytes=size)
    assert form.freeze({"it": "x" * 50}, settings).arguments["it"] == "x" * 50
    error = refusal(form, {"it": "x" * 51}, max_payload_bytes=size)
    assert [each["type"] for each in error.errors] == ["too_large"]
    assert f"is {size + 1} bytes of JSON, more than max_payload_bytes ({size});" in str(error)


def test_bytes_are_counted_and_not_characters() -> None:
    """What takes several bytes for a character counts as what it takes."""
    text = "\N{EURO SIGN}" * 100
    assert refusal(form_of(Any), {"it": text}, max_payload_bytes=250).errors[0]["loc"] == ()
    assert form_of(Any).freeze({"it": text}, JobQueueSettings(max_payload_bytes=350)).arguments


LARGE: dict[str, Any] = {
    "text": SECRET * 1000,
    "bytes": b"hunter2" * 1000,
    "list": [SECRET] * 1000,
    "text in lists": [[(SECRET * 1000,)]],
    "many lists": [[] for _ in range(3000)],
    "dict": dict.fromkeys(map(str, range(3000))),
    "set": set(range(3000)),
    "shared": nested(40, lambda value: [value, value]),
}


@pytest.mark.parametrize("case", LARGE)
def test_what_is_plainly_too_large_is_not_even_validated(case: str) -> None:
    """A huge value costs no validation, is named, and is not shown."""
    error = refusal(form_of(Watched), {"it": {"seen": LARGE[case]}}, max_payload_bytes=5000)
    assert [(each["type"], each["loc"]) for each in error.errors] == [("too_large", ("it",))]
    assert "bytes of JSON, more than max_payload_bytes (5000)" in str(error)
    assert "hunter2" not in str(error)


def test_what_is_plainly_too_deep_is_not_even_validated() -> None:
    """A deep value costs no validation either; a list that holds itself is such a value."""
    circle: list[Any] = []
    circle.append(circle)
    for deep in (nested(63, in_dict), circle, nested(63, lambda value: deque([value]))):
        payload = {"it": {"seen": deep}, "fine": 1}
        assert refusal(form_of(Watched), payload).errors[0]["type"] == "too_deep"


def test_fields_that_are_too_large_together_are_all_to_blame() -> None:
    """Where no field is too large by itself, none is named."""
    payload = {"it": "x" * 60, "fine": "x" * 60}
    assert refusal(form_of(Any), payload, max_payload_bytes=100).errors[0]["loc"] == ()


@pytest.mark.parametrize("annotation", [Any, int], ids=str)
def test_an_int_that_no_json_parser_reads_is_refused(annotation: Any) -> None:
    """An int of a million digits, which takes seconds to write, is refused by name at once."""
    error = refusal(form_of(annotation), {"it": 1 << 3_400_000})
    assert [(each["type"], each["loc"]) for each in error.errors] == [("not_json", ("it",))]
    # At once: it is not even validated.
    error = refusal(form_of(Watched), {"it": {"seen": [1 << 3_400_000]}})
    assert error.errors[0]["type"] == "not_json"


def test_the_longest_int_travels() -> None:
    """An int of 4,300 digits is no longer than JSON parsers read."""
    # Before 2.14.2 pydantic counts a minus as a digit.
    for longest in (10**4300 - 1, 1 - 10**4299):
        assert form_of(int).freeze({"it": longest}).arguments["it"] == longest


def test_a_million_errors_are_one() -> None:
    """However much is wrong, the refusal is short, and names the fields at fault."""
    error = refusal(form_of(list[int]), {"it": ["x"] * 200_000})
    assert error.errors == [{"type": "too_many_errors", "loc": ("it",), "msg": "has 200000 errors"}]
    assert (error.__cause__, error.__context__) == (None, None)


def test_a_hundred_errors_are_all_told() -> None:
    """Up to a hundred errors are pydantic's own."""
    error = refusal(form_of(list[int]), {"it": ["x"] * 100})
    assert [each["loc"] for each in error.errors] == [("it", n) for n in range(100)]


def test_no_more_than_a_hundred_places_are_named() -> None:
    """Of a thousand names at fault a hundred are named, and looking for them is quick."""
    error = refusal(open_form(), {f"n{n}": (n,) for n in range(1000)})
    assert [each["loc"] for each in error.errors] == [(f"n{n}",) for n in range(100)]


def test_a_mapping_that_fails_is_refused() -> None:
    """A mapping of the caller's own that raises is an invalid payload, with that as its cause."""

    class Failing(dict[str, Any]):
        def keys(self) -> Any:
            raise ZeroDivisionError(SECRET)

        __iter__ = __len__ = keys

    error = refusal(form_of(Any), Failing(it=1))
    assert [(each["type"], each["loc"]) for each in error.errors] == [("unusable", ())]
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "ZeroDivisionError" in str(error)
    assert SECRET not in str(error)


def test_a_validators_own_words_are_one_line() -> None:
    """What a validator of the user's says is cut and kept on one line."""

    class Wordy(BaseModel):
        word: str

        @field_validator("word")
        @classmethod
        def refuse(cls, word: str) -> str:
            raise ValueError("no\nforged\x1b " * 1000)

    message = refusal(form_of(Wordy), {"it": {"word": "a"}}).errors[0]["msg"]
    assert message.isprintable()
    assert len(message) <= 1000


def test_the_tag_of_a_union_is_not_shown() -> None:
    """A tag that no member of the union has is a value like any other; the right ones are told."""

    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    pet: Any = Annotated[Cat | Dog, Field(discriminator="kind")]
    (detail,) = refusal(form_of(pet), {"it": {"kind": f"x found using {SECRET}"}}).errors
    assert detail["msg"] == (
        "Input tag found using 'kind' does not match any of the expected tags: 'cat', 'dog'"
    )


def test_a_name_that_cannot_be_looked_up_is_a_refusal() -> None:
    """A name that fails when it is looked up again does not turn a refusal into its own error."""

    class Name(str):
        __slots__ = ()
        fails = False

        def __hash__(self) -> int:
            if self.__class__.fails:
                raise ZeroDivisionError
            return str.__hash__(self)

    payload = {Name("it"): nested(70, in_dict)}
    Name.fails = True
    assert refusal(form_of(Any), payload).errors[0]["type"] in ("too_deep", "unusable")


class Unshowable:
    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


@pytest.mark.parametrize("name", [10**5000, Unshowable(), (1,), None, 1.5, b"\xff"], ids=type)
@pytest.mark.parametrize("form", [FORMS["Any"], open_form], ids=["closed", "open"])
def test_a_name_of_any_kind_can_be_told(form: Callable[[], PayloadForm], name: Any) -> None:
    """Whatever stands where a name should, the refusal can be printed, and sent as JSON."""
    for value in (1, "x" * 2_000_000):
        error = refusal(form(), {name: value})
        assert str(error).isprintable()
        assert json.dumps(error.errors)
