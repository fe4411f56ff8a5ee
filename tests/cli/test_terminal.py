"""`stoat-jobs` in a terminal: a real one, of several widths."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len

from ..support.stand_in import JOB, JOB_ID, MOUNT, StandIn, answer, ended, record
from ..support.terminal import CONTROL, StartTerminal

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
HOSTILE, SEEN = "[red]\x1b[2J\nforged", "[red]\\x1b[2J\\nforged"


def pictures(out: str) -> list[str]:
    """The lines that were drawn, one after another."""
    return re.split(r"[\r\n]+", CONTROL.sub("", out))


@pytest.mark.parametrize(("columns", "label"), [(120, True), (80, True), (50, False), (30, False)])
def test_a_terminal_gets_a_bar(
    terminal: StartTerminal, tree: Path, columns: int, label: bool
) -> None:
    """In a terminal a bar is drawn that fits its width, and the cursor comes back."""
    code, out = terminal("demo", tree, columns=columns).finish()
    assert code == 0
    bars = [line for line in pictures(out) if "\u2501" in line]
    assert "100%" in bars[-1]
    assert bars[-1].startswith("GET /jobs/id/events") == label
    assert max(map(len, bars)) <= columns
    assert out.rindex(SHOWN) > out.rindex(HIDDEN)


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_gets_plain_lines(
    terminal: StartTerminal, tree: Path, variables: dict[str, str]
) -> None:
    """With NO_COLOR, or in a dumb terminal, there are no control codes and no bar."""
    code, out = terminal("demo", tree, columns=80, **variables).finish()
    assert code == 0
    assert re.sub(r"[\r\n]", "", out).isprintable()
    assert "GET /jobs/id/events  100%  3 of 3 files" in out


def test_a_watched_job_is_drawn_in_its_place(server: StandIn, terminal: StartTerminal) -> None:
    """A job's bar moves, a lost server is said below it, and its end stays on the screen."""
    shown = terminal("watch", server.url + JOB, columns=80)
    server.tell(record(progress=0.5, message=HOSTILE))
    shown.read_until(f" 50%  {SEEN}")
    port = server.server_port
    server.close()
    shown.read_until("disconnected for 0:0")
    with closing(StandIn(port)) as restarted:
        restarted.tell(ended("failed", progress=0.5, error=HOSTILE, error_type="OSError"))
        code, out = shown.finish()
    assert code == 1
    last = pictures(out)[-4:]
    assert last[0] == f"scan  {JOB_ID}  failed  2.5 s"
    assert last[1].rstrip().startswith("\u2501") and " 50%" in last[1]
    assert last[2:] == [f"OSError: {SEEN}", ""]
    assert "\x1b[2J" not in out
    assert out.rindex(SHOWN) > out.rindex(HIDDEN)


@pytest.mark.parametrize("columns", [150, 80, 30])
def test_a_table_fits_its_terminal(server: StandIn, terminal: StartTerminal, columns: int) -> None:
    """As many jobs as there is room for are drawn, however wide and high the terminal is."""
    jobs = [
        record(job_id=f"{number:08}-{JOB_ID[9:]}", job_type="\u732b" * 20, message="m" * 200)
        for number in range(20)
    ]
    server.answers[MOUNT] = [answer(jobs)]
    shown = terminal("watch", server.url + MOUNT, columns=columns, lines=12)
    shown.read_until("and 12 more")
    shown.press(b"\x03")
    code, out = shown.finish()
    assert code == 0
    assert max(map(cell_len, pictures(out))) <= columns
    assert out.rindex(SHOWN) > out.rindex(HIDDEN)


def test_ctrl_c_gives_the_terminal_back(server: StandIn, terminal: StartTerminal) -> None:
    """Ctrl-C while a job is watched leaves its last picture, once, and the cursor."""
    shown = terminal("watch", server.url + JOB, columns=80)
    server.tell(record(progress=0.5, message="half"))
    shown.read_until("half")
    shown.press(b"\x03")
    code, out = shown.finish()
    assert code == 130
    # Else the cursor would be on the next line, and the picture drawn once more.
    assert max(map(cell_len, pictures(out))) <= 80
    assert out.rindex(SHOWN) > out.rindex(HIDDEN)
    assert "Traceback" not in out


def test_a_table_has_the_number_of_all_jobs(server: StandIn, terminal: StartTerminal) -> None:
    """Below a table is how many jobs the server has besides those that it lists."""
    server.answers[MOUNT] = [answer([record()], Link=f'<{MOUNT}?before=x>; rel="next"')]
    server.answers[f"{MOUNT}stats"] = [answer({"by_status": {"completed": 6, "running": 1}})]
    terminal("watch", server.url + MOUNT, columns=80).read_until("and 6 more")
