"""Another Python process that does what a test tells it to, piece by piece."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from .programs import Command

_LOOP = """
import json, sys
names = {}
for line in sys.stdin:
    try:
        exec(json.loads(line), names)
        answer = names.pop("answer", None)
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
"""


class Another(Command):
    """It keeps its variables from one piece of code to the next."""

    def __init__(self, beginning: str = "", **options: Any) -> None:
        super().__init__(
            [sys.executable, "-c", _LOOP],
            **{"stdin": subprocess.PIPE, "stderr": None, **options},
        )
        self.do(beginning)

    def tell(self, code: str) -> None:
        """Run *code*, and do not wait."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(code)}\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """What the next piece of code that it was told left in ``answer``, or what it raised."""
        return json.loads(self.read_until(""))

    def do(self, code: str) -> Any:
        """Run *code*, and wait for its answer."""
        self.tell(code)
        return self.answer()

    def close(self) -> None:
        super().close()
        if self.process.stdin is not None:
            self.process.stdin.close()
