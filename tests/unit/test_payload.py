"""What a payload may hold, and that it arrives.

No ``from __future__ import annotations`` here: these annotations are objects, those of
test_signatures.py are text.
"""

import dataclasses
import enum
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, AnyUrl, BaseModel, ConfigDict, Field, RootModel
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from stoat_jobs import InvalidPayloadError, JobContext, JobHandlers
from stoat_jobs.backends import PayloadForm

T = TypeVar("T")

NOT_UTF8 = b"\xff\xfe\x00"


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Blob(BaseModel):
    data: bytes
    name: str = "blob"


class OwnIdeaOfBytes(BaseModel):
    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")
    data: bytes


class Tree(BaseModel):
    blobs: list[Blob] = []
    children: list["Tree"] = []


class Blobs(RootModel[list[bytes]]):
    pass


class Box(BaseModel, Generic[T]):
    inside: T


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Aliased(BaseModel):
    page_size: int = Field(alias="pageSize")


class ReadAliased(BaseModel):
    size: int = Field(validation_alias=AliasChoices("size_a", "size_b"))


class WriteAliased(BaseModel):
    size: int = Field(serialization_alias="sizeOut")


@dataclasses.dataclass
class Plain:
    data: bytes
    numbers: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Derived:
    data: bytes
    size: int = dataclasses.field(init=False, default=3)


@pydantic_dataclass
class Checked:
    data: bytes


class Row(TypedDict):
    data: bytes
    note: NotRequired[str]


class Pair(NamedTuple):
    number: int
    data: bytes


def form_of(annotation: Any) -> PayloadForm:
    """The form of a handler with one parameter, `it`, of that type."""

    def handler(ctx: JobContext, it: Any) -> None: ...

    handler.__annotations__["it"] = annotation
    return JobHandlers().register("handler", handler).form


VALUES = [
    (Path, Path("some/where")),
    (datetime, datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)),
    (datetime, datetime(2024, 2, 29, 12, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
    (datetime, datetime(2024, 2, 29, 12, 30)),  # noqa: DTZ001
    (date, date(2024, 2, 29)),
    (time, time(23, 59, 59, 999999)),
    (timedelta, timedelta(days=-1, microseconds=3)),
    (UUID, UUID(int=7)),
    (Decimal, Decimal("1.50")),
    (bytes, NOT_UTF8),
    (bytes, b""),
    (Colour, Colour.RED),
    (Level, Level.HIGH),
    (Literal["a", 1], 1),
    (re.Pattern[str], re.compile("a+")),
    (AnyUrl, AnyUrl("https://example.org/a")),
    (complex, 1 + 2j),
    (float, -0.0),
    (int, 10**400),
    (None, None),
    (bytes | None, NOT_UTF8),
    (bytes | None, None),
    (int | str, "1"),
    (int | float, 1.0),
    (datetime | str, datetime(2024, 1, 1)),  # noqa: DTZ001
    (Blob | Pair, Pair(1, NOT_UTF8)),
    (bytes | int, NOT_UTF8),
    (list[bytes], [NOT_UTF8, b"a"]),
    (dict[str, bytes], {"a": NOT_UTF8}),
    (dict[bytes, int], {NOT_UTF8: 1}),
    (dict[int, str], {1: "a"}),
    (dict[Path, UUID], {Path("a"): UUID(int=1)}),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (tuple[int, bytes], (1, NOT_UTF8)),
    (Sequence[int], [1, 2]),
    (Pair, Pair(1, NOT_UTF8)),
    (Row, {"data": NOT_UTF8}),
    (Plain, Plain(NOT_UTF8, [1])),
    (Checked, Checked(NOT_UTF8)),
    (Blob, Blob(data=NOT_UTF8)),
    (OwnIdeaOfBytes, OwnIdeaOfBytes(data=NOT_UTF8)),
    (Tree, Tree(children=[Tree(blobs=[Blob(data=NOT_UTF8)])])),
    (list[dict[str, Blob]] | None, [{"a": Blob(data=NOT_UTF8)}]),
    (Blobs, Blobs([NOT_UTF8])),
    (Box[bytes], Box[bytes](inside=NOT_UTF8)),
    (Box[list[Plain]], Box[list[Plain]](inside=[Plain(NOT_UTF8)])),
    (Open, Open(anything=[1, {"a": None}])),  # type: ignore[call-arg]
    (Any, {"a": [1, 1.5, "x", True, None, {"b": []}]}),
    (object, "text"),
]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=map(str, range(len(VALUES))))
def test_a_value_of_the_declared_type_arrives(annotation: Any, value: Any) -> None:
    """What is of the declared type arrives equal and of that type, here and after thawing."""
    form = form_of(annotation)
    frozen = form.freeze({"it": value})
    assert frozen.arguments == {"it": value}
    assert type(frozen.arguments["it"]) is type(value)
    assert form.thaw(frozen.text) == {"it": value}


SHORTCUTS: list[Any] = [int, str, bool, None, int | None, str | int, bool | int | str, str | bool]


@settings(deadline=None)
@given(
    st.sampled_from(SHORTCUTS),
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([*Colour, *Level]),
)
def test_what_is_not_decoded_at_submission_is_what_decoding_gives(
    annotation: Any, value: Any
) -> None:
    """A payload of plain texts and numbers is taken as it is; a retry decodes it, and gets that."""
    form = form_of(annotation)
    try:
        frozen = form.freeze({"it": value})
    except InvalidPayloadError:
        return
    thawed = form.thaw(frozen.text)
    assert thawed == frozen.arguments
    assert type(thawed["it"]) is type(frozen.arguments["it"])


class Int(int):
    """No int of the standard library."""


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "\ud800"),
        (int, 10**4_300),
        (int | None, 1 - 2**14_285),
        (int | str, Int(10**5_000)),
        (int, Decimal("1e5000")),
    ],
    ids=["half a pair", "long", "long, below 0", "of a subclass", "a decimal"],
)
def test_what_cannot_be_decoded_is_refused_in_a_plain_field_too(
    annotation: Any, value: Any
) -> None:
    """Half a surrogate pair is no JSON, and an int of more than 4,300 digits cannot be read."""
    with pytest.raises(InvalidPayloadError, match="it"):
        form_of(annotation).freeze({"it": value})


def test_the_longest_int_arrives() -> None:
    """4,300 digits are read again."""
    frozen = form_of(int).freeze({"it": 10**4_300 - 1})
    assert form_of(int).thaw(frozen.text) == frozen.arguments == {"it": 10**4_300 - 1}


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=map(str, range(len(VALUES))))
def test_a_frozen_payload_is_json(annotation: Any, value: Any) -> None:
    """The frozen text is UTF-8, which a durable engine stores as it stores any text."""
    text = form_of(annotation).freeze({"it": value}).text
    assert text.decode().startswith('{"it":')


def test_bytes_travel_as_base64() -> None:
    """Bytes are base64 in the text, in nested models too, whatever those models say."""
    assert form_of(bytes).freeze({"it": b"\xff\xfe"}).text == b'{"it":"__4="}'
    inner = OwnIdeaOfBytes(data=b"\xff\xfe")
    assert form_of(OwnIdeaOfBytes).freeze({"it": inner}).text == b'{"it":{"data":"__4="}}'


@pytest.mark.parametrize(
    ("annotation", "given", "arrives"),
    [
        (int, "3", 3),
        (Path, "a/b", Path("a/b")),
        (Colour, "red", Colour.RED),
        (datetime, "2024-01-01T00:00:00Z", datetime(2024, 1, 1, tzinfo=UTC)),
        (Blob, {"data": "AAAA"}, Blob(data=b"\x00\x00\x00")),
        (tuple[int, int], [1, 2], (1, 2)),
        (str, Colour.RED, "red"),
        (float, True, 1.0),
    ],
    ids=map(str, range(8)),
)
def test_json_that_an_api_was_sent_becomes_the_declared_type(
    annotation: Any, given: Any, arrives: Any
) -> None:
    """What pydantic makes of plain JSON is what the handler gets, so an API may hand it on."""
    got = form_of(annotation).freeze({"it": given}).arguments["it"]
    assert got == arrives
    assert type(got) is type(arrives)


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (Aliased, {"pageSize": 3}),
        (Aliased, Aliased(pageSize=3)),
        (ReadAliased, ReadAliased(size_a=3)),  # type: ignore[call-arg]
        (WriteAliased, WriteAliased(size=3)),
    ],
    ids=["pageSize in JSON", "pageSize in a model", "read", "write"],
)
def test_models_with_aliases_arrive(annotation: Any, given: Any) -> None:
    """A model whose fields have other names in JSON, as in many an API, arrives equal."""
    frozen = form_of(annotation).freeze({"it": given})
    assert frozen.arguments == {"it": annotation.model_validate(given)}


def test_a_dataclass_with_a_field_it_sets_itself_arrives() -> None:
    """A dataclass field that its constructor does not take does not stand in the way."""
    assert form_of(Derived).freeze({"it": Derived(b"a")}).arguments == {"it": Derived(b"a")}


@pytest.mark.parametrize(
    ("annotation", "arrives"),
    [
        (Blob, Blob(data=b"")),
        (Plain, Plain(b"")),
        (Checked, Checked(b"")),
        (Row, {"data": b""}),
        (list[Row], [{"data": b""}]),
    ],
    ids=map(str, range(5)),
)
def test_nested_types_keep_their_own_idea_of_unknown_keys(annotation: Any, arrives: Any) -> None:
    """A type inside a payload ignores unknown keys as it does anywhere else."""
    given: Any = {"data": "", "unknown": 1}
    if isinstance(arrives, list):
        given = [given]
    assert form_of(annotation).freeze({"it": given}).arguments == {"it": arrives}


def test_constraints_are_kept() -> None:
    """`Annotated` constraints are checked at submission."""
    form = form_of(Annotated[int, Field(gt=3)])
    assert form.freeze({"it": 4}).arguments == {"it": 4}
    with pytest.raises(ValueError, match="it: Input should be greater than 3"):
        form.freeze({"it": 3})


def register(function: Callable[..., Any]) -> PayloadForm:
    form: PayloadForm = JobHandlers().register("handler", function).form
    return form


def test_defaults_are_frozen_at_submission() -> None:
    """What the caller leaves out is filled in and stored, a changed default notwithstanding."""
    default = [Blob(data=b"a")]

    def handler(ctx: JobContext, items: list[Blob] = default, *, n: int = 3) -> None: ...

    form = register(handler)
    frozen = form.freeze({})
    assert frozen.arguments == {"items": [Blob(data=b"a")], "n": 3}
    assert frozen.text == b'{"items":[{"data":"YQ==","name":"blob"}],"n":3}'
    frozen.arguments["items"].append(None)
    frozen.arguments["items"][0].data = b"changed"
    assert default == [Blob(data=b"a")]
    assert form.freeze({}).arguments["items"] == [Blob(data=b"a")]


def test_keyword_only_parameters_are_given_by_name() -> None:
    """A parameter after the star is a parameter of the payload like the others."""

    def handler(ctx: JobContext, a: int, *, b: Path) -> None: ...

    assert register(handler).freeze({"a": 1, "b": "x"}).arguments == {"a": 1, "b": Path("x")}


def test_typed_open_payload() -> None:
    """`**payload: T` takes any name, each value checked as a T."""

    def handler(ctx: JobContext, a: int, **rest: bytes) -> None: ...

    form = register(handler)
    frozen = form.freeze({"a": 1, "x": NOT_UTF8, "y": b""})
    assert frozen.arguments == {"a": 1, "x": NOT_UTF8, "y": b""}
    assert form.thaw(frozen.text) == frozen.arguments
    assert form.freeze({"a": 1}).arguments == {"a": 1}


RESERVED = [
    *("timeout", "key", "status", "metadata", "queue", "job_type", "job_id", "payload", "name"),
    *("model_config", "model_fields", "schema", "json", "copy", "args", "kwargs", "link", "func"),
    *("function", "context", "__class__", "_private", "class", "**", "*", ""),
]


@pytest.mark.parametrize("key", [*RESERVED, "self", "ctx"])
def test_keys_that_sound_like_ours_arrive_in_an_open_payload(key: str) -> None:
    """No key of `**payload` is special, so none is taken for ours and none gets lost."""

    def handler(ctx: JobContext, /, **payload: Any) -> dict[str, Any]:
        return payload

    frozen = register(handler).freeze({key: {"a": 1}, "other": 2})
    assert handler(JobContext(), **frozen.arguments) == {key: {"a": 1}, "other": 2}


def test_parameters_that_sound_like_ours_arrive() -> None:
    """A handler may name its parameters as the queue names its own."""

    def handler(
        ctx: JobContext, timeout: str, key: int, status: str, model_config: int, self: int
    ) -> None: ...

    payload = {"timeout": "t", "key": 1, "status": "s", "model_config": 2, "self": 3}
    assert register(handler).freeze(payload).arguments == payload


def test_no_parameters_no_payload() -> None:
    """A handler that takes nothing gets nothing."""

    def handler(ctx: JobContext) -> None: ...

    frozen = register(handler).freeze({})
    assert (frozen.arguments, frozen.text) == ({}, b"{}")
    assert register(handler).thaw(frozen.text) == {}


def test_the_schema_of_a_payload() -> None:
    """The JSON Schema has what a client sends: no context, defaults left out, bytes as base64."""

    def handler(ctx: JobContext, /, root: str, raw: bytes = b"x", **more: int) -> None: ...

    schema = PayloadForm("it", handler).json_schema()
    assert schema["required"] == ["root"]
    assert set(schema["properties"]) == {"root", "raw"}
    raw = schema["properties"]["raw"]
    assert (raw["type"], raw["format"], raw["default"]) == ("string", "base64url", "eA==")
    assert schema["additionalProperties"] == {"type": "integer"}


def test_the_schema_of_a_payload_is_closed() -> None:
    """A name that the handler does not have fits no schema, as it fits no handler."""

    def handler(ctx: JobContext) -> None: ...

    schema = PayloadForm("it", handler).json_schema()
    assert (schema["properties"], schema["additionalProperties"]) == ({}, False)
