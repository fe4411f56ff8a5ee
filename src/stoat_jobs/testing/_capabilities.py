"""What a backend may say that it can, or cannot, by its nature."""

from __future__ import annotations

from collections.abc import Mapping


class Capabilities:
    """Each attribute excuses a backend from promises that are not its kind's to keep."""

    concurrent = True
    """It runs ``settings.concurrency`` jobs at a time; else one."""

    submit_returns_early = True
    """``submit`` returns once the job is accepted; else when it has ended."""

    keeps_any_result = False
    """A result is kept as it is; else it has to have JSON."""

    submitter_context = True
    """A handler sees the context variables of whoever submitted its job."""

    survives_cancelled_tasks = True
    """Somebody who cancels every task of the event loop costs it jobs at most; else tasks of
    an engine are among them, which it cannot begin again."""

    durable = False
    """What waits outlives the queue: it runs when a queue on the same store starts. Then
    ``make_queue``, called again in one test, gives a queue on the store of the first."""

    cross_process = False
    """Queues in several processes share a store, and each job runs in one of them. Then
    ``make_queue``, called again in one test, gives a queue on the store of the first, which may
    be open still."""

    waits_between_attempts = True
    """A retry comes after its delay; else at once."""


DEFAULTS: Mapping[str, bool] = {
    name: value for name, value in vars(Capabilities).items() if isinstance(value, bool)
}
