"""The kit as one test class for the backend under test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from stoat_jobs import JobBackend, JobHandlers, JobQueueSettings
from stoat_jobs.backends import Capabilities
from stoat_jobs.testing import JobQueueContract, JobQueueMachine
from stoat_jobs.testing._promises import Promises, excuse, needs

from .subject import Place, Subject, new_place

# The same steps in each run, and not too many for a slow engine.
DETERMINISTIC = hypothesis_settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class SubjectFactory:
    """Creates the queues of the contract and of the machine."""

    subject: Subject
    capabilities: Capabilities
    _place: Place | None = None

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> JobBackend:
        """A queue of the backend; all queues of one test share one store."""
        if self._place is None:
            self._place = new_place()
        settings = self.subject.settings(settings, self._place)
        return self.subject.make_queue(handlers, settings, observers)

    def _capabilities_of(self, queue: JobBackend) -> Capabilities:
        return self.capabilities  # the caller may know better than the queue


class TogetherPromises(Promises):
    """All promises hold together."""

    machine: type[JobQueueMachine]
    capabilities: Capabilities

    @needs("own_clock", "prunes_at_once", "shows_each_report")
    def test_a_queue_agrees_with_a_plain_model_of_it(self) -> None:
        """Whatever happens in whatever order, a queue behaves like a plain model of it."""
        excuse(self._test, self.capabilities)
        run_state_machine_as_test(self.machine, settings=DETERMINISTIC)


def suite_of(
    name: str, url: str | None, options: Mapping[str, Any], capabilities: Mapping[str, bool]
) -> type[Promises]:
    """The tests of all promises, for the backend *name*."""
    declared = Capabilities(**capabilities)
    attributes = {"subject": Subject(name, url, options), "capabilities": declared}
    machine = type("Machine", (SubjectFactory, JobQueueMachine), attributes)
    bases = (SubjectFactory, JobQueueContract, TogetherPromises)
    return type("TestPromises", bases, {**attributes, "machine": machine})
