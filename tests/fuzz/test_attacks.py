"""Whatever a queue is given, only errors of ours come out, nothing is queued, nothing imported.

A few seconds of it run with all tests. ``nox -s fuzz`` runs more, and lets coverage guide it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stoat_jobs import (
    BackendNotFoundError,
    InvalidPayloadError,
    JobContext,
    JobNotFoundError,
    JobQueueSettings,
    UnknownJobTypeError,
    available_backends,
    create_queue,
)

from ..support.fuzz.checking import LONGEST, attack, is_one_line
from ..support.fuzz.jobs import ANNOTATIONS
from ..support.fuzz.values import (
    ENDLESS,
    Recipe,
    any_text,
    anything,
    deep,
    dicts,
    long_texts,
    made,
    names,
    odd,
    unnamed,
)

EXAMPLES = os.environ.get("FUZZ_EXAMPLES")

fuzz = settings(
    max_examples=int(EXAMPLES or 40),
    derandomize=EXAMPLES is None,  # who runs all tests looks for no new faults
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)

job_types = st.sampled_from([*ANNOTATIONS, "opened", "open_trees", "nothing"])
identifiers = names | odd | deep | st.lists(odd) | long_texts.map(lambda text: text * 10)
# Once found by luck.
HOSTILE_TEXT, HOSTILE_INT, UNEQUAL = map(Recipe, ("hostile text", "hostile int", "unequal"))
payloads = dicts(st.just("anything"), anything) | dicts(names | unnamed, anything)


@fuzz
@given(job_types, payloads | anything)
def test_payloads(job_type: str, payload: Any) -> None:
    """A payload is taken, or refused as invalid, and its values are not shown."""
    given_payload = made(payload)
    attack(lambda queue: queue.submit(job_type, given_payload), InvalidPayloadError)


@fuzz
@given(st.sampled_from(sorted(ANNOTATIONS)), anything)
def test_arguments(job_type: str, value: Any) -> None:
    """One argument of any kind, to a handler of any signature, is taken or refused."""
    argument = {"anything": made(value)}
    attack(lambda queue: queue.submit(job_type, argument), InvalidPayloadError)


@fuzz
@given(identifiers)
@example(HOSTILE_TEXT)
def test_job_types(job_type: Any) -> None:
    """What is no job type is refused as unknown; a payload is needed by what is one."""
    name = made(job_type)
    attack(lambda queue: queue.submit(name, {}), UnknownJobTypeError, InvalidPayloadError)


@fuzz
@given(
    st.sampled_from(["get_status", "get_result", "cancel", "wait", "watch", "delete", "resubmit"]),
    identifiers,
)
def test_ids(method: str, job_id: Any) -> None:
    """What is no id is not found."""
    wanted = made(job_id)

    async def ask(queue: Any) -> None:
        found = getattr(queue, method)(wanted)
        await (found.__anext__() if method == "watch" else found)

    assert attack(ask, JobNotFoundError) is not None


@fuzz
@given(identifiers)
def test_keys(key: Any) -> None:
    """A key is taken, or the error is about keys."""
    wanted = made(key)
    error = attack(lambda queue: queue.submit("nothing", {}, key=wanted), TypeError, ValueError)
    assert error is None or isinstance(error, UnicodeError) or str(error).startswith("key must ")


@fuzz
@given(identifiers | dicts(names | odd | long_texts, names | odd | long_texts))
def test_metadata(metadata: Any) -> None:
    """Metadata are taken, or the error is about metadata."""
    pairs = made(metadata)
    error = attack(lambda queue: queue.submit("nothing", {}, metadata=pairs), TypeError, ValueError)
    assert error is None or re.match(r"(the names in )?metadata\b", str(error))


@fuzz
@given(dicts(names, anything))
def test_updates(fields: Any) -> None:
    """An update of metadata is taken, or the error is about metadata."""
    pairs = made(fields)

    async def update(queue: Any) -> None:
        JobContext().update_metadata(**pairs)

    assume(all(isinstance(name, str) for name in pairs))
    error = attack(update, TypeError, ValueError)
    assert error is None or re.match(r"(the names in )?metadata\b", str(error))


@fuzz
@given(identifiers | st.integers() | st.floats())
def test_delays(delay: Any) -> None:
    """A delay is taken, or the error is about it."""
    seconds = made(delay)
    error = attack(lambda queue: queue.submit("nothing", {}, delay=seconds), TypeError, ValueError)
    assert error is None or str(error).startswith("delay must ")


@fuzz
@given(identifiers)
def test_unique(unique: Any) -> None:
    """How long a key is held is one of two words, or the error is about it."""
    word = made(unique)
    error = attack(
        lambda queue: queue.submit("nothing", {}, key="k", unique=word), TypeError, ValueError
    )
    assert error is None or str(error).startswith("unique must ")


@fuzz
@given(st.lists(payloads | anything, max_size=3) | anything)
def test_many(payloads: Any) -> None:
    """Many payloads are taken, or refused as what they are."""
    given_ = made(payloads)
    attack(lambda queue: queue.submit_many("opened", given_), TypeError, InvalidPayloadError)


@fuzz
@given(identifiers | st.integers() | st.floats())
def test_timeouts(timeout: Any) -> None:
    """A time limit is taken, or the error is about it."""
    limit = made(timeout)
    error = attack(lambda queue: queue.submit("nothing", {}, timeout=limit), TypeError, ValueError)
    assert error is None or str(error).startswith("timeout must ")


@fuzz
@given(
    st.sampled_from(["status", "job_type", "limit", "before", "metadata"]),
    identifiers | dicts(names | odd, names | odd),
)
@example("limit", HOSTILE_INT)
@example("job_type", HOSTILE_TEXT)
@example("job_type", UNEQUAL)
def test_lists(argument: str, value: Any) -> None:
    """What jobs are listed by is taken or refused."""
    given_ = {argument: made(value)}
    attack(lambda queue: queue.list_jobs(**given_), TypeError, ValueError)
    if argument not in ("limit", "before"):
        attack(lambda queue: queue.cancel_all(**given_), TypeError, ValueError)


@fuzz
@given(identifiers | any_text)
def test_backends(name: Any) -> None:
    """A backend that is not installed is not found, whatever its name would do elsewhere."""
    wanted = made(name)
    installed = [backend.name for backend in available_backends()]

    async def create(queue: Any) -> None:
        with _readable_errors():
            create_queue(settings=JobQueueSettings(backend=wanted))

    error = attack(create, BackendNotFoundError, BadSettings)
    assert error is not None or (isinstance(wanted, str) and str.__str__(wanted) in installed)


@fuzz
@given(dicts(st.sampled_from(sorted(JobQueueSettings.model_fields)) | names, anything) | anything)
def test_settings(values: Any) -> None:
    """Settings are right, or the error is pydantic's, and shows neither url nor options."""
    given_ = made(values)

    async def check(queue: Any) -> None:
        with _readable_errors():
            settings = JobQueueSettings.model_validate(given_)
        assert settings.concurrency > 0
        assert not math.isnan(settings.timeout)

    attack(check, BadSettings)


@fuzz
@given(anything | dicts(names | st.just("autorun"), anything))
def test_options(options: Any) -> None:
    """Options that a backend does not know are refused by their names, and not shown."""
    given_ = made(options)

    async def create(queue: Any) -> None:
        with _readable_errors():
            create_queue(settings=JobQueueSettings(backend="memory", options=given_))

    attack(create, BadSettings)


class BadSettings(Exception):
    """A ``ValidationError`` of the settings, which has a line for each of their errors."""


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        text = str(error)
        assert len(text) <= 100 * LONGEST
        assert all(map(is_one_line, text.split("\n")))
        raise BadSettings from None


@fuzz
@given(st.sampled_from(sorted(ANNOTATIONS)), anything)
def test_results(job_type: str, value: Any) -> None:
    """A result of any kind completes its job or fails it, and the queue runs on."""
    assume(not any(part in repr(value) for part in ENDLESS))
    result = made(value)

    async def script(queue: Any) -> None:
        async def answer(ctx: Any) -> Any:
            return result

        queue.handlers = type(queue.handlers)()
        answer.__annotations__["return"] = ANNOTATIONS[job_type]
        queue.handlers.register("answer", answer)
        queue.handlers.register("nothing", _done)
        record = await queue.get_result(await queue.submit("answer"))
        assert record.status in ("completed", "failed")

    attack(script)


async def _done(ctx: Any) -> str:
    return "done"
