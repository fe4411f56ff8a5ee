"""Digests of payloads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from stoat_jobs import JobContext, JobHandlers
from stoat_jobs._payload.digest import digest_of
from stoat_jobs.backends import FrozenPayload

from ..support.programs import run_python, unmeasured


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
