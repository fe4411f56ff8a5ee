"""Opens a database for reading, looks into it and closes it, again and again.

``python -m tests.sqlite.programs.visitor DATABASE``
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def main() -> None:
    uri = f"{Path(sys.argv[1]).as_uri()}?mode=ro"
    while True:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("select count(*) from job").fetchone()
        print("read", flush=True)


if __name__ == "__main__":
    main()
