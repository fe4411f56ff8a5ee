"""Job ids, which are made in batches."""

from __future__ import annotations

import os
from uuid import UUID

import pytest

from stoat_jobs._backends.ids import new_job_id

from ..support.programs import run_python

FORKED = """
import os
from stoat_jobs._backends.ids import new_job_id
new_job_id()  # makes the batch that both processes would take from
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, new_job_id().encode())
    os._exit(0)
print(new_job_id(), os.read(read, 36).decode())
"""


def test_ids_are_uuid4_in_their_usual_text_form_and_never_repeat() -> None:
    """Every id of several batches is a UUID4 with its version and variant, and a new one."""
    ids = [new_job_id() for _ in range(2_000)]
    assert len(set(ids)) == len(ids)
    assert all(str(UUID(text)) == text and UUID(text).version == 4 for text in ids)
    assert {UUID(text).variant for text in ids} == {"specified in RFC 4122"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system")
def test_a_forked_process_has_other_ids() -> None:
    """A server that forks its workers after the import gives no id twice."""
    ours, theirs = run_python("-c", FORKED).stdout.split()
    assert UUID(ours) != UUID(theirs)
