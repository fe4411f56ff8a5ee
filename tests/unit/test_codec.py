"""Values through JSON and back."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    TypeAdapter,
    ValidationError,
    computed_field,
    model_validator,
)

from stoat_jobs._payload.codec import same
from stoat_jobs.backends import Codec

RAW = b"\xff\xfe"


def through(annotation: Any, value: Any) -> Any:
    codec = Codec(annotation)
    return codec.decode(codec.encode(codec.validate(value)))


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    claws: bytes = RAW


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    bark: bytes = RAW


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    friends: list[Owner] = []


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    side: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        return self.side**2


class BothWays(BaseModel):
    small: int
    large: int

    @model_validator(mode="after")
    def ordered(self) -> BothWays:
        if self.small > self.large:
            raise ValueError("small must not exceed large")
        return self


class DefaultBytes(BaseModel):
    data: bytes = RAW
    by_key: dict[str, bytes] = {"a": RAW}


@dataclasses.dataclass(frozen=True)
class Frozen:
    data: bytes
    parent: Frozen | None = None


@dataclasses.dataclass
class Slotted:
    __slots__ = ("data",)
    data: bytes


def kind_of(value: Any) -> str:
    return "raw" if isinstance(value, (bytes, str)) else "other"


CHOSEN = Annotated[
    Annotated[bytes, Tag("raw")] | Annotated[list[bytes], Tag("other")],
    Discriminator(kind_of),
]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Owner, Owner(pet=Dog(), friends=[Owner(pet=Cat())])),
        (Computed, Computed(side=3)),
        (BothWays, BothWays(small=1, large=2)),
        (DefaultBytes, DefaultBytes()),
        (Frozen, Frozen(RAW, Frozen(b""))),
        (Slotted, Slotted(RAW)),
        (CHOSEN, RAW),
        (CHOSEN, [RAW]),
        (Frozen | None, None),
        (deque[bytes], deque([RAW])),
        (list[Any], [1, "a", None, {"b": 1.5}]),
    ],
    ids=map(str, range(11)),
)
def test_kinds_of_types_come_back(annotation: Any, value: Any) -> None:
    """Discriminated unions, recursive models, dataclasses: all come back equal, bytes included."""
    assert same(through(annotation, value), value)


def test_the_users_own_types_are_left_alone() -> None:
    """A model that is used in a payload encodes its bytes elsewhere as it always did."""
    before = TypeAdapter(Cat).dump_json(Cat(claws=b"ab"))
    through(Cat, Cat())
    assert TypeAdapter(Cat).dump_json(Cat(claws=b"ab")) == before
    assert Cat(claws=b"ab").model_dump_json() == '{"kind":"cat","claws":"ab"}'


@pytest.mark.parametrize("annotation", [int, list[int], BothWays, SecretStr], ids=str)
def test_errors_do_not_show_the_input(annotation: Any) -> None:
    """A validation error says what is wrong and never with what, since it may be secret."""
    with pytest.raises(ValidationError) as caught:
        Codec(annotation).validate({"small": "hunter2", "large": b"hunter2"})
    assert "hunter2" not in str(caught.value)


@dataclasses.dataclass
class Left:
    value: Any


@dataclasses.dataclass
class Right:
    value: Any


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    _private: int = 0


def extra(private: int = 0, **values: Any) -> Extra:
    model = Extra(**values)
    model._private = private
    return model


EQUAL: dict[str, Callable[[], Any]] = {
    "list": lambda: [1, "a", None, 1.5, True],
    "dict": lambda: {"a": {"b": [1]}},
    "tuple": lambda: (1, (2,)),
    "set": lambda: {1, "a"},
    "path": lambda: Path("a"),
    "datetime": lambda: datetime(2024, 1, 1),  # noqa: DTZ001
    "dataclass": lambda: Left([1]),
    "extra": lambda: extra(a=[1]),
    "private": lambda: extra(private=3),
}


@pytest.mark.parametrize("case", EQUAL)
def test_same_holds_of_copies(case: str) -> None:
    """Two values built alike are the same."""
    assert same(EQUAL[case](), EQUAL[case]())


DIFFERENT: dict[str, tuple[Any, Any]] = {
    "dataclasses": (Left(1), Right(1)),
    "inside a dataclass": (Left([1]), Left([True])),
    "extra": (extra(a=1), extra(a=True)),
    "missing extra": (extra(a=1), extra()),
    "private": (extra(private=1), extra(private=2)),
    "private type": (extra(private=1), extra(private=True)),
    "keys": ({1: "a"}, {True: "a"}),
    "members": ({1}, {True}),
    "frozen members": (frozenset({1.0}), frozenset({1})),
    "deque": (deque([1]), deque([1.0])),
    "tuple": ((1,), (1.0,)),
    "order": ([1, 2], [2, 1]),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_same_sees_differences_at_depth(case: str) -> None:
    """A difference in value or type is seen in models, dataclasses, keys and containers."""
    left, right = DIFFERENT[case]
    assert not same(left, right)
    assert not same(right, left)


def sub_of(kind: type) -> Any:
    """A subclass, as libraries have them of the scalars."""
    return type(f"Own{kind.__name__}", (kind,), {})


SCALARS: dict[str, tuple[Any, Any]] = {
    "uuid": (UUID, ("12345678123456781234567812345678",)),
    "datetime": (datetime, (2026, 1, 1, 12, 30, 0, 0, UTC)),
    "naive datetime": (datetime, (2026, 1, 1)),
    "date": (date, (2026, 1, 1)),
    "time": (time, (12, 30)),
    "timedelta": (timedelta, (1, 2, 3)),
    "decimal": (Decimal, ("1.50",)),
    "bytes": (bytes, (RAW,)),
    "text": (str, ("a",)),
    "int": (int, (3,)),
    "float": (float, (1.5,)),
    "complex": (complex, (1, 2)),
    "fraction": (Fraction, (1, 3)),
    "path": (type(Path()), ("a/b",)),
    "pure path": (PurePosixPath, ("a/b",)),
    "address": (IPv4Address, ("127.0.0.1",)),
    "network": (IPv6Network, ("2001:db8::/32",)),
}


@pytest.mark.parametrize("case", SCALARS)
def test_a_subclass_of_a_scalar_stands_for_it__fault_62(case: str) -> None:
    """An equal instance of the declared scalar's type is the same, alone and inside others."""
    kind, arguments = SCALARS[case]
    own: Any = sub_of(kind)(*arguments)
    plain: Any = kind
    inside: list[tuple[Any, Any]] = [
        (plain, own),
        (plain | None, own),
        (list[plain], [own]),
        (dict[str, plain], {"a": own}),
        (set[plain], {own}),
        (dict[plain, int], {own: 1}),
    ]
    for annotation, value in inside:
        codec = Codec(annotation)
        valid = codec.validate(value)
        decoded = codec.decode(codec.encode(valid))
        assert same(valid, decoded)
    assert type(through(kind, own)) is kind


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("kind", [datetime, sub_of(datetime)], ids=["plain", "of its own"])
@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("month", [3, 10], ids=["left out", "repeated"])
def test_a_time_that_a_zone_has_twice_or_never_comes_back__fault_62(
    kind: Any, fold: int, month: int
) -> None:
    """To Python it is unequal to all times of other zones, also to the same instant."""
    day = {3: 29, 10: 25}[month]
    local = kind(2026, month, day, 2, 30, tzinfo=BERLIN, fold=fold)
    instant = local.astimezone(UTC)
    assert local != instant
    for annotation, value in (
        (datetime, local),
        (list[datetime], [local]),
        (set[datetime], {local}),
        (dict[datetime, datetime], {local: local}),
    ):
        assert same(value, through(annotation, value))
    assert through(datetime, local) == instant
    for other in (instant + timedelta(microseconds=1), instant.replace(tzinfo=None)):
        assert not same(local, other)
        assert not same({local: 1}, {other: 1})


class Level(Enum):
    HIGH = "high"


class TextLevel(str, Enum):
    HIGH = "high"


class NumberLevel(int, Enum):
    HIGH = 1


class LateStamp(datetime):
    """As pandas' has nanoseconds, which are not equal to those of a plain one."""

    def __eq__(self, other: object) -> bool:
        return type(other) is LateStamp

    __hash__ = datetime.__hash__


class OwnDict(dict[str, int]):
    pass


class OwnList(list[int]):
    pass


class SubCat(Cat):
    pass


class SubFrozen(Frozen):
    pass


NOT_THE_SAME: dict[str, tuple[Any, Any]] = {
    "what is not equal": (LateStamp(2026, 1, 1), datetime(2026, 1, 1)),  # noqa: DTZ001
    "the other way round": (UUID(int=1), sub_of(UUID)(int=1)),
    "bool and int": (True, 1),
    "int and bool": (1, True),
    "int and float": (1, 1.0),
    "datetime and date": (datetime(2026, 1, 1), date(2026, 1, 1)),  # noqa: DTZ001
    "an enum of texts": (TextLevel.HIGH, "high"),
    "an enum of numbers": (NumberLevel.HIGH, 1),
    "an enum": (Level.HIGH, "high"),
    "text of its own": (sub_of(str)("a"), "a"),
    "number of its own": (sub_of(float)(1.5), 1.5),
    "dict": (OwnDict(a=1), {"a": 1}),
    "list": (OwnList([1]), [1]),
    "model": (SubCat(), Cat()),
    "dataclass": (SubFrozen(b""), Frozen(b"")),
}


@pytest.mark.parametrize("case", NOT_THE_SAME)
def test_nothing_else_stands_for_another_type__fault_62(case: str) -> None:
    """Models, dataclasses, containers, enums, bools and what JSON gives untyped stay exact."""
    assert not same(*NOT_THE_SAME[case])
