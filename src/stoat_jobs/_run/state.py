"""The states of a run, in one table.

running         -> draining | cut_off | stopping | lost | finished
draining        -> stopping | lost | finished
cut_off         -> draining | stopping | lost | finished
stopping        -> cancelling | lost | finished
cancelling      -> lost_cancelling | finished
lost            -> lost_cancelling | finished
lost_cancelling -> finished
finished        -> nothing

- running: the handler is called, and called again if an attempt fails.
- draining: the queue closes. The handler may finish, but is not called again.
- cut_off: others cancelled the job's task. The next round of the event loop shows whether they
  cancelled everything, as ``asyncio.run`` does, and so closed the queue.
- stopping: the job was told to stop, and its grace period runs.
- cancelling: a cooperative handler has let its grace period pass, is cancelled, and has another.
- lost: another worker has the job. It was told to stop as in stopping, and what its handler does
  and reports is not the job's any more: there will be no outcome.
- lost_cancelling: the same, as in cancelling.
- finished: the outcome is fixed, and what the handler still does changes nothing. (Or the loop is
  closed, and nobody can be told.)

Whoever changes a state calls :func:`advance`; an illegal change raises and changes nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class RunState(StrEnum):
    """What happens next in a run; the rules are at the top of this file."""

    RUNNING = "running"
    DRAINING = "draining"
    CUT_OFF = "cut_off"
    STOPPING = "stopping"
    CANCELLING = "cancelling"
    LOST = "lost"
    LOST_CANCELLING = "lost_cancelling"
    FINISHED = "finished"


RUNNING, DRAINING, CUT_OFF, STOPPING, CANCELLING, LOST, LOST_CANCELLING, FINISHED = RunState

NEXT: dict[RunState, frozenset[RunState]] = {
    RUNNING: frozenset({DRAINING, CUT_OFF, STOPPING, LOST, FINISHED}),
    DRAINING: frozenset({STOPPING, LOST, FINISHED}),
    CUT_OFF: frozenset({DRAINING, STOPPING, LOST, FINISHED}),
    STOPPING: frozenset({CANCELLING, LOST, FINISHED}),
    CANCELLING: frozenset({LOST_CANCELLING, FINISHED}),
    LOST: frozenset({LOST_CANCELLING, FINISHED}),
    LOST_CANCELLING: frozenset({FINISHED}),
    FINISHED: frozenset(),
}

NOT_OURS: frozenset[RunState] = frozenset({LOST, LOST_CANCELLING})
"""The states of a run whose job another worker has."""

AFTER_FIRST_GRACE: dict[RunState, RunState] = {STOPPING: CANCELLING, LOST: LOST_CANCELLING}
"""What follows if a cooperative handler has let its grace period pass."""


class HasState(Protocol):
    """What :func:`advance` needs of a run."""

    state: RunState


def can_become(run: HasState, state: RunState) -> bool:
    """Whether the table has this change."""
    return state in NEXT[run.state]


def advance(run: HasState, state: RunState) -> None:
    """Move *run* to *state*.

    Raises:
        RuntimeError: the table has no such change; *run* is as it was.
    """
    if state not in NEXT[run.state]:
        raise RuntimeError(f"a run that is {run.state} cannot become {state}")
    run.state = state
