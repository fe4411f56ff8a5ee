"""A scan's report as lines of text; lines without indentation are headings."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from ..._demo.scan import Copies, ScanReport
from ..._display import counted, duration_text, size_text

_SIZE_WIDTH = 10
_ELLIPSIS = "..."


def report_lines(
    report: ScanReport, root: str, seconds: float, width: int | None = None
) -> Iterator[str]:
    """The lines, with paths shortened to *width* columns; with None they are not shortened."""
    yield f"{counted(report.files, 'file')}, {size_text(report.bytes)} in {root}"
    yield f"  read in {duration_text(seconds)}{_speed(report.bytes, seconds)}"
    if skipped := _skipped(report):
        yield f"  skipped {skipped}"
    for section in (_by_suffix, _largest, _duplicates, _unreadable):
        yield from section(report, width)


def _speed(size: int, seconds: float) -> str:
    return f", {size_text(size / seconds)} per second" if size and seconds > 0 else ""


def _skipped(report: ScanReport) -> str:
    parts = (
        (report.symlinks, "symbolic link"),
        (report.special, "special file"),
        (report.hard_links, "repeated hard link"),
    )
    return ", ".join(counted(*part) for part in parts if part[0])


def _by_suffix(report: ScanReport, width: int | None) -> Iterator[str]:
    if not report.by_suffix:
        return
    yield ""
    yield "By suffix"
    for total in report.by_suffix:
        yield _suffix_row(total.bytes, total.suffix or "(none)", total.files)
    if others := report.suffixes - len(report.by_suffix):
        files = report.files - sum(total.files for total in report.by_suffix)
        size = report.bytes - sum(total.bytes for total in report.by_suffix)
        yield _suffix_row(size, f"{others:,} more", files)


def _suffix_row(size: int, name: str, files: int) -> str:
    return f"{_size(size)}  {name:<12} {files:>9,} {'file' if files == 1 else 'files'}"


def _largest(report: ScanReport, width: int | None) -> Iterator[str]:
    if not report.largest:
        return
    yield ""
    yield "Largest"
    for file in report.largest:
        yield _row(_size(file.bytes), file.path, width)


def _duplicates(report: ScanReport, width: int | None) -> Iterator[str]:
    yield ""
    if not report.duplicate_files:
        yield "No duplicates"
        return
    files = counted(report.duplicate_files, "file")
    yield f"Duplicates: {files}, {size_text(report.duplicate_bytes)}, repeat another file's content"
    for copies in report.duplicates:
        yield from _copies(copies, width)


def _copies(copies: Copies, width: int | None) -> Iterator[str]:
    start = f"{_size(copies.bytes)}  {f'{copies.files:,} x':<5}"
    for path in copies.paths:
        yield _row(start, path, width)
        start = " " * len(start)
    if more := copies.files - len(copies.paths):
        yield f"{start}  and {more:,} more"


def _unreadable(report: ScanReport, width: int | None) -> Iterator[str]:
    if not report.unreadable:
        return
    yield ""
    yield f"Could not read {counted(report.unreadable, 'entry', 'entries')}"
    for each in report.unreadable_listed:
        reason = f": {each.reason}"
        yield _row("", each.path, None if width is None else width - len(reason)) + reason
    if more := report.unreadable - len(report.unreadable_listed):
        yield f"  and {more:,} more"


def _size(size: int) -> str:
    return f"{size_text(size):>{_SIZE_WIDTH}}"


def _row(start: str, path: str, width: int | None) -> str:
    return f"{start}  {_shortened(path, None if width is None else width - len(start) - 2)}"


def _shortened(path: str, width: int | None) -> str:
    """*path*, without its beginning if it is wider than *width*: the end is more useful."""
    if width is None or cell_len(path) <= width:
        return path
    while path and cell_len(path) > width - len(_ELLIPSIS):
        path = path[1:]
    return _ELLIPSIS + path
