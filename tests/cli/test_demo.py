"""`stoat-jobs demo` as its user sees it: real processes, real directories, real HTTP."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys

import pytest

from stoat_jobs._cli import main


def matches(patterns, lines):
    """Whether each line is what its pattern says; the first that is not, else None."""
    assert len(patterns) <= len(lines), lines
    return next((line for p, line in zip(patterns, lines) if not re.fullmatch(p, line)), None)


def test_a_run_tells_the_whole_story(start, tree):
    """A run shows the 202, the progress, the requests answered and the report, and exits with 0."""
    code, out, err = start("demo", tree).finish()
    assert (code, err) == (0, "")
    root = re.escape(str(tree))
    story = [
        rf"A web app reads {root} in a background job\.",
        r"server          http://127\.0\.0\.1:\d+ \(uvicorn, Starlette\)",
        r"POST /scan      202 Accepted in [\d.]+ m?s: job [0-9a-f]{8}",
        r"GET /jobs/id    100%  3 of 3 files",
        r"GET /ping       meanwhile answered [\d,]+ times?(: median [\d.]+ m?s, slowest .*s)?",
        r"",
        rf"3 files, 7\.0 kB in {root}",
        r"  read in [\d.]+ m?s, .* per second",
    ]
    # How much of the way is seen depends on the machine.
    steps = [line for line in out.splitlines() if not re.match(r"GET /jobs/id +\d\d?%", line)]
    assert matches(story, steps) is None
    assert "Duplicates: 1 file, 2.0 kB, repeat another file's content" in steps


def test_the_directory_is_by_default_the_one_it_is_called_in(start, tree, monkeypatch):
    """Without DIR the demo reads the current directory."""
    monkeypatch.chdir(tree)
    code, out, _ = start("demo").finish()
    assert code == 0
    assert f"3 files, 7.0 kB in {tree}\n" in out


def test_an_empty_directory_has_an_honest_report(start, tmp_path):
    """A directory without files is read in full, and the report says so."""
    code, out, err = start("demo", tmp_path).finish()
    assert (code, err) == (0, "")
    assert f"0 files, 0 B in {tmp_path}\n" in out
    assert "GET /jobs/id    100%  0 of 0 files\n" in out


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "No such file or directory"), ("file", "Not a directory")],
)
def test_what_is_no_directory_is_one_clear_line(start, tmp_path, name, reason):
    """A DIR that is missing, or a file, gives one line on stderr and exit code 2."""
    (tmp_path / "file").touch()
    path = tmp_path / name
    expected = f"stoat-jobs demo: cannot read {path}: {reason}\n"
    assert start("demo", path).finish() == (2, "", expected)


def test_a_directory_that_may_not_be_read_is_one_clear_line(start, tmp_path, obeying):
    """A DIR without permission gives one line on stderr and exit code 2."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    expected = f"stoat-jobs demo: cannot read {closed}: Permission denied\n"
    assert start("demo", closed, prefix=obeying).finish() == (2, "", expected)


def test_what_may_not_be_read_inside_is_counted_and_listed(start, tree, obeying):
    """Files and directories without permission do not stop the scan: they are counted and listed."""
    (tree / "secret.txt").write_text("x")
    (tree / "secret.txt").chmod(0)
    (tree / "below" / "closed").mkdir(mode=0)
    code, out, err = start("demo", tree, prefix=obeying).finish()
    assert (code, err) == (0, "")
    assert f"3 files, 7.0 kB in {tree}\n" in out
    assert out.endswith(
        "\nCould not read 2 entries\n"
        "  secret.txt: Permission denied\n"
        "  below/closed: Permission denied\n"
    )


def test_what_is_no_regular_file_is_skipped_and_counted(start, tree):
    """Links are not followed, fifos and sockets not opened, further hard links not read again."""
    (tree / "loop").symlink_to(tree)
    (tree / "away").symlink_to("/")
    os.mkfifo(tree / "fifo")
    os.link(tree / "one.txt", tree / "same.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tree / "socket"))
        code, out, err = start("demo", tree).finish()
    assert (code, err) == (0, "")
    assert f"3 files, 7.0 kB in {tree}\n" in out
    assert "  skipped 2 symbolic links, 2 special files, 1 repeated hard link\n" in out


def test_names_of_any_bytes_survive(start, tmp_path):
    """Names that are no UTF-8, or would move the cursor, are read and shown with escapes."""
    root = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(root)
    for name in (b"latin-\xe9.txt", b"evil\x1b[2J\n.txt"):
        with open(root + b"/" + name, "wb") as file:
            file.write(name)
    code, out, err = start("demo", os.fsdecode(root)).finish()
    assert (code, err) == (0, "")
    assert f"2 files, 24 B in {tmp_path}/\\xff\n" in out
    assert "  latin-\\xe9.txt\n" in out
    assert "  evil\\x1b[2J\\n.txt\n" in out


def test_output_that_cannot_show_a_name_escapes_it(start, tmp_path):
    """A terminal of ASCII alone gets escapes, not a traceback."""
    (tmp_path / "caf\u00e9.txt").write_text("x")
    code, out, err = start("demo", tmp_path, PYTHONIOENCODING="ascii").finish()
    assert (code, err) == (0, "")
    assert "  caf\\xe9.txt\n" in out


def test_a_pipe_gets_no_control_codes(start, tree):
    """What is not read in a terminal has no control codes, whatever colours are asked for."""
    code, out, _ = start("demo", tree, FORCE_COLOR="1", CLICOLOR_FORCE="1").finish()
    assert code == 0
    assert out.replace("\n", "").isprintable()


def test_a_proxy_of_the_environment_is_not_asked(start, tree):
    """The demo talks to its own machine directly, also where a proxy is configured."""
    proxy = "http://127.0.0.1:9"
    code, _, err = start("demo", tree, HTTP_PROXY=proxy, http_proxy=proxy, ALL_PROXY=proxy).finish()
    assert (code, err) == (0, "")


def test_a_reader_that_leaves_ends_the_demo(start, endless):
    """`stoat-jobs demo | head -1` ends without a traceback, and does not wait for the job."""
    command = start("demo", endless)
    command.read_until("A web app reads")
    command.process.stdout.close()
    assert command.process.wait() == 1
    assert command.process.stderr.read() == ""


def test_missing_extras_are_named(tree, monkeypatch, capsys):
    """Without the extra [demo] one line says what is missing and how to get it; exit code 2."""
    for name in ("rich", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["demo", str(tree)]) == 2
    assert capsys.readouterr() == (
        "",
        'stoat-jobs demo: rich, uvicorn not installed: pip install "stoat-jobs[demo]"\n',
    )


def test_the_command_itself_needs_no_extra():
    """Importing the command imports nothing that an extra brings."""
    program = (
        "import sys, stoat_jobs._cli;"
        " print({'httpx', 'rich', 'starlette', 'uvicorn'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert shown.stdout.strip() == b"set()"
