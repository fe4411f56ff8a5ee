"""Annotations whose values can never be JSON, refused when a handler is registered."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from typing import IO, Annotated, Any, BinaryIO, Generic, NamedTuple, NotRequired, TextIO, TypeVar

import fastapi
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ImportString,
    InstanceOf,
    PlainSerializer,
    Tag,
)
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.requests import HTTPConnection
from typing_extensions import TypeAliasType, TypedDict, Unpack

from stoat_jobs import InMemoryJobQueue, JobContext, JobHandlers, JobStatus

T = TypeVar("T")


class Opened:
    """An object that has no JSON."""


class Holds(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    n: int = 0
    opened: Opened


class HoldsUpload(BaseModel):
    file: fastapi.UploadFile


class Tree(BaseModel):
    hook: Callable[[], None]
    children: list[Tree] = []


class Box(BaseModel, Generic[T]):
    it: T


@dataclass
class Holder:
    hook: Callable[[], None]


class Pair(NamedTuple):
    n: int
    hook: Callable[[], None]


class Options(TypedDict):
    hook: Callable[[], None]


class Defaulted(BaseModel):
    hook: Callable[..., Any] = print


class OwnUpload(UploadFile):
    """A subclass of the framework's."""


def session() -> None: ...


def by_name(value: Any) -> Any:
    return print if value == "print" else value


Dependency = TypeAliasType("Dependency", Annotated[str, fastapi.Depends(session)])

FUNCTION, CLASS, ITERABLE = "look up the function", "look up the class", "annotate a list"
FILE, REQUEST, OPENS = "save the file", "the request is over", "open it inside the handler"

NEVER: dict[str, tuple[Any, str]] = {
    "callable": (Callable, FUNCTION),
    "callable with types": (Callable[[int], str], FUNCTION),
    "list of callables": (list[Callable[[], None]], FUNCTION),
    "dict of callables": (dict[str, Callable[[], None]], FUNCTION),
    "tuple with a callable": (tuple[int, Callable[[], None]], FUNCTION),
    "callables alone": (Callable[[], None] | Callable[[int], None], FUNCTION),
    "checked callable": (Annotated[Callable[[], None], AfterValidator(by_name)], FUNCTION),
    "model": (Tree, FUNCTION),
    "models": (list[Tree], FUNCTION),
    "generic model": (Box[Callable[[], None]], FUNCTION),
    "dataclass": (Holder, FUNCTION),
    "named tuple": (Pair, FUNCTION),
    "typed dict": (Options, FUNCTION),
    "with a default": (Defaulted, FUNCTION),
    "type": (type, CLASS),
    "type of": (type[Opened], CLASS),
    "list of types": (list[type[int]], CLASS),
    "iterable": (Iterable[int], ITERABLE),
    "iterator": (Iterator[int], ITERABLE),
    "generator": (Generator[int, None, None], ITERABLE),
    "async iterator": (AsyncIterator[int], ITERABLE),
    "awaitable": (Awaitable[int], ITERABLE),
    "iterable inside": (dict[str, Iterable[int]], ITERABLE),
    "upload": (fastapi.UploadFile, FILE),
    "starlette upload": (UploadFile, FILE),
    "own upload": (OwnUpload, FILE),
    "annotated upload": (Annotated[fastapi.UploadFile, fastapi.File()], FILE),
    "optional upload": (fastapi.UploadFile | None, FILE),
    "uploads": (list[fastapi.UploadFile], FILE),
    "upload in a model": (HoldsUpload, FILE),
    "binary file": (BinaryIO, FILE),
    "text file": (TextIO, FILE),
    "file": (IO[str], FILE),
    "memory file": (io.BytesIO, FILE),
    "request": (fastapi.Request, REQUEST),
    "optional request": (fastapi.Request | None, REQUEST),
    "connection": (HTTPConnection, REQUEST),
    "web socket": (fastapi.WebSocket, REQUEST),
    "response": (fastapi.Response, REQUEST),
    "background tasks": (fastapi.BackgroundTasks, REQUEST),
    "dependency": (Annotated[str, fastapi.Depends(session)], "Depends works in requests only"),
    "security": (Annotated[str, fastapi.Security(session)], "Depends works in requests only"),
    "alias of a dependency": (Dependency, "Depends works in requests only"),
    "session": (Session, OPENS),
    "sessions": (list[Session], OPENS),
    "socket": (socket.socket, OPENS),
    "lock": (threading.Lock, OPENS),
    "event": (threading.Event, OPENS),
    "object": (Opened, OPENS),
    "object in a model": (Holds, OPENS),
    "instance": (InstanceOf[Opened], OPENS),
    "alias": (Annotated[int, Field(alias="maxItems")], "has an alias"),
    "validation alias": (Annotated[int, Field(validation_alias="maxItems")], "has an alias"),
    "alias choices": (Annotated[int, Field(validation_alias=AliasChoices("a", "b"))], "an alias"),
    "query alias": (Annotated[int, fastapi.Query(alias="maxItems")], "has an alias"),
}


def handler_of(annotation: Any) -> Any:
    def handler(ctx: JobContext, it: Any) -> str:
        return type(it).__name__

    handler.__annotations__["it"] = annotation
    return handler


@pytest.mark.parametrize("case", NEVER)
def test_what_can_never_travel_is_refused_with_the_remedy__fault_63(case: str) -> None:
    """What no submission could give is refused at registration, and the error says what to do."""
    annotation, remedy = NEVER[case]
    handlers = JobHandlers()
    with pytest.raises(TypeError) as caught:
        handlers.register("the-handler", handler_of(annotation))
    text = str(caught.value)
    assert text.startswith("handler 'the-handler': 'it' ")
    assert remedy in text
    assert "\n" not in text
    assert "arbitrary_types_allowed" not in text
    assert len(handlers) == 0


class Excluded(BaseModel):
    n: int = 1
    hook: Callable[..., Any] = Field(default=print, exclude=True)


class MayLack(TypedDict):
    n: int
    hook: NotRequired[Callable[[], None]]


class Request(BaseModel):
    """The user's own, which only has a framework's name."""

    url: str


KNOWN = Annotated[
    Callable[..., Any], BeforeValidator(by_name), PlainSerializer(lambda value: value.__name__)
]


def kind_of(value: Any) -> str:
    return "text" if isinstance(value, str) else "other"


class Recursive(BaseModel):
    next: Recursive | None = None


MAY: dict[str, tuple[Any, Any]] = {
    "any": (Any, {"a": [1]}),
    "object": (object, 1),
    "sequence": (Sequence[int], [1]),
    "mapping": (Mapping[str, int], {"a": 1}),
    "callable or text": (Callable[[], None] | str, "a"),
    "callable or none": (Callable[[], None] | None, None),
    "class or text": (type[Opened] | str, "a"),
    "upload or text": (fastapi.UploadFile | str, "a"),
    "tagged": (
        Annotated[
            Annotated[str, Tag("text")] | Annotated[Callable[[], None], Tag("other")],
            Discriminator(kind_of),
        ],
        "a",
    ),
    "callable by its name": (KNOWN, "print"),
    "import": (ImportString, "math.floor"),
    "excluded": (Excluded, {"n": 2}),
    "not required": (MayLack, {"n": 2}),
    "own request": (Request, {"url": "a"}),
    "instance of a model": (InstanceOf[Request], Request(url="a")),
    "recursive": (Recursive, {"next": {"next": None}}),
    "alias inside": (Box[int], {"it": 1}),
    "constrained query": (Annotated[int, fastapi.Query(gt=0)], 1),
}


@pytest.mark.parametrize("case", MAY)
async def test_what_may_travel_is_not_refused__fault_63(case: str) -> None:
    """An annotation of which some values can be JSON registers, and these reach the handler."""
    annotation, value = MAY[case]
    handlers = JobHandlers()
    job_type = handlers.register("it", handler_of(annotation))
    record = await (await job_type.submit(InMemoryJobQueue(handlers), it=value)).wait()
    assert (record.status, record.error) == (JobStatus.COMPLETED, None)


@pytest.mark.parametrize("annotation", [Any, str, Opened], ids=str)
def test_a_dependency_as_a_default_is_refused_with_the_remedy__fault_63(annotation: Any) -> None:
    """``Depends`` is for requests: nothing puts its value into a payload."""

    def handler(ctx: JobContext, db: Any = fastapi.Depends(session)) -> None: ...

    handler.__annotations__["db"] = annotation
    with pytest.raises(TypeError, match=r"'it'.*'db'.*Depends works in requests only; open what"):
        JobHandlers().register("it", handler)


def test_keywords_of_a_typed_dict_are_refused_with_the_remedy__fault_63() -> None:
    """``**options: Unpack[...]`` is not what a payload is read as, so it is refused."""

    def handler(ctx: JobContext, **options: Unpack[Options]) -> None: ...

    with pytest.raises(TypeError, match=r"'it'.*'\*\*options'.*make each key a parameter"):
        JobHandlers().register("it", handler)


@pytest.mark.parametrize("annotation", [Iterable[int], Iterator[int], Generator[int, None, None]])
async def test_a_result_whose_annotation_has_no_json_says_what_to_do__fault_63(
    annotation: Any,
) -> None:
    """Where results are JSON, an annotation that cannot be read back fails by its remedy."""

    def handler(ctx: JobContext) -> Any:
        return [1, 2]

    handler.__annotations__["return"] = annotation
    handlers = JobHandlers()
    record = await (
        await handlers.register("it", handler).submit(InMemoryJobQueue(handlers))
    ).wait()
    assert record.status is JobStatus.FAILED
    assert ITERABLE in str(record.error)
    assert "arbitrary_types_allowed" not in str(record.error)
