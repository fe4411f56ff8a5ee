"""The README is short, and also the package's page on the index, where nothing is beside it."""

from __future__ import annotations

import re
import runpy
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from markdown_it import MarkdownIt
from markdown_it.token import Token

from .release import unfilled

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = metadata.metadata("stoat-jobs")
PAGE = PACKAGE["Description"]
URLS = dict(line.split(", ") for line in PACKAGE.get_all("Project-URL", []))
OTHERS = re.compile(rf"{URLS['Repository']}/(?:blob|raw)/v{PACKAGE['Version']}/(.+)")
PAGES = re.compile(rf"{URLS['Documentation']}/(.+)\.html(?:#(.+))?")


MARKDOWN = MarkdownIt("commonmark").enable("table")


def targets(text: str) -> list[str]:
    """Where the links and the pictures of a Markdown text lead."""
    return [
        str(token.attrs[name])
        for token in walk(MARKDOWN.parse(text))
        for name in ("href", "src")
        if name in token.attrs
    ]


def walk(tokens: list[Token]) -> list[Token]:
    return [each for token in tokens for each in (token, *walk(token.children or []))]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may name, as GitHub and the documentation do."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_read_at_one_sitting() -> None:
    """At most 110 lines."""
    assert len(README.splitlines()) <= 110


def test_the_page_differs_from_the_readme_in_its_links_only() -> None:
    """What is built of the README says the same, in the same places, and all of it Markdown."""
    assert [token for token in walk(MARKDOWN.parse(PAGE)) if token.type.startswith("html")] == []
    assert len(targets(PAGE)) == len(targets(README)) > 30
    told = README
    for ours, theirs in zip(targets(README), targets(PAGE), strict=True):
        told = told.replace(f"]({ours})", f"]({theirs})")
    assert PAGE.strip() == told.strip()


@pytest.mark.parametrize("target", sorted(set(targets(PAGE))))
def test_a_link_of_the_page_leads_somewhere(target: str) -> None:
    """Every link and picture is absolute, and of something that this tree has."""
    if found := PAGES.fullmatch(target):
        page = ROOT / "docs" / f"{found[1]}.md"
        assert page.is_file()
        assert found[2] is None or found[2] in anchors(page)
    else:
        other = OTHERS.fullmatch(target)
        assert other is not None, "neither a page of the documentation nor a file of a release"
        assert (ROOT / other[1]).exists()


def test_addresses_are_made_of_one_table() -> None:
    """The project's addresses are these five, all below the two that a maintainer fills in."""
    assert list(URLS) == ["Homepage", "Documentation", "Repository", "Issues", "Changelog"]
    bases = (URLS["Repository"], URLS["Documentation"])
    assert [url for url in URLS.values() if not url.startswith(bases)] == []
    assert re.fullmatch(r"[^<]+ <\S+@\S+>", PACKAGE["Author-email"])
    table = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert [base for base in bases if table.count(f'"{base}"') != 1] == []


def test_no_file_has_another_address_of_the_project() -> None:
    """Where a file needs an address of ours on GitHub, it is the table's."""
    suffixes = {".md", ".py", ".toml", ".yml", ".yaml"}
    files = [
        *(path for path in ROOT.iterdir() if path.suffix in suffixes),
        *(
            path
            for folder in (".github", "docs", "examples")
            for path in (ROOT / folder).rglob("*")
        ),
    ]
    named = {
        address
        for path in files
        if path.is_file() and path.suffix in suffixes and "_build" not in path.parts
        for address in re.findall(r"https://github\.com/[\w.-]+/stoat-jobs\b", path.read_text())
    }
    assert named == {URLS["Repository"]}


def test_the_security_page_says_where_to_report() -> None:
    """Whoever found a vulnerability is led to a private report, on GitHub and from the docs."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert page.endswith("\n\n[report]: ../../security/advisories/new\n")
    assert "`pip show --verbose stoat-jobs`" in page
    docs = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert docs.endswith("\n\n[report]: repository:security/advisories/new\n")
    (left_out,) = re.findall(r'^:end-before: "(.+)"$', docs, re.MULTILINE)
    assert page.partition(left_out)[2] == "/../security/advisories/new\n"


TABLE = '[tool.hatch.metadata.hooks.custom]\nrepository = "{}"\nemail = "{}"\n'


@pytest.mark.parametrize(
    ("repository", "email", "missing"),
    [
        ("https://github.com/OWNER/stoat-jobs", "OWNER@example.org", ["repository", "email"]),
        ("https://github.com/somebody/stoat-jobs", "OWNER@example.org", ["email"]),
        ("https://github.com/somebody/stoat-jobs", "somebody@example.org", []),
    ],
)
def test_no_placeholder_is_published(repository: str, email: str, missing: list[str]) -> None:
    """What the maintainer has not filled in is refused, by name."""
    assert list(unfilled(TABLE.format(repository, email))) == missing


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the README's program defines, its folder one of this test."""
    (code,) = re.findall(r"^```python\n(.+?)^```$", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "readme.py").write_text(code)
    (tmp_path / "library/sub").mkdir(parents=True)
    (tmp_path / "library/sub/a.txt").touch()
    monkeypatch.chdir(tmp_path)
    return runpy.run_path("readme.py")


def test_the_example_scans_the_folder_of_the_server(example: dict[str, Any]) -> None:
    """The client starts a scan and reads its record; it cannot say what is scanned."""
    with TestClient(example["app"]) as client:
        answer = client.post("/scan", params={"root": "/etc"}, json={"root": "/etc"})
        assert answer.status_code == 202
        job_id = answer.json()["job_id"]
        assert client.portal is not None
        client.portal.call(example["app"].state.job_queue.wait, job_id)
        record = client.get(f"/jobs/{job_id}").json()
    assert (record["status"], record["result"], record["message"]) == ("completed", 1, "2 of 2")


def test_the_example_does_not_know_every_job(example: dict[str, Any]) -> None:
    """An id that is unknown is answered by 404."""
    with TestClient(example["app"]) as client:
        answer = client.get("/jobs/unknown")
    assert (answer.status_code, answer.json()["title"]) == (404, "Job not found")
