"""The slow work: look at every file below a folder.

It depends on no web framework, so a test can call it as a plain function.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, DirectoryPath

from stoat_jobs import JobContext, JobHandlers

handlers = JobHandlers()


class ScanReport(BaseModel):
    """What a scan found."""

    files: int
    bytes: int
    by_suffix: dict[str, int]
    unreadable: list[str]


@handlers.job
def scan(ctx: JobContext, root: DirectoryPath) -> ScanReport:
    """Count the files below *root*, and add up their sizes."""
    files = sorted(_files_below(ctx, root))
    sizes: dict[Path, int] = {}
    unreadable = []
    for done, path in enumerate(files, start=1):
        ctx.raise_if_cancelled()
        try:
            sizes[path] = path.stat().st_size
        except OSError:
            unreadable.append(str(path.relative_to(root)))
        ctx.set_progress(done / len(files), f"{done} of {len(files)} files")
    suffixes = Counter(path.suffix or "(none)" for path in sizes)
    return ScanReport(
        files=len(sizes), bytes=sum(sizes.values()), by_suffix=suffixes, unreadable=unreadable
    )


def _files_below(ctx: JobContext, root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        ctx.raise_if_cancelled()  # a thread stops only where it checks
        yield from (Path(folder, name) for name in names)
