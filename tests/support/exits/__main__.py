"""``python -m tests.support.exits``: how long queues take to stop whose handlers do not, and processes to end."""

from __future__ import annotations

import sys

from ...exits.test_exits import CASES
from .leaving import leave
from .program import BOUND


def main() -> int:
    late = False
    for how, job_types in CASES:
        seen = leave(how, *job_types)
        late = late or not seen.in_time
        names = ", ".join(f"{job_types.count(name)} {name}" for name in dict.fromkeys(job_types))
        print(
            f"{seen.stop_s:5.2f} s, {seen.exit_s:.2f} s of {BOUND:.2f} s  {how:9} {names}",
            flush=True,
        )
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
