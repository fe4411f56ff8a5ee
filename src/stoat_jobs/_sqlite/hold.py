"""One process holds a database file, for certain.

- The lock is ``lockf`` on a file beside the database. The system releases it with the process,
  however that ends. A ``flock`` would be inherited by children, and outlive a killed holder.
- Such a lock vanishes when anything in the process opens and closes the file it is on. So it is
  not on the database, whose own locks are of that kind too, and nothing here ever opens the
  database, its ``-wal`` or its ``-shm``.
- Within the process the system refuses nothing: a registry does.
- A forked child has the holder's memory, but not its lock.
- What is in the lock file is text for people: in a container every process may have the id 1.
"""

from __future__ import annotations

from pathlib import Path


class FileHold:
    """The sole right of this process to open the database at *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self) -> None:
        """Take it, now or not at all.

        Raises:
            StoreInUseError: another queue has it, of this process or of another; says which, as
                far as that is known, and what to do.
            OSError: the lock file cannot be made or locked; says why in one line.
        """
        raise NotImplementedError

    def note_files(self) -> None:
        """Note which files the database and its ``-wal`` are; they must exist."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise if what is acknowledged from here on would not be found by the next process.

        Raises:
            OSError: a file was deleted or replaced since :meth:`note_files`, or this process is
                a forked child of the holder.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Let another queue have it; also if it was never taken, and in a forked child."""
        raise NotImplementedError
