"""The demo's report, line by line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stoat_jobs import JobStatus
from stoat_jobs._cli.demo.client import ScanRecord
from stoat_jobs._cli.demo.report import report_lines
from stoat_jobs._cli.demo.screen import Screen
from stoat_jobs._demo.scan import Copies, FileSize, ScanReport, SuffixTotal, Unreadable, suffix_of
from stoat_jobs._display import counted, duration_text, printable, size_text

NOTHING = ScanReport(
    files=0,
    bytes=0,
    suffixes=0,
    by_suffix=[],
    largest=[],
    duplicate_files=0,
    duplicate_bytes=0,
    duplicates=[],
    unreadable=0,
    unreadable_listed=[],
    symlinks=0,
    special=0,
    hard_links=0,
)

FULL = ScanReport(
    files=12_345,
    bytes=6_000_000,
    suffixes=3,
    by_suffix=[
        SuffixTotal(suffix=".jpeg", files=1, bytes=5_000_000),
        SuffixTotal(suffix="", files=12_000, bytes=900_000),
    ],
    largest=[FileSize(path="photos/holiday.jpeg", bytes=5_000_000)],
    duplicate_files=1_003,
    duplicate_bytes=20_000,
    duplicates=[Copies(bytes=20, files=1001, paths=["a/very/long/path/to/a.txt", "b.txt"])],
    unreadable=3,
    unreadable_listed=[Unreadable(path="a/very/long/path/to/secret", reason="Permission denied")],
    symlinks=1,
    special=2,
    hard_links=3,
)


def test_a_full_report() -> None:
    """Every part of the report, as it is read where lines may be of any length."""
    assert "\n".join(report_lines(FULL, "/home/me", 2.0)) == (
        """\
12,345 files, 6.0 MB in /home/me
  read in 2.0 s, 3.0 MB per second
  skipped 1 symbolic link, 2 special files, 3 repeated hard links

By suffix
    5.0 MB  .jpeg                1 file
  900.0 kB  (none)          12,000 files
  100.0 kB  1 more             344 files

Largest
    5.0 MB  photos/holiday.jpeg

Duplicates: 1,003 files, 20.0 kB, repeat another file's content
      20 B  1,001 x  a/very/long/path/to/a.txt
                     b.txt
                     and 999 more

Could not read 3 entries
  a/very/long/path/to/secret: Permission denied
  and 2 more"""
    )


def test_a_report_of_nothing() -> None:
    """Empty tables are left out, and no speed is made up."""
    assert list(report_lines(NOTHING, "/srv", 0.0)) == [
        "0 files, 0 B in /srv",
        "  read in 0.0 ms",
        "",
        "No duplicates",
    ]


@pytest.mark.parametrize("width", [40, 48, 60])
def test_paths_fit_the_terminal(width: int) -> None:
    """Where a terminal is narrow, paths keep their end and no line of a table is too long."""
    lines = list(report_lines(FULL, "/home/me", 2.0, width))
    assert max(map(len, (line for line in lines[4:] if line.startswith(" ")))) <= width
    assert any(line.endswith("/to/secret: Permission denied") for line in lines)


def test_a_wide_character_takes_two_columns() -> None:
    """Paths are measured as a terminal shows them."""
    wide = FULL.model_copy(update={"largest": [FileSize(path="\u732b" * 10, bytes=1)]})
    lines = list(report_lines(wide, "/home/me", 2.0, 27))
    assert "       1 B  ..." + "\u732b" * 6 in lines


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("a/b.txt", ".txt"),
        ("PHOTO.JPG", ".jpg"),
        ("libssl.so.1.1", ".so"),
        ("python3.12", ""),
        (".profile", ""),
        ("a.d/file", ""),
        ("archive.tar.gz", ".gz"),
        ("cache.0123456789abcdef", ""),
    ],
)
def test_suffixes(path: str, suffix: str) -> None:
    """A suffix is what tells a kind of file: no version, no hash, no hidden name."""
    assert suffix_of(path) == suffix


def test_units_suit_the_numbers() -> None:
    """Sizes and times are rounded into the unit that suits them, nouns follow their number."""
    sizes = [0, 999, 1000, 999_949, 999_951, 3_800_000_000, 10**12, 10**16]
    assert [size_text(size) for size in sizes] == [
        "0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "3.8 GB", "1.0 TB", "10000.0 TB"
    ]  # fmt: skip
    seconds = [0.00004, 0.0021, 0.0521, 0.999, 1, 59.94, 95, 3600]
    assert [duration_text(each) for each in seconds] == [
        "0.0 ms", "2.1 ms", "52 ms", "999 ms", "1.0 s", "59.9 s", "1 min 35 s", "60 min 0 s"
    ]  # fmt: skip
    assert [counted(1, "copy", "copies"), counted(2000, "file")] == ["1 copy", "2,000 files"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("caf\u00e9", "caf\u00e9"),
        ("\udcff", "\\xff"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb", "a\\nb"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
    ],
)
def test_names_are_shown_as_they_are(name: str, shown: str) -> None:
    """What cannot be seen, or would change how others are seen, is escaped."""
    assert printable(name) == shown


def scanned(status: JobStatus, progress: float, message: str) -> ScanRecord:
    return ScanRecord(
        job_id="id",
        job_type="scan",
        status=status,
        progress=progress,
        message=message,
        submitted_at=datetime.now(UTC),
    )


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        (["1 of 3 files", "2 of 3 files", "3 of 3 files"], ["1 of 3 files", "3 of 3 files"]),
        (["3 of 3 files", "3 of 3 files"], ["3 of 3 files"]),
    ],
    ids=["other words", "the same"],
)
def test_the_last_line_of_a_scan_is_printed_once(
    seen: list[str], shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """All bytes may be read before the last file is counted: the end is shown all the same."""
    progress = Screen().progress()
    for message in seen[:-1]:
        progress.show(scanned(JobStatus.RUNNING, 1.0, message))
    progress.show(scanned(JobStatus.COMPLETED, 1.0, seen[-1]))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("100%  ")[2] for line in lines] == shown
