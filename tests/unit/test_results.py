"""Which results are kept: by their type, in plain containers, and at what cost."""

from __future__ import annotations

import asyncio
import csv
import inspect
import io
import itertools
import socket
import tempfile
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from pydantic import BaseModel

from stoat_jobs import InMemoryJobQueue, JobHandlers, JobStatus
from stoat_jobs._payload.results import refuse_used_up
from stoat_jobs.backends import CallResult, StopReason, classify


def rows() -> Iterator[int]:
    yield 1


async def later_rows() -> AsyncIterator[int]:
    yield 1


async def awaited() -> int:
    return 1


def temporary() -> Any:
    return tempfile.NamedTemporaryFile()


class Row(NamedTuple):
    n: int
    rows: Any


class Stream:
    """As the uploads of most frameworks are."""

    async def read(self, size: int = -1) -> bytes:
        return b""

    async def seek(self, offset: int) -> None: ...


class Cursor:
    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> int:
        raise StopAsyncIteration


USED_UP: dict[str, Callable[[], Any]] = {
    "generator": rows,
    "generator expression": lambda: (n for n in [1]),
    "map": lambda: map(str, [1]),
    "zip": lambda: zip([1], [2]),
    "reversed": lambda: reversed([1]),
    "count": itertools.count,
    "reader": lambda: csv.reader(["a"]),
    "async generator": later_rows,
    "async iterator": Cursor,
    "text file": io.StringIO,
    "bytes file": io.BytesIO,
    "temporary file": temporary,
    "spooled file": tempfile.SpooledTemporaryFile,
    "socket": socket.socket,
    "upload": Stream,
    "future": lambda: asyncio.get_running_loop().create_future(),
    "in a tuple": lambda: (1, rows()),
    "in a set": lambda: {rows()},
    "in a frozenset": lambda: frozenset({rows()}),
    "in a deque": lambda: deque([rows()]),
    "in an ordered dict": lambda: OrderedDict(a=rows()),
    "in a named tuple": lambda: Row(1, rows()),
    "deep": lambda: {"a": [{"b": (1, [rows()])}]},
}


@pytest.mark.parametrize("case", USED_UP)
async def test_what_cannot_be_read_twice_is_refused__fault_61(case: str) -> None:
    """A result that its first reader uses up, or that is an open handle, is a TypeError."""
    value = USED_UP[case]()
    with pytest.raises(TypeError, match=r"a result of type .* (is|was)") as caught:
        refuse_used_up(value)
    if hasattr(value, "close"):
        value.close()
    assert "\n" not in str(caught.value)


@dataclass
class Plain:
    n: int


class Model(BaseModel):
    n: int = 1


def hostile() -> Any:
    """What fails whatever is asked of its class; of no test module, which pytest looks through."""

    def fail(*args: Any) -> Any:
        raise SystemExit

    names = ("__getattribute__", "__hash__", "__eq__", "__instancecheck__", "__subclasscheck__")
    meta = type("Meta", (type,), dict.fromkeys(names, fail))
    return object.__new__(meta("Hostile", (), {"close": fail}))


class Closing:
    def close(self) -> None: ...


class Readable:
    """Has some of a file's methods, and is none."""

    def read(self) -> str:
        return ""

    def close(self) -> None: ...


class NotIterable:
    __next__ = None
    __iter__ = None


KEPT: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "text": lambda: "a",
    "list": lambda: [1, [2], {"a": (3,)}],
    "range": lambda: range(3),
    "dict view": {"a": 1}.items,
    "path": lambda: Path("a"),
    "model": Model,
    "dataclass": lambda: Plain(1),
    "class": lambda: Cursor,
    "exception": lambda: ValueError("a"),
    "hostile": hostile,
    "hostile, inside": lambda: [hostile()],
    "closing": Closing,
    "readable": Readable,
    "not iterable": NotIterable,
    "mock": Mock,
    "magic mock": MagicMock,
    "async mock": AsyncMock,
    "mock of a file": lambda: Mock(spec=io.StringIO),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_can_be_read_again_is_kept__fault_61(case: str) -> None:
    """A value that reads the same every time is a result, whatever else it can do."""
    refuse_used_up(KEPT[case]())


def test_what_contains_itself_is_looked_at_once__fault_61() -> None:
    """A list in itself, and one without end, take no longer than others."""
    circle: list[Any] = [1]
    circle.append(circle)
    refuse_used_up(circle)
    refuse_used_up([[n] for n in range(1_000_000)])


def test_containers_are_looked_into_for_their_first_thousand_values__fault_61() -> None:
    """An iterator among the first thousand values is found, and later ones are not looked for."""
    with pytest.raises(TypeError, match="generator"):
        refuse_used_up([*range(999), rows()])
    refuse_used_up([*range(1000), rows()])


def test_coroutines_in_a_refused_result_are_closed__fault_61() -> None:
    """No RuntimeWarning says later that a coroutine was never awaited."""
    coroutines = [awaited(), awaited()]
    with pytest.raises(
        TypeError, match="of type list contains a value of type coroutine, which was not"
    ):
        refuse_used_up([coroutines[0], {"a": coroutines[1]}])
    assert {inspect.getcoroutinestate(each) for each in coroutines} == {inspect.CORO_CLOSED}


def test_a_coroutine_returned_after_the_deadline_is_closed__fault_61() -> None:
    """What a job returned too late is dropped, and a coroutine is closed."""
    coroutine = awaited()
    outcome = classify(StopReason.DEADLINE, CallResult(coroutine, None, 2.0), 1.0)
    assert (outcome.status, outcome.result) == (JobStatus.TIMEOUT, None)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


async def test_a_scripted_result_that_is_used_up_is_refused__fault_61() -> None:
    """A test cannot have a job end with what no job can end with."""
    queue = InMemoryJobQueue(JobHandlers())
    with pytest.raises(TypeError, match="used up by its first reader"):
        queue.set_outcome("it", result=rows())
