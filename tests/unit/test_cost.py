"""What a job costs, counted and not timed: bytecode instructions of Python, all of them."""

from __future__ import annotations

import sys

import pytest

from ..support.programs import run_python, unmeasured

JOBS = 200
# Instructions a job by the version of Python, those of asyncio among them, as they were when
# this was written: change them with what you know to be worth it. That every backend checks a
# submission by the same function was worth 1.5 %.
COUNTED = {
    (3, 11): {"noop": 1406, "three_fields": 1601},
    (3, 12): {"noop": 1291, "three_fields": 1470},
    (3, 13): {"noop": 1271, "three_fields": 1446},
    (3, 14): {"noop": 1316, "three_fields": 1496},
    (3, 15): {"noop": 1328, "three_fields": 1508},
}
PYTHON = sys.version_info[:2]

pytestmark = [
    # asyncio's own loops are other code on other systems.
    pytest.mark.skipif(sys.platform != "linux", reason="was counted on Linux"),
    pytest.mark.skipif(
        PYTHON not in COUNTED,
        reason=f"no cost is recorded for Python {PYTHON[0]}.{PYTHON[1]}",
    ),
]

# Patch releases of Python, and what else a change may add before somebody has to look.
TOLERANCE = 1.05

COUNT = """
import asyncio, sys
from stoat_jobs import AsyncioJobQueue, JobHandlers, JobQueueSettings

handlers, counted = JobHandlers(), 0

@handlers.job
async def noop(ctx): ...

@handlers.job
async def three_fields(ctx, name: str, count: int, urgent: bool):
    return count

def trace(frame, event, arg):
    global counted
    frame.f_trace_opcodes = True
    counted += event == "opcode"
    return trace

def instruction(code, offset):
    global counted
    counted += 1

def count(on):
    if sys.version_info < (3, 12):
        sys.settrace(trace if on else None)
        return
    sys.monitoring.set_events(4, sys.monitoring.events.INSTRUCTION if on else 0)

if sys.version_info >= (3, 12):
    sys.monitoring.use_tool_id(4, "count")
    sys.monitoring.register_callback(4, sys.monitoring.events.INSTRUCTION, instruction)

async def run(queue, jobs, payload):
    ids = [await queue.submit(sys.argv[1], payload) for _ in range(jobs)]
    await queue.wait(ids[-1])
    return [await queue.get_result(job_id) for job_id in ids]

async def main(jobs):
    payload = {"name": "a", "count": 1, "urgent": True} if sys.argv[1] != "noop" else {}
    async with AsyncioJobQueue(handlers, JobQueueSettings(loop_block_limit=0)) as queue:
        await run(queue, 1, payload)
        count(True)
        records = await run(queue, jobs, payload)
        count(False)
    assert all(record.status == "completed" for record in records)
    print(counted)

asyncio.run(main(int(sys.argv[2])))
"""


def counted(job_type: str) -> float:
    """Instructions a job, from its submission until its record was read."""
    done = run_python("-c", COUNT, job_type, str(JOBS), env=unmeasured())
    return int(done.stdout) / JOBS


@pytest.mark.parametrize("job_type", ["noop", "three_fields"])
def test_a_job_costs_no_more_instructions_than_it_did(job_type: str) -> None:
    """What makes every job dearer by a twentieth is seen, whatever the machine has to do."""
    limit = COUNTED[PYTHON][job_type] * TOLERANCE
    assert 0 < counted(job_type) <= limit
