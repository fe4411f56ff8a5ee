"""The queue on a server behaves like the kit's plain model of a queue, apart from time.

The clock that the machine turns is not the server's. So there are no delays and no records that
are too old or too many; reports, which are written a moment later, have tests of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, rule, run_state_machine_as_test

from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs._cli.check.suite import DETERMINISTIC
from stoat_jobs._postgres import claims
from stoat_jobs.postgres import PostgresJobQueue
from stoat_jobs.testing import JobQueueMachine
from stoat_jobs.testing._machine import KEYS

from ..support.loops import ON_UVLOOP, UvloopWithFakeClock
from ..support.postgres.cluster import Cluster
from ..support.postgres.emptying import empty

FOR_EVER = {"result_ttl": 1e9, "max_results": 10_000}
FEW, MANY = 5, 20


class PostgresMachine(JobQueueMachine):
    url: ClassVar[str]
    jobs: Bundle[Any] = Bundle("jobs")

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> PostgresJobQueue:
        changed = settings.model_copy(update={"url": self.url, **FOR_EVER})
        return PostgresJobQueue(handlers, changed, observers)

    @initialize(concurrency=st.integers(1, 3))
    def start_queue(self, concurrency: int) -> None:
        asyncio.run(empty(self.url, "stoat_jobs"))
        super().start_queue(concurrency)
        self.model.settings = self.bench.queue.settings

    # What has to do with the server's clock, or is seen a moment later.
    submit = submit_limited = report = report_late = None  # type: ignore[assignment]

    @rule(
        target=jobs,
        key=st.sampled_from([None, *KEYS]),
        deaf=st.booleans(),
        kept=st.booleans(),
    )
    def submit_now(self, key: str | None, deaf: bool, kept: bool) -> Any:
        return super().submit(key=key, deaf=deaf, kept=kept, delay=None)

    @rule(target=jobs)
    def submit_limited_now(self) -> Any:
        return super().submit_limited(delay=None)


class OnUvloop(PostgresMachine):
    loop_factory = UvloopWithFakeClock


def run(machine: type[PostgresMachine], url: str, examples: int) -> None:
    machine.url = url
    # To make a failure shorter would take minutes.
    chosen = hypothesis_settings(DETERMINISTIC, max_examples=examples, phases=[Phase.generate])
    run_state_machine_as_test(machine, settings=chosen)


def test_a_queue_agrees_with_a_plain_model_of_it(cluster: Cluster) -> None:
    """Whatever happens in whatever order, apart from time, it behaves like a plain model."""
    run(PostgresMachine, cluster.url, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [PostgresMachine, pytest.param(OnUvloop, marks=ON_UVLOOP)])
def test_long_runs_agree_with_it(cluster: Cluster, machine: type[PostgresMachine]) -> None:
    """On both event loops."""
    run(machine, cluster.url, MANY)


def test_what_is_wrong_is_found(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine fails for a queue that forgets how many jobs of a type may run."""
    monkeypatch.setattr(claims, "_room", lambda definition, running: 10)
    with pytest.raises(AssertionError):
        run(PostgresMachine, cluster.url, MANY)
