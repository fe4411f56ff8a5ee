"""Shows records: redrawn in place on a terminal, line by line elsewhere."""

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
from ..terminal.wording import clock
from .remote import Jobs, WatchedJob
from .wording import left_out

if TYPE_CHECKING:
    from typing import Self

# A terminal prints Ctrl-C as ^C at the cursor. On a full line that would move the cursor to the
# next line, and the last picture would be drawn below the previous one.
_ECHO_WIDTH = 3

Draw = Callable[[Jobs, datetime, Console], RenderableType]
Now = Callable[[], datetime]
Format = Callable[[WatchedJob], str]


class LineView:
    """Prints a line for each job that has changed; for a pipe."""

    def __init__(self, format_job: Format, interrupts: Interrupts) -> None:
        self._format = format_job
        self._interrupts = interrupts
        self._printed: dict[str, str] = {}
        self._connected = True
        self._is_whole = True

    def show(self, jobs: Jobs) -> None:
        """Print the jobs that have changed, the oldest first."""
        if not self._connected:
            self._connected = True
            self._print("reconnected")
        others = left_out(jobs, len(jobs))
        if others and self._is_whole:
            self._print("only the newest jobs are followed; the server has older ones")
        self._is_whole = not others
        before, self._printed = self._printed, {job.job_id: self._format(job) for job in jobs}
        for job_id, text in reversed(self._printed.items()):
            if text != before.get(job_id):
                self._print(text)

    def lost(self, reason: str, seconds: float) -> None:
        """Print that the connection is lost, but only once."""
        if self._connected:
            self._connected = False
            self._print(f"disconnected: {reason}; retrying until Ctrl-C")

    def _print(self, text: str) -> None:
        with self._interrupts.raising():
            print(text, flush=True)


class LiveView:
    """Redraws the current state in the same place."""

    def __init__(self, draw: Draw, console: Console, now: Now) -> None:
        self._draw = draw
        self._console = console
        self._jobs: Jobs | None = None
        self._now = now
        self._lost_at: datetime | None = None
        self._reason = ""
        self._again_at = now()
        # Its thread draws four times a second: clocks move, and many changes are one picture.
        self._live = Live(get_renderable=self.picture, console=console)

    def show(self, jobs: Jobs) -> None:
        """Show *jobs* from the next picture on."""
        self._jobs = jobs
        self._lost_at = None

    def lost(self, reason: str, seconds: float) -> None:
        """Show below the last known jobs that the connection is lost."""
        now = self._now()
        self._again_at = now + timedelta(seconds=seconds)
        self._reason = reason
        if self._lost_at is None:
            self._lost_at = now

    def picture(self) -> RenderableType:
        """The current picture."""
        return Constrain(self._drawn(), max(self._console.width - _ECHO_WIDTH, 1))

    def _drawn(self) -> RenderableType:
        now, lost_at = self._now(), self._lost_at
        # A job that was running when the connection was lost may have finished since.
        moment = now if lost_at is None else lost_at
        parts = [] if self._jobs is None else [self._draw(self._jobs, moment, self._console)]
        if lost_at is not None:
            parts.append(self._warning(now, now - lost_at))
        return Group(*parts)

    def _warning(self, now: datetime, lost_for: timedelta) -> RenderableType:
        wait = (self._again_at - now).total_seconds()
        retry = f"retrying in {wait:.0f} s" if wait >= 1 else "retrying"
        lost = clock(lost_for.total_seconds())
        return Text(f"disconnected for {lost}: {self._reason}; {retry}", style="yellow")

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
