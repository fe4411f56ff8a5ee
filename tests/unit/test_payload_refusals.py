"""What a payload may not hold, and how that is said."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field, PrivateAttr, SecretStr

from stoat_jobs import InvalidPayloadError, JobContext, JobHandlers
from stoat_jobs.backends import PayloadForm

SECRET = "hunter2"


class Word(str, enum.Enum):
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


class Model(BaseModel):
    a: int = 1


class Sub(Model):
    b: int = 2


class Hidden(BaseModel):
    kept: int = 1
    left_out: int = Field(default=2, exclude=True)


class RandomPrivate(BaseModel):
    a: int = 1
    _token: UUID = PrivateAttr(default_factory=uuid4)


class Holder(BaseModel):
    anything: Any = None


class Node(BaseModel):
    child: Node | None = None


@dataclasses.dataclass
class PlainHolder:
    anything: Any


def form_of(annotation: Any) -> PayloadForm:
    """The form of a handler with two parameters, of which `it` has that type."""

    def handler(ctx: JobContext, it: Any, fine: int = 0) -> None: ...

    handler.__annotations__["it"] = annotation
    return JobHandlers().register("handler", handler).form


def refusal(form: PayloadForm, payload: Any) -> InvalidPayloadError:
    with pytest.raises(InvalidPayloadError) as caught:
        form.freeze(payload)
    return caught.value


def a_list_in_itself() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def a_model_in_itself() -> Node:
    node = Node()
    node.child = node
    return node


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = None
    for _ in range(depth):
        value = wrap(value)
    return value


def in_list(value: Any) -> Any:
    return [value]


def in_dict(value: Any) -> Any:
    return {"a": value}


def in_node(value: Any) -> Any:
    return Node.model_construct(child=value)


LOST_IN_JSON = {
    "secret": (SecretStr, SecretStr(SECRET)),
    "secret in Any": (Any, SecretStr(SECRET)),
    "nan": (float, math.nan),
    "inf": (float, math.inf),
    "-inf": (float, -math.inf),
    "nan in Any": (Any, math.nan),
    "inf in a list in Any": (Any, [math.inf]),
    "nan in a list": (list[float], [1.0, math.nan]),
    "tuple in Any": (Any, (1, 2)),
    "deep tuple in Any": (Any, {"a": [{"b": (1,)}]}),
    "datetime in Any": (Any, datetime(2024, 1, 1)),  # noqa: DTZ001
    "set in Any": (Any, {1}),
    "frozenset in Any": (Any, frozenset()),
    "Decimal in Any": (Any, Decimal(1)),
    "bytes in Any": (Any, b"a"),
    "UUID in Any": (Any, UUID(int=1)),
    "Path in Any": (Any, Path("a")),
    "model in Any": (Any, Model()),
    "model in a list in Any": (Any, [Model()]),
    "dataclass in Any": (Any, PlainHolder(1)),
    "generator in Any": (Any, (n for n in (1, 2))),
    "int key in Any": (Any, {1: "a"}),
    "int key in dict[str, Any]": (dict[str, Any], {"a": {1: 2}}),
    "None key in Any": (Any, {None: 1}),
    "bool key in Any": (Any, {True: 1}),
    "IntEnum in Any": (Any, Number.ONE),
    "StrEnum in Any": (Any, [Word.A]),
    "str subclass in Any": (Any, Text("a")),
    "StrEnum key in Any": (Any, {Word.A: 1}),
    "IntEnum in set[Any]": (set[Any], {Number.ONE}),
    "IntEnum in deque[Any]": (deque[Any], deque([Number.ONE])),
    "IntEnum in tuple[Any]": (tuple[Any, ...], (Number.ONE,)),
    "tuple in a model's Any": (Holder, Holder(anything=(1,))),
    "nan in a model's Any": (Holder, Holder(anything=math.nan)),
    "tuple in a dataclass's Any": (PlainHolder, PlainHolder((1,))),
    "subclass of the model": (Model, Sub()),
    "subclass in a list": (list[Model], [Model(), Sub()]),
    "excluded field": (Hidden, Hidden(left_out=5)),
    "random private attribute": (RandomPrivate, RandomPrivate()),
    "lone surrogate": (str, "\ud800"),
    "lone surrogate in Any": (Any, ["a\udfffb"]),
    "lone surrogate as a key": (dict[str, int], {"\ud800": 1}),
    "undecodable file name": (Path, Path("\udcff")),
    "object": (Any, object()),
    "function": (Any, len),
    "class": (type | None, int),
    "callable": (Callable[[], int] | None, len),
    "iterator": (Iterable[int] | None, [1, 2]),
    "huge int": (int, 10**5000),
    "circle": (Any, a_list_in_itself()),
    "circle of models": (Node, a_model_in_itself()),
    **{
        f"{wrap.__name__}, {depth} deep": (kind, nested(depth, wrap))
        for wrap, kind in ((in_list, Any), (in_dict, Any), (in_node, Node | None))
        for depth in (200, 201, 254, 255, 256, 300, 5_000)
    },
}


@pytest.mark.parametrize("case", LOST_IN_JSON)
def test_what_json_would_lose_is_refused_by_name(case: str) -> None:
    """What does not come back equal is refused, naming its field, without a raw error."""
    annotation, value = LOST_IN_JSON[case]
    error = refusal(form_of(annotation), {"it": value})
    assert [each["loc"][0] for each in error.errors] == ["it"]
    assert str(error).startswith("the payload does not fit job type 'handler': it: ")


@pytest.mark.parametrize("case", ["tuple in Any", "lone surrogate", "circle"])
def test_an_open_payload_names_the_key(case: str) -> None:
    """In `**payload` the key at fault is named, and not the innocent ones."""

    def handler(ctx: JobContext, /, a: int = 1, **rest: Any) -> None: ...

    form = JobHandlers().register("handler", handler).form
    error = refusal(form, {"bad": LOST_IN_JSON[case][1], "good": 1})
    assert [each["loc"] for each in error.errors] == [("bad",)]


def test_every_field_at_fault_is_named() -> None:
    """One refusal names all fields that do not survive, so that they are mended at once."""

    def handler(ctx: JobContext, a: Any, b: Any, c: Any) -> None: ...

    form = JobHandlers().register("handler", handler).form
    error = refusal(form, {"a": (1,), "b": 1, "c": {2}})
    assert [each["loc"] for each in error.errors] == [("a",), ("c",)]


@pytest.mark.parametrize("depth", [1_000, 5_000])
def test_deep_json_for_a_recursive_model_is_refused(depth: int) -> None:
    """JSON nested deeper than pydantic goes is refused by name, and crashes nothing."""
    value = nested(depth, lambda child: {"child": child})
    error = refusal(form_of(Node), {"it": value})
    assert error.errors[0]["loc"][0] == "it"
