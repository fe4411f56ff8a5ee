"""Fixtures for tests of applications, registered with pytest as the plug-in ``stoat_jobs``.

This module is not in the package, because pytest imports its plug-ins in every run. So tests of
other projects in the same environment do not import a job queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stoat_jobs import InMemoryJobQueue, JobHandlers


@pytest.fixture
def job_handlers() -> JobHandlers:
    """An empty registry; override this fixture with the handlers of your application."""
    from stoat_jobs import JobHandlers

    return JobHandlers()


@pytest.fixture
def job_queue(job_handlers: JobHandlers) -> InMemoryJobQueue:
    """A queue of ``job_handlers`` whose jobs have finished when ``submit`` returns."""
    from stoat_jobs import InMemoryJobQueue

    return InMemoryJobQueue(job_handlers)


@pytest.fixture
def stepped_job_queue(job_handlers: JobHandlers) -> InMemoryJobQueue:
    """A queue of ``job_handlers`` whose jobs wait until ``await queue.run_next()``."""
    from stoat_jobs import InMemoryJobQueue, JobQueueSettings

    return InMemoryJobQueue(job_handlers, JobQueueSettings(options={"autorun": False}))
