"""Promises about what is submitted: ids, payloads, options, and what is refused."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from stoat_jobs import (
    HandlerMismatchError,
    InvalidPayloadError,
    JobContext,
    JobHandlers,
    JobStatus,
    UnknownJobTypeError,
)

from ._bench import Bench
from ._promises import Promises, needs


class Colour(Enum):
    RED = "red"


class DriversUUID(uuid.UUID):
    """A UUID as database drivers return it."""


class LibrarysDatetime(datetime):
    """A datetime as date libraries return it."""


class Area(BaseModel):
    name: str
    mask: bytes = b""


class Unreadable(Mapping[str, Any]):
    """A mapping that raises whatever is done with it."""

    def __getitem__(self, key: str) -> Any:
        raise ZeroDivisionError

    def __iter__(self) -> Iterator[str]:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError


def circular() -> list[Any]:
    """A list that contains itself."""
    circle: list[Any] = []
    circle.append(circle)
    return circle


def deep() -> list[Any]:
    """A list nested deeper than any encoder can follow."""
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    return nested


def add_echo(bench: Bench) -> list[dict[str, Any]]:
    """Register ``echo``, which takes a number and more; returns the list of its calls."""
    received: list[dict[str, Any]] = []

    @bench.handlers.job
    async def echo(ctx: JobContext, number: int, anything: Any = None) -> None:
        received.append({"number": number, "anything": anything})

    return received


class InputPromises(Promises):
    """What ``submit`` accepts, and what it refuses before anything is queued."""

    async def test_an_id_is_a_random_uuid4_in_its_usual_text_form__fault_47(self) -> None:
        """Job ids cannot be guessed: random UUID4s, each used once."""
        async with self.bench() as bench:
            ids = [(await bench.finish(await bench.begin())).job_id for _ in range(20)]
            assert len(set(ids)) == 20
            assert [str(uuid.UUID(job_id)) for job_id in ids] == ids
            assert {uuid.UUID(job_id).version for job_id in ids} == {4}
            constant = [place for place, digits in enumerate(zip(*ids)) if len(set(digits)) == 1]
            assert constant == [8, 13, 14, 18, 23]  # the dashes and the version

    @needs("submit_returns_early")
    async def test_submit_never_waits_for_a_slot(self) -> None:
        """``submit`` returns even if every slot is in use."""
        async with self.bench() as bench:
            await bench.begin()
            waiting = await asyncio.wait_for(bench.queue.submit("hold", {}), 1)
            assert await bench.status(waiting) is JobStatus.PENDING

    async def test_a_payload_reaches_the_handler_as_the_types_it_declares(self) -> None:
        """Text, as it comes over HTTP, is converted to the types of the handler's annotations."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def typed(
                ctx: JobContext,
                path: Path,
                when: datetime,
                colour: Colour,
                area: Area,
                *,
                n: int = 7,
            ) -> bool:
                return (path, when, colour, area, n) == (
                    Path("/srv"),
                    datetime(2024, 5, 6, tzinfo=UTC),
                    Colour.RED,
                    Area(name="north"),
                    7,
                )

            payload = {
                "path": "/srv",
                "when": "2024-05-06T00:00:00Z",
                "colour": "red",
                "area": {"name": "north"},
            }
            record = await bench.run("typed", payload)
            assert record.result is True, record.error

    async def test_bytes_arrive_intact_in_nested_models_too(self) -> None:
        """Bytes that are not text arrive unchanged, at any depth."""
        async with self.bench() as bench:
            received: list[Any] = []

            @bench.handlers.job
            async def store(ctx: JobContext, data: bytes, areas: list[Area]) -> None:
                received.extend([data, areas[0].mask])

            area = Area(name="south", mask=b"\x00\xfe")
            await bench.run("store", {"data": b"\xff\x00", "areas": [area]})
            assert received == [b"\xff\x00", b"\x00\xfe"]

    async def test_an_instance_of_a_scalars_subclass_is_that_scalar__fault_62(self) -> None:
        """A driver's own UUID and a library's own datetime are accepted."""
        async with self.bench() as bench:
            received: list[Any] = []

            @bench.handlers.job
            async def kept(ctx: JobContext, name: uuid.UUID, times: list[datetime]) -> uuid.UUID:
                received.extend([name, *times])
                return DriversUUID(int=2)

            now = datetime(2024, 5, 6, tzinfo=UTC)
            stamp = LibrarysDatetime(2024, 5, 6, tzinfo=UTC)
            record = await bench.run("kept", {"name": DriversUUID(int=1), "times": [stamp]})
            assert (record.result, record.error) == (uuid.UUID(int=2), None)
            assert received == [uuid.UUID(int=1), now]
            assert list(map(type, received)) == [uuid.UUID, datetime]

    async def test_a_payload_is_isolated_from_the_caller_at_every_depth__fault_33(self) -> None:
        """The job does not see changes that the caller makes to the payload after ``submit``."""
        async with self.bench() as bench:
            seen: list[Any] = []

            @bench.handlers.job
            async def look(ctx: JobContext, plain: Any, area: Area) -> None:
                seen.extend([plain, area.name])

            blocker = await bench.begin()
            plain, area = {"list": [1, {"deep": [2]}]}, Area(name="north")
            job_id = await bench.put("look", {"plain": plain, "area": area})
            plain["list"][1]["deep"].append(3)  # type: ignore[index]
            area.name = "changed"
            blocker.finish()
            await bench.queue.wait(job_id)
            assert seen == [{"list": [1, {"deep": [2]}]}, "north"]

    async def test_defaults_are_frozen_at_submit(self) -> None:
        """If one job changes a default value, the next job still gets the declared one."""
        async with self.bench() as bench:
            seen: list[list[int]] = []

            @bench.handlers.job
            async def collect(ctx: JobContext, into: list[int] = []) -> None:  # noqa: B006
                seen.append(list(into))
                into.append(1)

            await bench.run("collect")
            await bench.run("collect")
            assert seen == [[], []]

    async def test_a_payload_may_be_left_out(self) -> None:
        """A handler without arguments needs no payload."""
        async with self.bench() as bench:
            submission = asyncio.ensure_future(bench.queue.submit("hold"))
            await bench.clock.settle()
            assert [call.payload for call in bench.calls] == [{}]
            await bench.finish(bench.calls[0])
            assert await submission == bench.calls[0].job_id

    @pytest.mark.parametrize(
        ("payload", "place"),
        [
            (None, ()),
            ([1], ()),
            ("text", ()),
            ({}, ("number",)),
            ({"number": "many"}, ("number",)),
            ({"number": 1, "nmber": 2}, ("nmber",)),
        ],
        ids=["none", "list", "text", "missing", "wrong type", "unknown name"],
    )
    async def test_a_wrong_payload_is_refused_and_nothing_queued__fault_34(
        self, payload: Any, place: tuple[str, ...]
    ) -> None:
        """``submit`` refuses a payload that does not fit the handler, and names the field."""
        async with self.bench() as bench:
            received = add_echo(bench)
            with pytest.raises(InvalidPayloadError) as caught:
                await bench.queue.submit("echo", payload)
            assert [error["loc"] for error in caught.value.errors] == [place]
            assert "echo" in str(caught.value)
            assert isinstance(caught.value, ValueError)
            await bench.clock.settle()
            assert (received, list(await bench.queue.list_jobs())) == ([], [])

    async def test_a_refused_payload_carries_pydantics_error__fault_34(self) -> None:
        """The error's cause is pydantic's own error, which a web framework can show."""
        async with self.bench() as bench:
            add_echo(bench)
            with pytest.raises(InvalidPayloadError) as caught:
                await bench.queue.submit("echo", {"number": "many"})
            assert isinstance(caught.value.__cause__, ValidationError)
            assert caught.value.errors[0]["type"] == "int_parsing"

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(math.nan, id="NaN"),
            pytest.param(math.inf, id="infinity"),
            pytest.param((1, 2), id="tuple"),
            pytest.param({1: "one"}, id="key that is no text"),
            pytest.param(datetime(2024, 1, 1), id="datetime"),
            pytest.param(SecretStr("hidden"), id="SecretStr"),
            pytest.param(Area(name="north"), id="model"),
            pytest.param("\ud800", id="lone surrogate"),
            pytest.param({"\udfff": 1}, id="lone surrogate in a key"),
            pytest.param(circular(), id="circular"),
            pytest.param(deep(), id="deep"),
            pytest.param(object(), id="object"),
        ],
    )
    async def test_what_does_not_survive_json_is_refused_by_field(self, value: Any) -> None:
        """``submit`` refuses a field that would not come back from JSON as it was, and names it."""
        async with self.bench() as bench:
            received = add_echo(bench)
            with pytest.raises(InvalidPayloadError) as caught:
                await bench.queue.submit("echo", {"number": 1, "anything": value})
            assert {error["loc"][:1] for error in caught.value.errors} == {("anything",)}
            assert (received, list(await bench.queue.list_jobs())) == ([], [])

    @pytest.mark.parametrize(
        "wide",
        [
            pytest.param("x" * 3000, id="text"),
            pytest.param(list(range(1500)), id="list"),
            pytest.param({"a": [{"b": "x" * 3000}]}, id="nested"),
            pytest.param(Area(name="x" * 3000), id="model"),
        ],
    )
    async def test_a_payload_over_its_limit_of_bytes_is_refused__fault_52(self, wide: Any) -> None:
        """A payload larger than ``max_payload_bytes`` is refused with its size and the limit."""
        async with self.bench(max_payload_bytes=2900) as bench:
            received = add_echo(bench)
            with pytest.raises(InvalidPayloadError, match=r"\b2900\b") as caught:
                await bench.queue.submit("echo", {"number": 1, "anything": wide})
            assert [error["type"] for error in caught.value.errors] == ["too_large"]
            assert "xxx" not in str(caught.value)
            assert (received, list(await bench.queue.list_jobs())) == ([], [])
            assert (await bench.run("echo", {"number": 1, "anything": "x" * 2800})).error is None

    async def test_a_payload_over_its_limit_of_depth_is_refused__fault_52(self) -> None:
        """A payload deeper than ``max_payload_depth`` is refused with its depth and the limit."""
        async with self.bench(max_payload_depth=3) as bench:
            received = add_echo(bench)
            with pytest.raises(InvalidPayloadError, match=r"\b4 levels.*\b3\b") as caught:
                await bench.queue.submit("echo", {"number": 1, "anything": [{"a": []}]})
            assert [error["type"] for error in caught.value.errors] == ["too_deep"]
            assert {error["loc"] for error in caught.value.errors} == {("anything",)}
            assert (received, list(await bench.queue.list_jobs())) == ([], [])
            assert (await bench.run("echo", {"number": 1, "anything": [{}]})).error is None

    async def test_a_mapping_that_cannot_be_read_is_refused(self) -> None:
        """A mapping whose own methods raise is an invalid payload like any other."""
        async with self.bench() as bench:
            with pytest.raises(InvalidPayloadError):
                await bench.queue.submit("hold", Unreadable())
            assert await bench.queue.list_jobs() == []

    async def test_an_unknown_job_type_is_refused_with_the_nearest_names__fault_34(self) -> None:
        """``submit`` refuses a misspelled job type, and the error lists the right one first."""
        async with self.bench() as bench:
            with pytest.raises(UnknownJobTypeError) as caught:
                await bench.queue.submit("retryin", {})
            assert caught.value.known[0] == "retrying"
            assert isinstance(caught.value, LookupError)
            assert await bench.queue.list_jobs() == []

    async def test_a_job_type_with_the_name_of_another_function_is_refused__fault_59(self) -> None:
        """``JobType.submit`` needs a queue that has the same function under its name."""
        async with self.bench() as bench:
            others = JobHandlers()

            @bench.handlers.job("send")
            async def charge(ctx: JobContext) -> str:
                return "charged"

            @others.job("send")
            async def mail(ctx: JobContext) -> str:
                return "mailed"

            with pytest.raises(HandlerMismatchError, match=r"mail.*charge"):
                await mail.submit(bench.queue)
            assert await bench.queue.list_jobs() == []
            ref = await charge.submit(bench.queue)
            assert (await bench.record(ref.job_id)).result == "charged"

    async def test_payload_keys_named_like_ours_arrive_intact__fault_35(self) -> None:
        """A payload may use any names, even those of the queue's own arguments."""
        async with self.bench() as bench:
            ours = "timeout key metadata status job_id job_type payload queue ctx self result"
            payload = dict.fromkeys(ours.split(), "x")
            call = await bench.begin("hold", payload)
            assert call.payload == payload
