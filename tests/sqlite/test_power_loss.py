"""A power cut loses nothing that was told; the lab that says so finds what others lose.

``tests/support/power_loss`` says what a disk may have kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..support.power_loss.recording import compile_recorder, needs_compiler, record
from ..support.power_loss.replay import Disk, cuts, write_out
from .auditing import Found, Told, faults, lost
from .programs.ledger import Line, lines

ROOT = Path(__file__).parents[2]
LOAD = "tests.sqlite.programs.load"
CUTS = 40


class Run:
    """What a process asked of its disk, and what it said meanwhile."""

    def __init__(self, folder: Path, library: Path, synchronous: str) -> None:
        seed = random.SystemRandom().getrandbits(32)
        print(f"seed {seed}")
        self.random = random.Random(seed)
        self.folder = folder
        command = ("-m", LOAD, folder / "jobs.db", folder / "ledger", str(seed))
        options = ("--acts", "600", "--synchronous", synchronous)
        self.events = record(folder, library, *command, *options, cwd=ROOT)
        (ledger,) = {event.inode for event in self.events if event.name == "ledger"}
        self._lines = [event.inode == ledger and event.kind == "W" for event in self.events]

    def told(self, until: int) -> list[Line]:
        """What it had said before so many events had been."""
        said = zip(self.events[:until], self._lines, strict=False)
        return list(lines(b"".join(event.data for event, is_line in said if is_line)))

    def _places(self, number: int) -> list[int]:
        """Where the power is cut: anywhere, and also while the file is made."""
        first = self._lines.index(True)
        making = [self.random.randint(1, first) for _ in range(number // 10)]
        return making + [self.random.randint(first, len(self.events)) for _ in range(number)]

    def cut(
        self, into: Path, number: int = CUTS, *, lies: bool = False
    ) -> Iterator[tuple[Path, list[Line]]]:
        """The file after each power cut, and what was told; the disk may *lie* about syncs."""
        for place, files in cuts(self.events, self.random, self._places(number), lies=lies):
            folder = into / str(place)
            if not folder.exists():
                write_out(files, folder)
                yield folder / "jobs.db", self.told(place)


def wrong(path: Path, told: list[Line]) -> list[str]:
    """The faults of what a power cut left, or why it cannot be read."""
    try:
        return faults(Found(path), told)
    except OSError as error:
        return [f"damaged: {error}"]


RunOf = Callable[[str], Run]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> RunOf:
    """Runs a process with a way to be synchronous, once."""
    needs_compiler()
    library = compile_recorder(tmp_path_factory.mktemp("recorder"))
    runs: dict[str, Run] = {}

    def run(synchronous: str) -> Run:
        if synchronous not in runs:
            folder = tmp_path_factory.mktemp(synchronous)
            runs[synchronous] = Run(folder, library, synchronous)
        return runs[synchronous]

    return run


@pytest.mark.parametrize("number", [CUTS, pytest.param(10 * CUTS, marks=pytest.mark.slow)])
def test_a_power_cut_loses_nothing_that_was_told__fault_43(
    number: int, run_of: RunOf, tmp_path: Path
) -> None:
    """Whenever it comes, every job is there as its caller knows it."""
    for path, told in run_of("full").cut(tmp_path, number):
        assert wrong(path, told) == []


def test_what_is_replayed_is_what_was_there(run_of: RunOf) -> None:
    """No change of a file goes unseen: all of them make the files as the process left them."""
    run, disk = run_of("full"), Disk()
    for event in run.events:
        disk.take(event)
    there = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    there = {name: content for name, content in there.items() if not name.endswith("-shm")}
    assert disk.whole() == there


def test_a_disk_that_lies_is_found_out(run_of: RunOf, tmp_path: Path) -> None:
    """Without syncs the same process loses jobs, and its file is damaged."""
    found = "".join(
        fault
        for path, told in run_of("full").cut(tmp_path, lies=True)
        for fault in wrong(path, told)
    )
    assert "is lost" in found
    assert "damaged" in found


def test_fewer_syncs_lose_the_end_and_nothing_else(run_of: RunOf, tmp_path: Path) -> None:
    """With ``synchronous="normal"`` a power cut takes the last jobs, and damages nothing."""
    run, losses = run_of("normal"), 0
    numbers = {job_id: kept.number for job_id, kept in Found(run.folder / "jobs.db").jobs.items()}
    for path, told in run.cut(tmp_path):
        found = Found(path)
        assert found.damage == ""
        last = max((kept.number for kept in found.jobs.values()), default=0)
        gone = lost(found, Told(told))
        assert [job_id for job_id in gone if numbers.get(job_id, last + 1) <= last] == []
        losses += len(gone)
    assert losses > 0
