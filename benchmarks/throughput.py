"""Jobs per second: from a burst of submissions until each job's status or record is read by id."""

from __future__ import annotations

from functools import partial

from . import contenders, floors, loop_peers, ours, redis_peers, thread_peers
from .contenders import Contender
from .measure import Bench, Size

OURS, OURS_ONE = "asyncio, 100 slots", "asyncio, 1 slot"
PAYLOAD = "asyncio, 100 slots, payload of 3 fields"
STATUS = "{}, status read"
FLOOR_C, FLOOR_C_ONE = "floor C, 100 workers", "floor C, 1 worker"
THREADS = "asyncio, 100 slots, sync in a thread"
TO_THREAD, NEW_THREADS = "floor asyncio.to_thread, 100 at once", "floor new threads, 100 at once"
AIOJOBS = ("aiojobs, no limit", "aiojobs, limit 100")
TASKIQ = ("taskiq InMemoryBroker, inplace", "taskiq InMemoryBroker, tasks")

FLOORS = (
    Contender("floor A, 1 worker", partial(floors.floor_a, slots=1), FLOOR_C_ONE),
    Contender("floor A, 100 workers", partial(floors.floor_a, slots=100), FLOOR_C),
    Contender("floor B, task per job", floors.floor_b, FLOOR_C),
    Contender(FLOOR_C_ONE, partial(floors.floor_c, slots=1), FLOOR_C_ONE),
    Contender(FLOOR_C, partial(floors.floor_c, slots=100), FLOOR_C),
    Contender(TO_THREAD, floors.to_thread, FLOOR_C, share=0.2),
    Contender(NEW_THREADS, floors.new_threads, FLOOR_C, share=0.2),
)
OWN = (
    Contender(STATUS.format(OURS_ONE), partial(ours.statuses, slots=1), FLOOR_C_ONE),
    Contender(STATUS.format(OURS), partial(ours.statuses, slots=100), FLOOR_C),
    Contender(
        STATUS.format(PAYLOAD), partial(ours.statuses, slots=100, payload=ours.FIELDS), FLOOR_C
    ),
    Contender(OURS_ONE, partial(ours.records, slots=1), FLOOR_C_ONE),
    Contender(OURS, partial(ours.records, slots=100), FLOOR_C),
    Contender(PAYLOAD, partial(ours.records, slots=100, payload=ours.FIELDS), FLOOR_C),
    Contender(
        "asyncio, 1 slot, sync in a thread", partial(ours.threads, slots=1), FLOOR_C_ONE, 0.2
    ),
    Contender(THREADS, partial(ours.threads, slots=100), FLOOR_C, share=0.2),
    Contender("memory", ours.in_memory, FLOOR_C_ONE),
)
PEERS = (
    Contender(AIOJOBS[0], partial(loop_peers.aiojobs, limit=None), FLOOR_C, module="aiojobs"),
    Contender(AIOJOBS[1], partial(loop_peers.aiojobs, limit=100), FLOOR_C, module="aiojobs"),
    Contender(
        "aiojobs, no limit, results read", loop_peers.aiojobs_results, FLOOR_C, module="aiojobs"
    ),
    Contender(TASKIQ[0], partial(loop_peers.taskiq, inplace=True), FLOOR_C, 0.5, "taskiq"),
    Contender(TASKIQ[1], partial(loop_peers.taskiq, inplace=False), FLOOR_C, 0.5, "taskiq"),
    Contender("APScheduler, asyncio", loop_peers.apscheduler, FLOOR_C, 0.2, "apscheduler"),
    Contender("Starlette BackgroundTasks", loop_peers.starlette, FLOOR_C, module="starlette"),
    Contender("Huey, memory, 1 thread", thread_peers.huey, FLOOR_C, 0.2, "huey"),
    *(
        Contender(
            f"dramatiq StubBroker, {threads} thread{'s' * (threads > 1)}",
            partial(thread_peers.dramatiq, threads=threads),
            FLOOR_C,
            0.2,
            "dramatiq",
        )
        for threads in (1, 8)
    ),
)
ON_REDIS = (
    Contender("saq, Redis", redis_peers.saq, FLOOR_C, 0.1, "saq", redis=6),
    Contender("arq, Redis", redis_peers.arq, FLOOR_C, 0.1, "arq", redis=6),
    Contender("streaq, Redis", redis_peers.streaq, FLOOR_C, 0.1, "streaq", redis=7),
)
CONTENDERS = (*FLOORS, *OWN, *PEERS, *ON_REDIS)


def benches(size: Size) -> list[Bench]:
    return contenders.benches(CONTENDERS, size)
