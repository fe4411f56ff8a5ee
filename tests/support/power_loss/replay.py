"""What a disk may hold when the power is cut, of what it was asked to keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from .recording import Event

SECTOR = 512
CHANCES = (0.0, 0.1, 0.5, 0.9, 1.0)
"""That a change that was not synced is there all the same; one of them for each power cut."""


def change(content: bytearray, event: Event) -> None:
    """Write or truncate, with zeros where nothing was ever written."""
    end = event.offset + len(event.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if event.kind == "T":
        del content[event.offset :]
    content[event.offset : end] = event.data


def sectors(event: Event) -> Iterator[Event]:
    """The parts of a write that a disk has or has not."""
    if event.kind == "T":
        yield event
    begin, end = event.offset, event.offset + len(event.data)
    while begin < end:
        until = min(end, (begin // SECTOR + 1) * SECTOR)
        data = event.data[begin - event.offset : until - event.offset]
        yield event._replace(offset=begin, data=data)
        begin = until


@dataclass
class File:
    """One file: what is safe of it, and what came later."""

    safe: bytearray = field(default_factory=bytearray)
    later: list[Event] = field(default_factory=list)
    synced: int = 0

    def sync(self, number: int) -> None:
        """The first *number* changes are safe."""
        covered = max(0, number - self.synced)
        for event in self.later[:covered]:
            change(self.safe, event)
        del self.later[:covered]
        self.synced += covered

    @property
    def changes(self) -> int:
        return self.synced + len(self.later)

    def found(self, random: Random, chance: float) -> bytearray:
        """What may be found of it."""
        content = bytearray(self.safe)
        for event in self.later:
            for part in sectors(event):
                if random.random() < chance:
                    change(content, part)
        return content


class Disk:
    """The folder, as far as the disk has it; one that *lies* takes no notice of syncs."""

    def __init__(self, *, lies: bool = False) -> None:
        self._lies = lies
        self._files: dict[int, File] = {}
        self._names: dict[str, File] = {}
        self._later_names: list[tuple[Event, File]] = []
        self._synced_names = 0
        self._syncs: dict[int, tuple[File | None, int]] = {}
        self._folder = 0

    def take(self, event: Event) -> None:
        """The next thing that it was asked."""
        getattr(self, f"_{event.kind}")(event)

    def _C(self, event: Event) -> None:
        """The number of a file that was deleted may be that of a new one."""
        self._files[event.inode] = File()
        self._later_names.append((event, self._files[event.inode]))

    def _O(self, event: Event) -> None:
        if not event.name:
            self._folder = event.inode

    def _W(self, event: Event) -> None:
        self._files[event.inode].later.append(event)

    _T = _W

    def _U(self, event: Event) -> None:
        self._later_names.append((event, File()))

    _R = _U

    def _B(self, event: Event) -> None:
        file = None if event.inode == self._folder else self._files[event.inode]
        named = self._synced_names + len(self._later_names)
        self._syncs[event.offset] = file, named if file is None else file.changes

    def _S(self, event: Event) -> None:
        file, covered = self._syncs.pop(event.offset)
        if self._lies:
            return
        if file is None:
            self._sync_names(covered)
        else:
            file.sync(covered)

    def _sync_names(self, number: int) -> None:
        covered = max(0, number - self._synced_names)
        for event, file in self._later_names[:covered]:
            rename(self._names, event, file)
        del self._later_names[:covered]
        self._synced_names += covered

    def cut(self, random: Random) -> dict[str, bytearray]:
        """The files that may be found if the power is cut now."""
        chance = random.choice(CHANCES)
        return self._found(random, chance, round(random.random() * len(self._later_names)))

    def whole(self) -> dict[str, bytearray]:
        """The files as the process had them."""
        return self._found(Random(0), 1.0, len(self._later_names))

    def _found(self, random: Random, chance: float, named: int) -> dict[str, bytearray]:
        names = dict(self._names)
        for event, file in self._later_names[:named]:
            rename(names, event, file)
        return {name: file.found(random, chance) for name, file in names.items()}


def rename(names: dict[str, File], event: Event, file: File) -> None:
    """What a change of the folder makes of *names*."""
    if event.kind == "C":
        names[event.name] = file
        return
    gone = names.pop(event.name, None)
    if event.kind == "R" and gone is not None:
        names[event.data.decode()] = gone


def cuts(
    events: Iterable[Event], random: Random, places: Iterable[int], *, lies: bool = False
) -> Iterator[tuple[int, dict[str, bytearray]]]:
    """What may be found after power cuts behind so many events."""
    disk, wanted = Disk(lies=lies), sorted(places)
    for number, event in enumerate(events, 1):
        disk.take(event)
        while wanted and wanted[0] == number:
            yield wanted.pop(0), disk.cut(random)


def write_out(files: dict[str, bytearray], into: Path) -> None:
    """Make a folder of what was found."""
    into.mkdir()
    for name, content in files.items():
        (into / name).write_bytes(content)
