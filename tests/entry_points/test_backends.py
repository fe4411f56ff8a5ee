"""Backends that other distributions offer, found by name in an environment of their own."""

from __future__ import annotations

from pathlib import Path

from ..support.environments import BACKEND, Environment

CREATE = """
    import json
    import sys
    from stoat_jobs import JobQueueSettings, create_queue

    def attempt(name):
        try:
            queue = create_queue(settings=JobQueueSettings(backend=name))
        except Exception as error:
            cause = error.__cause__
            return [type(error).__name__, str(error), cause and type(cause).__name__]
        return [type(queue).__module__, type(queue).__qualname__, None]
"""


def test_backend_is_chosen_by_name(environment: Environment) -> None:
    """A distribution's backend is chosen by its name in the settings, and does jobs."""
    environment.install("river-jobs", {"river": "river_jobs:Queue"}, {"river_jobs": BACKEND})
    answer = environment.run("""
        import asyncio, json
        from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, lifespan

        handlers = JobHandlers()

        @handlers.job
        def double(ctx: JobContext, n: int) -> int:
            return 2 * n

        async def main():
            settings = JobQueueSettings(backend="river", timeout=7)
            async with lifespan(handlers=handlers, settings=settings) as state:
                queue = state["job_queue"]
                record = await queue.get_result(await queue.submit("double", {"n": 21}))
                return [type(queue).__module__, queue.settings.timeout, record.result]

        print(json.dumps(asyncio.run(main())))
    """)
    assert answer == ["river_jobs", 7.0, 42]


def test_backend_may_be_a_function(environment: Environment) -> None:
    """Any callable with the three arguments is a backend's factory."""
    environment.install(
        "brook-jobs",
        {"brook": "brook_jobs:make"},
        {
            "brook_jobs": """
            from stoat_jobs import AsyncioJobQueue

            def make(handlers, settings, observers):
                return AsyncioJobQueue(handlers, settings, observers)
            """
        },
    )
    answer = environment.run(CREATE + "    print(json.dumps(attempt('brook')))")
    assert answer == ["stoat_jobs", "AsyncioJobQueue", None]


def test_installed_backends_are_listed(environment: Environment) -> None:
    """All installed backends are listed by name, with their distributions, and none is imported."""
    environment.install("river-jobs", {"river": "river_jobs:Queue"}, {"river_jobs": BACKEND})
    environment.install("a-brook", {"brook": "a_brook:Queue"}, {"a_brook": "1 / 0"})
    listed, imported = environment.run("""
        import json, sys
        from stoat_jobs import available_backends

        listed = [(each.name, each.dist.name) for each in available_backends()]
        print(json.dumps([listed, [each for each in sys.modules if each in ("river_jobs", "a_brook")]]))
    """)
    assert listed == [
        ["asyncio", "stoat-jobs"],
        ["brook", "a-brook"],
        ["memory", "stoat-jobs"],
        ["postgres", "stoat-jobs"],
        ["river", "river-jobs"],
        ["sqlite", "stoat-jobs"],
    ]
    assert imported == []


def test_clash_names_both_distributions(environment: Environment) -> None:
    """Two distributions that claim one name are both named, and neither is taken or imported."""
    environment.install("river-jobs", {"redis": "river_jobs:Queue"}, {"river_jobs": "1 / 0"})
    environment.install("brook-jobs", {"redis": "brook_jobs:Queue"}, {"brook_jobs": "1 / 0"})
    answer, others = environment.run(
        CREATE + "    print(json.dumps([attempt('redis'), attempt('memory')]))"
    )
    kind, text, cause = answer
    assert (kind, cause) == ("BackendClashError", None)
    assert text == (
        "backend 'redis' is claimed by brook-jobs (brook_jobs:Queue) and river-jobs"
        " (river_jobs:Queue); uninstall one of them"
    )
    assert others[:2] == ["stoat_jobs", "InMemoryJobQueue"]


def test_clash_with_a_shipped_name(environment: Environment) -> None:
    """A distribution cannot quietly take the place of a shipped backend."""
    environment.install("river-jobs", {"asyncio": "river_jobs:Queue"}, {"river_jobs": BACKEND})
    kind, text, _ = environment.run(CREATE + "    print(json.dumps(attempt('asyncio')))")
    assert kind == "BackendClashError"
    assert "river-jobs (river_jobs:Queue) and stoat-jobs" in text


def test_distribution_found_twice_counts_once(environment: Environment, tmp_path: Path) -> None:
    """One distribution that is on the path twice does not clash with itself."""
    again = tmp_path / "again"
    again.mkdir()
    for into in (environment.site, again):
        environment.install(
            "river-jobs", {"river": "river_jobs:Queue"}, {"river_jobs": BACKEND}, into=into
        )
    (environment.site / "again.pth").write_text(str(again))
    on_path, listed, answer = environment.run(
        CREATE
        + """
    import importlib.metadata
    from stoat_jobs import available_backends

    found = [each.name for each in importlib.metadata.distributions()]
    listed = [each.name for each in available_backends()]
    print(json.dumps([found.count("river-jobs"), listed, attempt("river")]))
    """
    )
    assert on_path == 2
    assert listed == ["asyncio", "memory", "postgres", "river", "sqlite"]
    assert answer[:2] == ["river_jobs", "Queue"]


def test_broken_import_is_reported_with_its_cause(environment: Environment) -> None:
    """A backend that cannot be imported is named, with its distribution and the cause."""
    environment.install(
        "river-jobs", {"river": "river_jobs:Queue"}, {"river_jobs": "import no_such_driver"}
    )
    answer = environment.run(CREATE + "    print(json.dumps(attempt('river')))")
    assert answer == [
        "BackendImportError",
        "backend 'river' of river-jobs cannot be imported: No module named 'no_such_driver'",
        "ModuleNotFoundError",
    ]


def test_broken_module_is_reported_with_its_cause(environment: Environment) -> None:
    """A backend whose module raises anything at all is reported the same way."""
    environment.install(
        "river-jobs",
        {"river": "river_jobs:Queue", "brook": "river_jobs_2:Missing"},
        {"river_jobs": "1 / 0", "river_jobs_2": ""},
    )
    raising, missing = environment.run(
        CREATE + "    print(json.dumps([attempt('river'), attempt('brook')]))"
    )
    assert raising[0] == missing[0] == "BackendImportError"
    assert "river-jobs cannot be imported: division by zero" in raising[1]
    assert "has no attribute 'Missing'" in missing[1]
    assert (raising[2], missing[2]) == ("ZeroDivisionError", "AttributeError")


def test_missing_extra_is_named(environment: Environment) -> None:
    """A backend that needs an extra of its distribution says how to install it."""
    environment.install(
        "river-jobs", {"river": "river_jobs:Queue [fast]"}, {"river_jobs": "import no_such_driver"}
    )
    _, text, _ = environment.run(CREATE + "    print(json.dumps(attempt('river')))")
    assert text.endswith("No module named 'no_such_driver'; try: pip install \"river-jobs[fast]\"")


def test_unknown_name_lists_what_is_installed(environment: Environment) -> None:
    """An unknown name is answered with the names that would do, those of others included."""
    environment.install("river-jobs", {"river": "river_jobs:Queue"}, {"river_jobs": BACKEND})
    answer = environment.run(CREATE + "    print(json.dumps(attempt('rivr')))")
    assert answer == [
        "BackendNotFoundError",
        "no backend 'rivr'; installed: asyncio, memory, postgres, river, sqlite",
        None,
    ]


def test_only_the_chosen_backend_is_imported(environment: Environment) -> None:
    """Choosing one backend imports that one alone, and a wrong name none at all."""
    environment.install("river-jobs", {"river": "river_jobs:Queue"}, {"river_jobs": BACKEND})
    environment.install("brook-jobs", {"brook": "brook_jobs:Queue"}, {"brook_jobs": BACKEND})
    before, after = environment.run(
        CREATE
        + """
    def imported():
        return [each for each in ("river_jobs", "brook_jobs") if each in sys.modules]

    attempt("nothing"), attempt("memory")
    before = imported()
    attempt("river")
    print(json.dumps([before, imported()]))
    """
    )
    assert (before, after) == ([], ["river_jobs"])


def test_name_is_never_an_import_path(environment: Environment) -> None:
    """A name that looks like an import path is an unknown name: nothing is imported by it."""
    environment.install("trap", {}, {"trap": "raise SystemExit('imported by name')"})
    names = [
        "trap:Queue",
        "trap",
        "os:system",
        "stoat_jobs:AsyncioJobQueue",
    ]
    answers = environment.run(
        CREATE + f"    print(json.dumps([attempt(name) for name in {names!r}]))"
    )
    assert [(kind, text.partition(";")[0]) for kind, text, _ in answers] == [
        ("BackendNotFoundError", f"no backend {name!r}") for name in names
    ]


def test_importing_the_package_imports_no_more_than_it_needs(environment: Environment) -> None:
    """``import stoat_jobs`` brings pydantic and its like: no extra, no pytest, no backend."""
    environment.install("river-jobs", {"river": "river_jobs:Queue"}, {"river_jobs": "1 / 0"})
    brought = environment.run("""
        import json, sys
        before = set(sys.modules)
        import stoat_jobs
        brought = {name.partition(".")[0] for name in set(sys.modules) - before}
        brought -= {*sys.stdlib_module_names}
        of_the_build = ("_sysconfigdata", "_missing_stdlib_info")  # standard, and not in that list
        print(json.dumps([name for name in brought if not name.startswith(of_the_build)]))
    """)
    pydantic = {"annotated_types", "pydantic", "pydantic_core", "typing_inspection"}
    assert set(brought) <= {"stoat_jobs", "typing_extensions", *pydantic}
    assert "stoat_jobs" in brought
