"""A test kit for backends of stoat-jobs, and a clock for tests of handlers.

It needs pytest, and Hypothesis for :class:`JobQueueMachine`.
"""

from pkgutil import iter_modules

import pytest

# Before the modules are imported, so that a failing assert in the kit shows its values.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from .._exports import export as _export  # noqa: E402
from ._bench import Bench, Call  # noqa: E402
from ._clock import FakeClockLoop, run_with_fake_clock  # noqa: E402
from ._contract import JobQueueContract  # noqa: E402
from ._machine import JobQueueMachine  # noqa: E402
from ._selector import DeadlockError  # noqa: E402

__all__ = [
    "Bench",
    "Call",
    "DeadlockError",
    "FakeClockLoop",
    "JobQueueContract",
    "JobQueueMachine",
    "run_with_fake_clock",
]

_export(__name__, *map(globals().__getitem__, __all__))
