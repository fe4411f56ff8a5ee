"""What all tests of the soak run with."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_but_the_soak() -> Iterator[None]:
    """The collector leaves out what other tests have made, which takes it seconds a sample."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
