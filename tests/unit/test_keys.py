"""Digests of payloads, and stores that save many jobs or none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from stoat_jobs import JobContext, JobHandlers, JobNotKeptError
from stoat_jobs._backends.store import save_all
from stoat_jobs._payload.digest import digest_of
from stoat_jobs.backends import FrozenPayload, StoredJob

from ..support.programs import run_python, unmeasured
from ..support.stores import TextHandle, TextJobQueue, TextStore


class Tagged(BaseModel):
    tags: frozenset[str]


@dataclass
class Point:
    x: int
    seen: set[int]


async def accept(
    ctx: JobContext,
    /,
    tags: frozenset[str] = frozenset(),
    size: float = 1,
    nested: Tagged | None = None,
    points: list[Point] | None = None,
    **more: Any,
) -> None: ...


def digest(**payload: Any) -> str:
    form = JobHandlers().register("accept", accept).form
    frozen = form.freeze(payload)
    digests = {digest_of(frozen), digest_of(FrozenPayload(form.thaw(frozen.text), frozen.text))}
    assert len(digests) == 1
    return digests.pop()


SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"size": 1}),
    ({"size": "2"}, {"size": 2.0}),
    ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1}),
    ({"tags": [str(each) for each in range(99)]}, {"tags": [str(98 - each) for each in range(99)]}),
    ({"nested": {"tags": ["x", "y", "z"]}}, {"nested": {"tags": ["z", "x", "y", "x"]}}),
    ({"points": [{"x": 1, "seen": [8, 0]}]}, {"points": [{"x": 1, "seen": [0, 8]}]}),
]
OTHERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"a": [1, 2]}, {"a": [2, 1]}),
    ({"a": 1}, {"b": 1}),
    ({"tags": ["x"]}, {"tags": ["y"]}),
    ({"points": [{"x": 1, "seen": []}]}, {"points": [{"x": 2, "seen": []}]}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_payloads_have_equal_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Neither defaults, nor the order of names, nor that of a set makes another payload."""
    assert digest(**one) == digest(**other)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_other_payloads_have_other_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The order of a list and every value count."""
    assert digest(**one) != digest(**other)


SETS = """
from stoat_jobs._payload.digest import digest_of
from stoat_jobs.backends import PayloadForm
async def accept(ctx, tags: set[str]): ...
print(digest_of(PayloadForm("a", accept).freeze({"tags": [str(each) for each in range(50)]})))
"""


def test_a_digest_is_the_same_in_every_process() -> None:
    """However Python hashes text there."""
    seeds = [{**unmeasured(), "PYTHONHASHSEED": seed} for seed in ("1", "2")]
    assert len({run_python("-c", SETS, env=seed).stdout for seed in seeds}) == 1


class FullStore(TextHandle):
    """Has room for two jobs."""

    def save(self, job: StoredJob) -> None:
        if len(self._store.jobs) == 2:
            raise OSError("disk full")
        super().save(job)


class FullQueue(TextJobQueue):
    def make_store(self) -> FullStore:
        return FullStore(self._given)


class AtOnceStore(TextHandle):
    """Has the optional method."""

    calls = 0

    def save_many(self, jobs: Iterable[StoredJob]) -> None:
        self.calls += 1
        for job in jobs:
            self.save(job)


async def test_many_that_the_store_does_not_keep_are_none() -> None:
    """Those already saved are forgotten, nothing is accepted, and the queue goes on."""
    handlers = JobHandlers()
    handlers.register("accept", accept)
    store = TextStore()
    async with FullQueue(handlers, None, (), store=store) as queue:
        with pytest.raises(JobNotKeptError, match="disk full"):
            await queue.submit_many("accept", [{}] * 3)
        assert not await queue.list_jobs()
        assert store.jobs == {}
        ids = await queue.submit_many("accept", [{}] * 2)
        assert [(await queue.wait(job_id)).status for job_id in ids] == ["completed"] * 2


async def test_a_store_may_save_many_at_once() -> None:
    """One write for all of them, if it has the method."""
    handlers = JobHandlers()
    handlers.register("accept", accept)
    queue = TextJobQueue(handlers, None, (), store=TextStore())
    store = queue._store = AtOnceStore(queue._given)
    async with queue:
        ids = await queue.submit_many("accept", [{}] * 3)
        for job_id in ids:
            await queue.wait(job_id)
    assert store.calls == 1
    save_all(store, [])
