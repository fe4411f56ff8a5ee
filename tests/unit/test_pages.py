"""Pages of records, their cursors, and the filters of lists."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobPage,
    JobQueueSettings,
    JobRef,
    JobStatus,
)
from stoat_jobs.backends import JobFilter, cursor_at, place_of
from stoat_jobs.testing import run_with_fake_clock

PLACES = st.integers(0, 2**64 - 1)


async def finished(number: int) -> InMemoryJobQueue:
    """A queue with so many finished jobs."""
    handlers = JobHandlers()

    @handlers.job
    async def noop(ctx: JobContext) -> None: ...

    queue = InMemoryJobQueue(handlers)
    for _ in range(number):
        await queue.submit("noop")
    return queue


@given(place=PLACES)
def test_a_cursor_leads_to_its_place(place: int) -> None:
    """Any place becomes a short text that is safe in a URL, and back."""
    cursor = cursor_at(place)
    assert place_of(cursor) == place
    assert (len(cursor), set(cursor) <= set(map(chr, range(33, 127))) - set("&=?#%/+")) == (
        16,
        True,
    )


@given(place=PLACES, position=st.integers(0, 15), char=st.characters())
def test_a_cursor_of_which_a_character_was_changed_is_refused(
    place: int, position: int, char: str
) -> None:
    """No other text in the place of one character is taken for another place."""
    cursor = cursor_at(place)
    changed = cursor[:position] + char + cursor[position + 1 :]
    if changed != cursor:
        with pytest.raises(ValueError, match="no cursor"):
            place_of(changed)


async def test_pages_are_equal_if_their_records_and_cursors_are() -> None:
    """A page can be compared with another one, and with a list of records."""
    queue = await finished(3)
    page = await queue.list_jobs(limit=2)
    assert page == await queue.list_jobs(limit=2)
    assert page != await queue.list_jobs(limit=3)
    assert page == list(page)
    assert page != tuple(page)
    assert JobPage([], "x") != JobPage([])
    with pytest.raises(TypeError, match="unhashable"):
        hash(page)


async def test_a_page_is_a_sequence() -> None:
    """It has a length, items, slices and an order, and says what it has."""
    queue = await finished(3)
    page = await queue.list_jobs()
    assert (page[:2], page[0] in page) == (tuple(page)[:2], True)
    assert [*reversed(page)] == [page[2], page[1], page[0]]
    assert repr(JobPage([], "x")) == "JobPage([], cursor='x')"


def test_jobs_of_one_instant_have_places_of_their_own() -> None:
    """On a clock that stands still no two jobs share a time of submission, and times are in order."""
    handlers = JobHandlers()

    @handlers.job
    async def noop(ctx: JobContext) -> None: ...

    async def main() -> None:
        async with AsyncioJobQueue(handlers, JobQueueSettings(loop_block_limit=0)) as queue:
            ids = [await queue.submit("noop") for _ in range(500)]
            await queue.wait(ids[-1])
            found: list[str] = []
            before = None
            for _ in range(50):
                page = await queue.list_jobs(limit=10, before=before)
                found, before = [*found, *(record.job_id for record in page)], page.cursor
            assert (found, before) == (ids[::-1], None)
            for record in await queue.list_jobs(limit=500):
                assert record.started_at is not None
                assert record.finished_at is not None
                assert record.submitted_at <= record.started_at <= record.finished_at

    run_with_fake_clock(main())


async def test_a_limit_of_nothing_leaves_the_place() -> None:
    """A list of no records ends where it began."""
    queue = await finished(2)
    page = await queue.list_jobs(limit=1)
    assert (await queue.list_jobs(limit=0, before=page.cursor)).cursor == page.cursor


# Filters.


def test_an_open_filter_finds_everything() -> None:
    """A filter of nothing is known to be one."""
    assert JobFilter.checked().is_open
    assert JobFilter.checked(metadata={}).is_open
    assert not JobFilter.checked(status=[]).is_open


class Moody(Mapping[str, Any]):
    """Raises when it is read."""

    def __getitem__(self, name: str) -> Any:
        raise RuntimeError("broken")

    def __iter__(self) -> Iterator[str]:
        return itertools.repeat("a", 1)

    def __len__(self) -> int:
        return 1


class Endless:
    """Raises when it is iterated."""

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    "filters",
    [
        {"metadata": Moody()},
        {"metadata": [("user", "ada")]},
        {"metadata": {"user": b"ada"}},
        {"metadata": {("user",): "ada"}},
        {"status": Endless()},
        {"job_type": Endless()},
        {"job_type": b"scan"},
    ],
)
def test_a_filter_of_the_wrong_type_is_a_type_error(filters: dict[str, Any]) -> None:
    """Whatever a caller's own objects raise, the error names the filter."""
    with pytest.raises(TypeError, match=next(iter(filters))):
        JobFilter.checked(**filters)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_filter_on_a_number_that_json_lacks_is_refused(number: float) -> None:
    """NaN equals nothing, and JSON has no infinity."""
    with pytest.raises(ValueError, match="finite"):
        JobFilter.checked(metadata={"tries": number})


class Text(str):
    """Text of a type of its own, which lies."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


def test_a_filter_keeps_plain_text() -> None:
    """A subclass of text cannot match what it is not."""
    wanted = JobFilter.checked(job_type=Text("scan"), metadata={Text("user"): Text("ada")})
    assert wanted.job_types == frozenset({"scan"})
    assert wanted.metadata == (("user", "ada"),)
    assert [type(part) for part in wanted.metadata[0]] == [str, str]


def test_a_filter_takes_a_status_as_text() -> None:
    """``"failed"`` is the status of that name."""
    assert JobFilter.checked(status="failed").statuses == (JobStatus.FAILED,)


# References.


async def test_refs_are_equal_if_queue_and_job_are() -> None:
    """Two handles on one job are equal and hash alike; those of another queue or job are not."""
    queue, other = await finished(1), await finished(1)
    one, same = JobRef(queue, "a"), JobRef(queue, "a")
    assert one == same
    assert len({one, same}) == 1
    assert one != JobRef(queue, "b")
    assert one != JobRef(other, "a")
    assert one != "a"


async def test_a_ref_deletes_and_resubmits_its_job() -> None:
    """The methods are the queue's, and a new job has a typed handle too."""
    handlers = JobHandlers()

    @handlers.job(keep_payload=True)
    def double(ctx: JobContext, n: int) -> int:
        return 2 * n

    queue = InMemoryJobQueue(handlers)
    ref = await double.submit(queue, n=21)
    again = await ref.resubmit()
    assert (await again.value(), again == ref) == (42, False)
    assert await ref.delete() is True
    assert list(await queue.list_jobs()) == [await again.get_result()]


async def test_a_job_whose_metadata_is_at_the_limit_can_be_repeated() -> None:
    """What a resubmission adds has room, and adds itself once however often it is done."""
    handlers = JobHandlers()

    @handlers.job(keep_payload=True)
    def noop(ctx: JobContext) -> None: ...

    queue = InMemoryJobQueue(handlers, JobQueueSettings(max_metadata_bytes=100))
    ref = await noop.options(metadata={"a": "x" * 92}).submit(queue)
    for _ in range(2):
        origin, ref = ref, await ref.resubmit()
        metadata = (await ref.get_result()).metadata
        assert metadata == {"a": "x" * 92, "resubmitted_from": origin.job_id}
    with pytest.raises(ValueError, match="max_metadata_bytes"):
        await noop.options(metadata={"a": "x" * 93}).submit(queue)
