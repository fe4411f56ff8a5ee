"""Opens a database for reading, and keeps what it was at that moment for as long as it runs.

``python -m tests.sqlite.programs.reader DATABASE``
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from threading import Event


def main() -> None:
    connection = sqlite3.connect(f"{Path(sys.argv[1]).as_uri()}?mode=ro", uri=True)
    connection.execute("begin")
    connection.execute("select count(*) from job").fetchone()
    print("read", flush=True)
    Event().wait()


if __name__ == "__main__":
    main()
