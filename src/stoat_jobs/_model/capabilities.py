"""What a backend says of itself."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field, model_validator

from .._text import nearest_first, shown


class Capabilities(BaseModel, frozen=True, extra="forbid"):
    """What a backend can or cannot do by its nature, declared once: by its queue.

    >>> from stoat_jobs import AsyncioJobQueue
    >>> class MyQueue(AsyncioJobQueue):
    ...     capabilities = Capabilities(durable=True, submitter_context=False)

    Each capability excuses the backend from the promises that name it, and from no others. The
    test kit and ``stoat-jobs check`` read them from the queue; neither probes for them.

    Raises:
        TypeError: there is no such capability; lists the known ones, the nearest first.
        pydantic.ValidationError: one is not a bool.
    """

    concurrent: bool = Field(
        default=True,
        description="It runs `settings.concurrency` jobs at a time; if not, one.",
    )
    submit_returns_early: bool = Field(
        default=True,
        description="`submit` returns as soon as the job is accepted; if not, when it has"
        " finished.",
    )
    keeps_any_result: bool = Field(
        default=False,
        description="A result is kept as it is; if not, it must have JSON.",
    )
    submitter_context: bool = Field(
        default=True,
        description="A handler sees the context variables of whoever submitted its job.",
    )
    survives_cancelled_tasks: bool = Field(
        default=True,
        description="If somebody cancels every task of the event loop, only jobs are lost; if"
        " not, tasks of an engine are among them, which it cannot begin again.",
    )
    durable: bool = Field(
        default=False,
        description="What waits outlives the queue: it runs when a queue on the same store"
        " starts. In the kit, `make_queue`, called again in one test, then gives a queue on the"
        " store of the first.",
    )
    cross_process: bool = Field(
        default=False,
        description="Queues in several processes share a store, and each job runs in one of"
        " them. In the kit, `make_queue`, called again in one test, then gives a queue on the"
        " store of the first, which may still be open.",
    )
    requeues_at_shutdown: bool = Field(
        default=False,
        description="A job that the shutdown stops waits again, and runs from its beginning when"
        " a queue on the same store starts; if not, it ends as `cancelled`. Only for `durable`.",
    )
    joins_transactions: bool = Field(
        default=False,
        description="`submit` and `submit_many` with a `connection` are part of the caller's"
        " transaction; if not, they are refused.",
    )
    own_clock: bool = Field(
        default=True,
        description="Delays, retention and the times of records follow the clock of the event"
        " loop; if not, that of a server.",
    )
    prunes_at_once: bool = Field(
        default=True,
        description="Records beyond `max_results` are gone as soon as another job finishes; if"
        " not, within ten seconds.",
    )
    shows_each_report: bool = Field(
        default=True,
        description="Each report of progress or metadata is on the record at once; if not, the"
        " last of several, within a second.",
    )
    reads_in_any_thread: bool = Field(
        default=True,
        description="Jobs that have finished can be read in any thread; if not, only in the event"
        " loop that runs the queue.",
    )
    waits_for_newer_code: bool = Field(
        default=False,
        description="A payload that the code refuses which would run it is put back for a while,"
        " because other processes may have newer code; if not, its job fails at once.",
    )
    waits_between_attempts: bool = Field(
        default=True,
        description="A retry comes after its delay; if not, at once.",
    )
    waits_for_delays: bool = Field(
        default=True,
        description="A delayed job starts after its delay; if not, at once.",
    )

    @classmethod
    def of(cls, queue: object) -> Self:
        """What *queue* declares.

        Raises:
            TypeError: it declares nothing, or something else.
        """
        declared = getattr(queue, "capabilities", None)
        if isinstance(declared, cls):
            return declared
        raise TypeError(
            f"{type(queue).__name__}.capabilities must be a Capabilities, as in capabilities ="
            f" Capabilities(durable=True), not {type(declared).__name__}"
        )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: Any) -> Any:
        for name in given if isinstance(given, dict) else ():
            if name not in cls.model_fields:
                known = ", ".join(nearest_first(name, cls.model_fields))
                raise TypeError(f"no capability {shown(name)}; known, nearest first: {known}")
        return given
