"""Where records are shown: in place in a terminal, line by line elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text

from ..terminal.interrupts import Interrupts
from . import wording
from .remote import Jobs, WatchedJob

if TYPE_CHECKING:
    from typing import Self

# A terminal shows Ctrl-C as ^C behind the cursor. On a full line that would move the cursor to the
# next one, and the last picture would be drawn below the one before.
_ECHO_WIDTH = 3

Draw = Callable[[Jobs, datetime, Console], RenderableType]
Now = Callable[[], datetime]
Say = Callable[[WatchedJob], str]


class LineView:
    """Lines for a pipe: one for each job that has changed."""

    def __init__(self, say: Say, interrupts: Interrupts) -> None:
        self._say = say
        self._interrupts = interrupts
        self._said: dict[str, str] = {}
        self._in_touch = True

    def show(self, jobs: Jobs) -> None:
        """Print what is new, the oldest job first."""
        if not self._in_touch:
            self._in_touch = True
            self._print("in touch again")
        before, self._said = self._said, {job.job_id: self._say(job) for job in jobs}
        for job_id, text in reversed(self._said.items()):
            if text != before.get(job_id):
                self._print(text)

    def lost(self, reason: str, seconds: float) -> None:
        """Say so, once."""
        if self._in_touch:
            self._in_touch = False
            self._print(f"out of touch: {reason}; asking again until Ctrl-C")

    def _print(self, text: str) -> None:
        with self._interrupts.raising():
            print(text, flush=True)


class LiveView:
    """The present state, drawn over and over in the same place."""

    def __init__(self, draw: Draw, console: Console, now: Now) -> None:
        self._draw = draw
        self._console = console
        self._jobs: Jobs | None = None
        self._now = now
        self._lost_at: datetime | None = None
        self._reason = ""
        self._again_at = now()
        # Its thread draws four times a second: clocks go on, and many changes are one picture.
        self._live = Live(get_renderable=self.picture, console=console)

    def show(self, jobs: Jobs) -> None:
        """Show them from the next picture on."""
        self._jobs = jobs
        self._lost_at = None

    def lost(self, reason: str, seconds: float) -> None:
        """Say so below what is known, which grows old."""
        now = self._now()
        self._again_at = now + timedelta(seconds=seconds)
        self._reason = reason
        if self._lost_at is None:
            self._lost_at = now

    def picture(self) -> RenderableType:
        """What is known, as it is drawn now."""
        return Constrain(self._drawn(), max(self._console.width - _ECHO_WIDTH, 1))

    def _drawn(self) -> RenderableType:
        now, lost_at = self._now(), self._lost_at
        # What was running when the server was lost may have ended since.
        moment = now if lost_at is None else lost_at
        parts = [] if self._jobs is None else [self._draw(self._jobs, moment, self._console)]
        if lost_at is not None:
            parts.append(self._warning(now, now - lost_at))
        return Group(*parts)

    def _warning(self, now: datetime, lost_for: timedelta) -> RenderableType:
        wait = (self._again_at - now).total_seconds()
        again = f"asking again in {wait:.0f} s" if wait >= 1 else "asking again"
        lost = wording.clock(lost_for.total_seconds())
        return Text(f"out of touch for {lost}: {self._reason}; {again}", style="yellow")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._live.stop()
