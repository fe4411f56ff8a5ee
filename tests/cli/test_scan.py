"""The demo's scan, on small real trees."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobContext, JobStatus
from stoat_jobs._demo.jobs import demo_handlers
from stoat_jobs._demo.scan import ROWS, ScanReport, Unreadable, scan_directory
from stoat_jobs._demo.tree import UNREADABLE_LISTED, Tree, chunks, filled

from ..support.sockets import leave_socket


class Reported(JobContext):
    """Keeps what a handler reports; a queue may pass over some of it."""

    __slots__ = ("reports",)

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[tuple[float, str | None]] = []

    def set_progress(self, fraction: float, message: str | None = None) -> None:
        super().set_progress(fraction, message)
        self.reports.append((fraction, message))


async def scan(root: Path) -> ScanReport:
    """The report, as it comes back from a queue."""
    queue = InMemoryJobQueue(demo_handlers(root))
    record = await queue.wait(await queue.submit("scan"))
    assert record.status is JobStatus.COMPLETED, record.error
    assert isinstance(record.result, ScanReport)
    return record.result


def fill(root: Path, **files: bytes) -> None:
    for name, content in files.items():
        (root / name.replace("__", ".")).write_bytes(content)


async def test_files_and_bytes_are_those_of_the_tree(tree: Path) -> None:
    """Every regular file at every depth is counted, with its bytes."""
    report = await scan(tree)
    assert (report.files, report.bytes) == (3, 7000)
    assert (report.symlinks, report.special, report.hard_links, report.unreadable) == (0, 0, 0, 0)


async def test_an_empty_tree_has_an_empty_report(tmp_path: Path) -> None:
    """A directory without files gives zeros and empty tables."""
    report = await scan(tmp_path)
    assert (report.files, report.bytes, report.suffixes, report.duplicate_files) == (0, 0, 0, 0)
    assert (report.by_suffix, report.largest, report.duplicates) == ([], [], [])


async def test_totals_by_suffix_are_sorted_by_bytes(tmp_path: Path) -> None:
    """Suffixes are told apart without case, version numbers are none, most bytes come first."""
    fill(tmp_path, a__TXT=b"12", b__txt=b"3", plain=b"4", lib__so__6=b"12345678")
    report = await scan(tmp_path)
    assert [(each.suffix, each.files, each.bytes) for each in report.by_suffix] == [
        (".so", 1, 8),
        (".txt", 2, 3),
        ("", 1, 1),
    ]


async def test_tables_hold_only_their_first_rows(tmp_path: Path) -> None:
    """However many files there are, the tables stay short and the totals are of all."""
    for number in range(3 * ROWS):
        content = b"x" * (number // 2 + 1)
        fill(tmp_path, **{f"{number}__s{number}": content})
    report = await scan(tmp_path)
    assert [len(table) for table in (report.by_suffix, report.largest, report.duplicates)] == [
        ROWS,
        ROWS,
        ROWS,
    ]
    assert (report.files, report.suffixes) == (3 * ROWS, 3 * ROWS)
    assert [file.bytes for file in report.largest] == [8, 7, 7, 6, 6]
    assert report.duplicate_files == 3 * ROWS // 2


async def test_duplicates_are_files_of_the_same_content(tmp_path: Path) -> None:
    """Groups are by content, not size or name; those that waste most come first."""
    fill(tmp_path, a=b"same", b=b"same", c=b"diff", d=b"longer one", e=b"longer one", f=b"same")
    report = await scan(tmp_path)
    assert [(each.bytes, each.files, each.paths) for each in report.duplicates] == [
        (10, 2, ["d", "e"]),
        (4, 3, ["a", "b", "f"]),
    ]
    assert (report.duplicate_files, report.duplicate_bytes) == (3, 18)


async def test_empty_files_are_no_duplicates(tmp_path: Path) -> None:
    """Empty files repeat nothing worth naming."""
    fill(tmp_path, a=b"", b=b"")
    assert (await scan(tmp_path)).duplicate_files == 0


async def test_many_copies_are_counted_and_a_few_named(tmp_path: Path) -> None:
    """A group names its first files and counts all."""
    fill(tmp_path, **{f"copy{number}": b"same" for number in range(7)})
    (copies,) = (await scan(tmp_path)).duplicates
    assert (copies.files, copies.paths) == (7, ["copy0", "copy1", "copy2"])


async def test_links_and_special_files_are_left_alone(tmp_path: Path) -> None:
    """Symbolic links are not followed, special files not opened, hard links read once."""
    fill(tmp_path, file=b"content")
    os.link(tmp_path / "file", tmp_path / "name")
    (tmp_path / "root").symlink_to("/")
    os.mkfifo(tmp_path / "fifo")
    leave_socket(tmp_path)
    report = await scan(tmp_path)
    assert (report.files, report.bytes, report.duplicate_files) == (1, 7, 0)
    assert (report.symlinks, report.special, report.hard_links) == (1, 2, 1)


async def test_what_cannot_be_opened_is_counted_and_listed(tmp_path: Path) -> None:
    """A directory too deep for its path to be opened is listed with the reason; the rest is read."""
    fill(tmp_path, near=b"near")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    report = await scan(tmp_path)
    assert (report.files, report.unreadable) == (1, 1)
    assert report.unreadable_listed[0].path.startswith("ddd")
    assert report.unreadable_listed[0].reason == "File name too long"


def test_many_unreadable_files_are_counted_and_a_few_listed() -> None:
    """The list of what could not be read is bounded, its count is not."""
    tree = Tree(JobContext(), "/")
    for number in range(100):
        tree.add_unreadable(f"/{number}", OSError(5, "Input/output error"))
    assert tree.unreadable == 100
    assert len(tree.listed) == UNREADABLE_LISTED
    assert tree.listed[0] == ("0", "Input/output error")


def test_a_file_that_vanishes_is_listed(tmp_path: Path) -> None:
    """A file that goes away between its listing and its reading is counted and listed."""
    fill(tmp_path, a=b"stays", b=b"goes")

    class Vanishing(JobContext):
        """Removes the second file when the first one was read."""

        __slots__ = ()

        def set_progress(self, fraction: float, message: str | None = None) -> None:
            if message == "1 of 2 files":
                (tmp_path / "b").unlink(missing_ok=True)

    report = scan_directory(Vanishing(), tmp_path)
    assert (report.files, report.unreadable) == (1, 1)
    assert report.unreadable_listed == [Unreadable(path="b", reason="No such file or directory")]


def test_a_fifo_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    """What became a fifo since it was listed is refused at once, not waited for."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file any more"):
        list(chunks(str(tmp_path / "fifo"), memoryview(bytearray(10))))


async def test_the_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    """Files that differ in their last byte alone, beyond the first chunk, are no duplicates."""
    big = b"x" * (3 << 20)
    fill(tmp_path, a=big + b"1", b=big + b"2", c=big + b"1")
    report = await scan(tmp_path)
    assert [copies.paths for copies in report.duplicates] == [["a", "c"]]


def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    """Progress never falls, goes from 0 to 1, and says how many files were read."""
    fill(tmp_path, **{f"file{number}": b"x" * number for number in range(50)})
    ctx = Reported()
    scan_directory(ctx, tmp_path)
    fractions = [fraction for fraction, _ in ctx.reports]
    assert fractions == sorted(fractions)
    assert ctx.reports[0] == (0.0, "0 of 50 files")
    assert ctx.reports[-1] == (1.0, "50 of 50 files")


def test_progress_is_reported_for_each_thousandth(tmp_path: Path) -> None:
    """Thousands of files make about a thousand reports, not one for each file and chunk."""
    for number in range(6000):
        (tmp_path / str(number)).touch()
    ctx = Reported()
    assert scan_directory(ctx, tmp_path).files == 6000
    assert ctx.reports[0] == (0.0, "counted 5,000 files so far")
    assert len(ctx.reports) == 1003


def test_progress_within_a_file_is_by_bytes(tmp_path: Path) -> None:
    """A file of many chunks moves the progress while it is read."""
    fill(tmp_path, big=b"x" * (4 << 20))
    ctx = Reported()
    scan_directory(ctx, tmp_path)
    assert [fraction for fraction, _ in ctx.reports] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_tree_that_grows_keeps_its_progress_in_range(tmp_path: Path) -> None:
    """Files that appear after the first pass are read, and progress stays within 0 to 1."""
    fill(tmp_path, a=b"first")

    class Growing(Reported):
        __slots__ = ()

        def set_progress(self, fraction: float, message: str | None = None) -> None:
            super().set_progress(fraction, message)
            if message == "0 of 1 file":
                fill(tmp_path, a=b"longer than before", b=b"new")

    ctx = Growing()
    assert scan_directory(ctx, tmp_path).files == 2
    assert max(fraction for fraction, _ in ctx.reports) == 1.0
    assert ctx.reports[-1] == (1.0, "2 of 2 files")


async def test_a_cancel_is_honoured_within_a_file(endless: Path) -> None:
    """A cancel stops the scan in the middle of a file, and the job is cancelled."""
    async with AsyncioJobQueue(demo_handlers(endless)) as queue:
        job_id = await queue.submit("scan")
        async for record in queue.watch(job_id):
            if record.message == "1 of 2 files" and not record.status.is_terminal:
                assert await queue.cancel(job_id)
        assert record.status is JobStatus.CANCELLED
        assert (await queue.stats()).abandoned == 0


def test_no_content_for_now_is_an_error_not_the_end() -> None:
    """A file that would block (some below /proc do) is refused, not taken for empty."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with io.FileIO(reading) as file, io.FileIO(writing, "wb") as other:
        other.write(b"content")
        contents = filled(file, memoryview(bytearray(10)), 100)
        assert bytes(next(contents)) == b"content"
        with pytest.raises(OSError, match="reading would block"):
            next(contents)
