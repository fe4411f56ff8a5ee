"""The demo's slow job: read every file below a directory and report on them."""

from __future__ import annotations

import hashlib
import heapq
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, Field

from .._display import counted
from .tree import CHUNK_BYTES, File, ScanContext, Tree, chunks

ROWS = 5
COPIES_NAMED = 3
_STEPS = 1000
_COUNTED_STEP = 5000
_SUFFIX_LENGTH = 12


class SuffixTotal(BaseModel, frozen=True):
    """The files of one suffix."""

    suffix: str = Field(description="In lower case, with its dot; empty for none.")
    files: int
    bytes: int


class FileSize(BaseModel, frozen=True):
    """One file."""

    path: str
    bytes: int


class Copies(BaseModel, frozen=True):
    """Files with the same content."""

    bytes: int = Field(description="Of one of them.")
    files: int
    paths: list[str] = Field(description="The first few.")


class Unreadable(BaseModel, frozen=True):
    """A file or directory that could not be read."""

    path: str
    reason: str


class ScanReport(BaseModel, frozen=True):
    """What a scan found; all paths are below the scanned directory and printable."""

    files: int = Field(description="Regular files that were read.")
    bytes: int = Field(description="Their bytes, as read.")
    suffixes: int = Field(description="Different suffixes.")
    by_suffix: list[SuffixTotal] = Field(description="Those with most bytes.")
    largest: list[FileSize]
    duplicate_files: int = Field(description="Files that repeat the content of another one.")
    duplicate_bytes: int = Field(description="Their bytes.")
    duplicates: list[Copies] = Field(description="The groups that waste most; no empty files.")
    unreadable: int
    unreadable_listed: list[Unreadable] = Field(description="The first few.")
    symlinks: int = Field(description="Symbolic links, which were not followed.")
    special: int = Field(description="Fifos, sockets and devices, which were not opened.")
    hard_links: int = Field(description="Further names of files that were read already.")


def scan_directory(ctx: ScanContext, root: Path) -> ScanReport:
    """Read every regular file below *root*; reports progress by bytes.

    The first pass counts the files and bytes, the second reads them. Contents are compared by
    SHA-256. Only hashes of files that share their size with another file are kept.
    """
    sizes = _sizes(ctx, root)
    progress = _Progress(ctx, sizes)
    tally = _Tally({size for size, files in sizes.items() if files > 1})
    tree = Tree(ctx, os.fspath(root))
    buffer = memoryview(bytearray(CHUNK_BYTES))
    for file in tree.files():
        try:
            size, digest = _read(ctx, file, buffer, progress)
        except OSError as error:
            tree.add_unreadable(file.path, error)
        else:
            tally.add(file.name, size, digest)
        progress.file_done(file.size)
    progress.finish()
    return _report(tree, tally)


def _sizes(ctx: ScanContext, root: Path) -> Counter[int]:
    """The number of files of each size."""
    sizes: Counter[int] = Counter()
    for number, file in enumerate(Tree(ctx, os.fspath(root)).files(), start=1):
        sizes[file.size] += 1
        if number % _COUNTED_STEP == 0:
            ctx.set_progress(0.0, f"counted {number:,} files so far")
    return sizes


def _read(
    ctx: ScanContext, file: File, buffer: memoryview, progress: _Progress
) -> tuple[int, bytes]:
    """The size and the digest of the content of *file*.

    A file of size 0 is not opened: below /proc such files may be endless, or block.
    """
    size, digest = 0, hashlib.sha256()
    for chunk in chunks(file.path, buffer) if file.size else ():
        ctx.raise_if_cancelled()
        digest.update(chunk)
        size += len(chunk)
        progress.reading(min(size, file.size))
    return size, digest.digest()


class _Progress:
    """Reports each thousandth of the bytes and of the files, however many there are."""

    def __init__(self, ctx: ScanContext, sizes: Counter[int]) -> None:
        self._ctx = ctx
        self._files = sum(sizes.values())
        self._bytes = sum(size * files for size, files in sizes.items())
        self._files_done = 0
        self._bytes_done = 0
        self._reported = (0, 0)
        self._report(0.0)

    def reading(self, size: int) -> None:
        """*size* bytes of the current file have been read."""
        self._reached(self._bytes_done + size)

    def file_done(self, size: int) -> None:
        """The current file, listed with this *size*, has been read or given up."""
        self._files_done += 1
        self._files = max(self._files, self._files_done)
        self._bytes_done += size
        self._reached(self._bytes_done)

    def finish(self) -> None:
        """Everything has been read."""
        self._report(1.0)

    def _reached(self, bytes_done: int) -> None:
        # There may be more bytes than counted: the tree may have grown since.
        fraction = min(bytes_done / self._bytes, 1.0) if self._bytes else 0.0
        step = (int(fraction * _STEPS), self._files_done * _STEPS // max(self._files, 1))
        if step != self._reported:
            self._reported = step
            self._report(fraction)

    def _report(self, fraction: float) -> None:
        self._ctx.set_progress(fraction, f"{self._files_done:,} of {counted(self._files, 'file')}")


class _Group:
    """The files with one content that were found so far."""

    __slots__ = ("files", "paths", "size")

    def __init__(self, size: int, first: str) -> None:
        self.size = size
        self.files = 1
        self.paths = [first]

    @property
    def wasted(self) -> int:
        return self.size * (self.files - 1)

    def add(self, path: str) -> None:
        self.files += 1
        if len(self.paths) < COPIES_NAMED:
            self.paths.append(path)


class _Sum(NamedTuple):
    files: int
    bytes: int


class _Tally:
    """Collects the figures of the report, file by file."""

    def __init__(self, shared_sizes: set[int]) -> None:
        self.files = 0
        self.bytes = 0
        self.suffixes: dict[str, _Sum] = {}
        self.largest: list[tuple[int, str]] = []
        self.duplicate_files = 0
        self.duplicate_bytes = 0
        self._shared_sizes = shared_sizes
        self._first: dict[bytes, str] = {}
        self._groups: dict[bytes, _Group] = {}

    def add(self, name: str, size: int, digest: bytes) -> None:
        self.files += 1
        self.bytes += size
        suffix = suffix_of(name)
        files, total = self.suffixes.get(suffix, _Sum(0, 0))
        self.suffixes[suffix] = _Sum(files + 1, total + size)
        if size in self._shared_sizes and size:
            self._compare(name, size, digest)
        heapq.heappush(self.largest, (size, name))
        if len(self.largest) > ROWS:
            heapq.heappop(self.largest)

    def _compare(self, name: str, size: int, digest: bytes) -> None:
        first = self._first.setdefault(digest, name)
        if first is not name:
            self.duplicate_files += 1
            self.duplicate_bytes += size
            self._groups.setdefault(digest, _Group(size, first)).add(name)

    @property
    def groups(self) -> list[_Group]:
        """The groups of files with the same content that waste most, in descending order."""
        # Sorting all groups would block all other threads.
        return heapq.nsmallest(
            ROWS, self._groups.values(), key=lambda group: (-group.wasted, group.paths)
        )


def suffix_of(path: str) -> str:
    """The suffix of a file's name in lower case, without version numbers.

    >>> suffix_of("lib/libssl.so.1.1"), suffix_of("a/Photo.JPG"), suffix_of("bin/python3.12")
    ('.so', '.jpg', '')
    """
    stem, suffix = os.path.splitext(path)
    while suffix[1:].isdecimal():
        stem, suffix = os.path.splitext(stem)
    return suffix.lower() if len(suffix) <= _SUFFIX_LENGTH else ""


def _report(tree: Tree, tally: _Tally) -> ScanReport:
    return ScanReport(
        files=tally.files,
        bytes=tally.bytes,
        suffixes=len(tally.suffixes),
        by_suffix=_by_suffix(tally.suffixes),
        largest=[FileSize(path=path, bytes=size) for size, path in _descending(tally.largest)],
        duplicate_files=tally.duplicate_files,
        duplicate_bytes=tally.duplicate_bytes,
        duplicates=[
            Copies(bytes=group.size, files=group.files, paths=group.paths) for group in tally.groups
        ],
        unreadable=tree.unreadable,
        unreadable_listed=[Unreadable(path=path, reason=reason) for path, reason in tree.listed],
        symlinks=tree.symlinks,
        special=tree.special,
        hard_links=tree.hard_links,
    )


def _by_suffix(suffixes: dict[str, _Sum]) -> list[SuffixTotal]:
    totals = sorted(suffixes.items(), key=lambda item: (-item[1].bytes, item[0]))
    return [
        SuffixTotal(suffix=suffix, files=total.files, bytes=total.bytes)
        for suffix, total in totals[:ROWS]
    ]


def _descending(sizes: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return sorted(sizes, key=lambda item: (-item[0], item[1]))
