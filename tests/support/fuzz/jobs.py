"""Handlers of many signatures, each of which gives back what it was given."""

from __future__ import annotations

import dataclasses
import enum
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Json, SecretStr
from typing_extensions import TypedDict

from stoat_jobs import JobContext, JobHandlers


class Tree(BaseModel):
    name: str = ""
    data: bytes = b""
    children: list[Tree] = []


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    x: int = 0


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    x: str = ""


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: Any = None


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    name: str = ""


@dataclasses.dataclass
class Plain:
    x: Any = None
    children: list[Plain] = dataclasses.field(default_factory=list)


class Typed(TypedDict, total=False):
    x: float
    children: list[Typed]


handlers = JobHandlers()

ANNOTATIONS: dict[str, Any] = {
    "any": Any,
    "int": int,
    "text": str,
    "bytes": bytes,
    "float": float,
    "decimal": Decimal,
    "when": datetime | timedelta,
    "path": Path,
    "id": UUID,
    "secret": SecretStr,
    "json": Json,
    "tree": Tree,
    "loose": Loose,
    "pet": Annotated[Cat | Dog, Field(discriminator="kind")],
    "union": int | str | bytes | list[int] | Cat | None,
    "colour": Colour | Level,
    "point": Point,
    "plain": Plain,
    "typed": Typed,
    "ints": list[int],
    "set": set[Any] | frozenset[bytes],
    "tuple": tuple[Any, ...],
    "table": dict[str, dict[int, Any]],
}


def _register(name: str, annotation: Any) -> None:
    async def echo(ctx: JobContext, anything: Any, fine: int = 0) -> Any:
        return anything

    echo.__annotations__["anything"] = annotation
    handlers.register(name, echo)


for _name, _annotation in ANNOTATIONS.items():
    _register(_name, _annotation)


@handlers.job
async def opened(ctx: JobContext, /, fine: int = 0, **payload: Any) -> Any:
    return payload


@handlers.job
async def open_trees(ctx: JobContext, /, **payload: Tree) -> Any:
    return payload


@handlers.job
async def nothing(ctx: JobContext) -> str:
    return "done"
