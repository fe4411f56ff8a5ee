"""The dashboard in a real browser."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest
from playwright.sync_api import Page, expect

from .looking import Viewer, row
from .served import EVIL
from .serving import Server

NO_JOB = "5f0c3b0e-8f0e-4f43-9a4e-0b9a6f2f7f0d"
AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
PHONE = {"width": 390, "height": 844}


def test_a_scan_is_seen_moving(page: Page, running: Server) -> None:
    """A job that is submitted appears, its bar and message go on with it, and it is seen to end."""
    job_id = running.submit("scan")
    scan = row(page, job_id)
    bar = scan.get_by_role("progressbar")
    for done in range(4):
        expect(bar).to_have_attribute("aria-valuenow", str(25 * done))
        expect(scan).to_contain_text(f"{done} of 4 files")
        expect(scan).to_have_attribute("data-status", "running")
        running.client.post("/step").raise_for_status()
    expect(scan).to_have_attribute("data-status", "completed")
    expect(bar).to_be_hidden()


def test_a_job_is_cancelled_by_a_click(page: Page, running: Server) -> None:
    """Cancel asks first, and then the job ends cancelled; who keeps it has it go on."""
    job_id = running.submit("endless")
    job = row(page, job_id)
    for answer, status in (("Keep it", "running"), ("Cancel the job", "cancelled")):
        job.get_by_role("button", name="Cancel").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("endless")
        dialog.get_by_role("button", name=answer).click()
        expect(dialog).to_be_hidden()
        expect(job).to_have_attribute("data-status", status)
    assert running.record(job_id)["cancel_requested"] is True
    expect(job.get_by_role("button", name="Cancel")).to_be_hidden()


def test_a_cancel_that_comes_too_late(page: Page, viewer: Viewer, running: Server) -> None:
    """Where a job cannot be cancelled any more, the page says why."""
    job_id = running.submit("endless")
    row(page, job_id).get_by_role("button", name="Cancel").click()
    page.route("**/cancel", lambda route: route.fulfill(status=409, json={"detail": "too late"}))
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.get_by_role("alert")).to_have_text("Not cancelled: too late.")
    running.client.post(f"/jobs/{job_id}/cancel").raise_for_status()
    viewer.forgive()


def test_a_failing_job_says_why(page: Page, running: Server) -> None:
    """The error of a failed job is in its row, and with its type in the panel."""
    job = row(page, running.finished("failing"))
    expect(job).to_contain_text("PermissionError: the folder is locked")
    job.click()
    panel = page.get_by_role("complementary", name="Job")
    expect(panel).to_contain_text("PermissionError")
    expect(panel.locator(".error")).to_contain_text("the folder is locked")


def test_everything_about_a_job(page: Page, running: Server) -> None:
    """The panel has times, metadata and the result as a tree, whose branches open."""
    job_id = running.finished("quick", n=7)
    row(page, job_id).click()
    panel = page.get_by_role("complementary", name="Job")
    for text in (job_id, "submitted", "started", "finished", "attempt", "Metadata", "ada"):
        expect(panel).to_contain_text(text)
    expect(panel.locator("dd").first).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d$"))
    expect(panel.locator(".tree")).to_contain_text("n: 7")
    link = panel.get_by_role("link", name="The record as JSON")
    assert running.client.get(f"/jobs/{link.get_attribute('href')}").json()["job_id"] == job_id


def test_hostile_text_is_shown_as_text__fault_49(
    page: Page, viewer: Viewer, running: Server
) -> None:
    """A type, message, metadata, error and result made of markup are read as such; nothing runs."""
    ids = [running.finished(EVIL), running.finished(f"fail {EVIL}")]
    ids.append(running.submit("endless", message=EVIL))
    panel = page.get_by_role("complementary", name="Job")
    for job_id in ids:
        expect(row(page, job_id)).to_contain_text(EVIL)
        row(page, job_id).click()
        expect(panel).to_contain_text(job_id)
        expect(panel.locator("dl").last).to_contain_text(EVIL)
    row(page, ids[0]).click()
    for _ in range(9):
        closed = panel.locator("details:not([open]) > summary")
        if closed.count():
            closed.first.click()
    tree = panel.locator(".tree")
    expect(tree).to_contain_text(f"{EVIL}: {json.dumps(EVIL)}")
    expect(tree).to_contain_text(f"big: {2**63 + 1}")
    page.locator("#type").select_option(EVIL)
    row(page, ids[0]).focus()
    page.keyboard.press("Escape")
    row(page, ids[2]).wait_for(state="detached")
    page.locator("#type").select_option("")
    row(page, ids[2]).get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(row(page, ids[2])).to_have_attribute("data-status", "cancelled")
    assert page.evaluate("window.ran") is None
    assert page.locator("main img, aside img, main script, aside script").count() == 0
    assert viewer.complaints() == []


def test_the_policy_stops_what_is_put_in__fault_49(viewer: Viewer, running: Server) -> None:
    """Were markup put in as such after all, the policy would let none of it run: it is seen to."""
    page = viewer.look_at(running.dashboard)
    page.evaluate("markup => document.body.insertAdjacentHTML('beforeend', markup)", EVIL)
    page.wait_for_function("window.violations.length > 0")
    assert page.evaluate("window.ran") is None
    page.evaluate("window.violations = []")
    viewer.forgive()


def test_the_server_is_killed_and_comes_back(viewer: Viewer, server: Server) -> None:
    """Without its server the page says so and stops its clocks; it finds the next one by itself."""
    page = viewer.look_at(server.dashboard)
    lost = server.submit("endless")
    expect(row(page, lost)).to_have_attribute("data-status", "running")
    server.kill()
    touch = page.locator("#touch")
    expect(touch).to_contain_text("Out of touch")
    expect(page.locator("body")).to_have_class(re.compile("lost"))
    server.start()
    found = server.submit("endless")
    expect(touch).to_have_text("Live")
    expect(row(page, found)).to_have_attribute("data-status", "running")
    expect(row(page, lost)).to_have_count(0)


def test_clocks_stand_still_without_the_server(viewer: Viewer, server: Server) -> None:
    """How old a job is goes on while the server tells of it, and not while it is gone."""
    page = viewer.open("about:blank")
    page.clock.install()
    page.goto(server.dashboard)
    job = row(page, server.submit("endless"))
    age = job.get_by_role("gridcell").nth(3)
    expect(age).to_have_text(re.compile(r"^\d+ s$"))
    page.clock.fast_forward(120_000)
    expect(age).to_have_text("2 min")
    server.kill()
    touch = page.locator("#touch")
    expect(touch).to_contain_text("Out of touch")
    page.clock.fast_forward(600_000)
    expect(touch).to_contain_text("10 min")
    expect(age).to_have_text("2 min")


def test_the_readers_place_is_kept(page: Page, running: Server) -> None:
    """What is read stays where it is while jobs come in above, and the focus stays with its job."""
    ids = [running.submit("quick", n=n) for n in range(60)]
    expect(row(page, ids[-1])).to_be_visible()
    row(page, ids[-1]).focus()
    page.evaluate("scrollTo(0, 2000)")
    read = row(page, ids[-40])
    expect(read).to_be_in_viewport()
    place = read.bounding_box()
    newer = [running.submit("endless") for _ in range(3)]
    page.wait_for_function("y => scrollY === y", arg=2000 + 3 * 52)
    assert read.bounding_box() == place
    assert page.evaluate("document.activeElement.dataset.id") == ids[-1]
    for job_id in newer:
        running.client.post(f"/jobs/{job_id}/cancel").raise_for_status()


# Runs in the page: what it makes of two events whose text is cut at every place.
_CUT = """
async () => {
  const { Events } = await import("/jobs/dashboard/stream.js");
  const text = 'retry: 1\\nevent: a\\ndata: {"n": 1}\\n\\n: alive\\n\\nevent: b\\ndata: {"n": 2}\\n\\n';
  const found = new Set();
  for (let cut = 0; cut <= text.length; cut += 1) {
    const seen = [];
    const events = new Events((name, data) => seen.push(name + data.n));
    events.take(text.slice(0, cut));
    events.take(text.slice(cut));
    found.add(seen.join());
  }
  return [...found];
}
"""


def test_events_that_come_in_pieces(page: Page) -> None:
    """An event is whole wherever the network has cut it."""
    assert page.evaluate(_CUT) == ["a1,b2"]


def test_a_page_that_may_not_look(viewer: Viewer, running: Server) -> None:
    """A page whose stream is refused says what the server has answered."""
    page = viewer.open("about:blank")
    page.route(
        "**/jobs/events", lambda route: route.fulfill(status=403, json={"detail": "closed here"})
    )
    page.goto(running.dashboard)
    expect(page.locator("#touch")).to_contain_text("closed here")
    viewer.forgive()


def test_by_keyboard(page: Page, running: Server) -> None:
    """Filters, rows, panel and cancel are reached without a mouse, and Escape leads back."""
    newest = [running.submit("endless", message=f"number {n}") for n in range(3)][::-1]
    failed = running.finished("failing")
    expect(row(page, failed)).to_be_visible()
    press = page.keyboard.press
    press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("number ")
    expect(page.locator(".row")).to_have_count(3)
    press("ArrowDown")
    press("ArrowDown")
    press("Enter")
    panel = page.get_by_role("complementary", name="Job")
    expect(panel).to_contain_text(newest[1])
    press("ArrowDown")
    expect(panel).to_contain_text(newest[2])
    expect(row(page, newest[2])).to_be_focused()
    press("Escape")
    expect(panel).to_be_hidden()
    expect(row(page, newest[2])).to_be_focused()
    press("c")
    press("Tab")
    press("Enter")
    expect(row(page, newest[2])).to_have_attribute("data-status", "cancelled")
    press("/")
    press("Escape")
    expect(row(page, failed)).to_be_visible()
    page.locator("#counts button", has_text="failed").focus()
    press("Enter")
    expect(page.locator("#counts [aria-pressed=true]")).to_contain_text("failed")
    expect(row(page, failed)).to_be_visible()
    expect(page.locator('.row:not([data-status="failed"])')).to_have_count(0)
    page.locator("#type").focus()
    page.keyboard.type("fail")
    expect(page.locator("#type")).to_have_value(re.compile("^fail"))


def test_an_address_keeps_filters_and_job(viewer: Viewer, running: Server) -> None:
    """The address can be passed on: it leads to the same filters and the same open job."""
    job_id = running.finished("failing")
    page = viewer.look_at(running.dashboard)
    page.locator("#counts button", has_text="failed").click()
    page.locator("#type").select_option("failing")
    row(page, job_id).click()
    other = viewer.look_at(page.url)
    expect(other.get_by_role("complementary", name="Job")).to_contain_text(job_id)
    expect(other.locator("#type")).to_have_value("failing")
    expect(other.locator("#counts [aria-pressed=true]")).to_contain_text("failed")
    missing = viewer.look_at(f"{running.dashboard}#job={NO_JOB}")
    expect(missing.get_by_role("complementary", name="Job")).to_contain_text("kept no longer")
    expect(missing.get_by_role("complementary").get_by_role("link")).to_be_visible()


def test_nothing_outside_is_asked(page: Page, viewer: Viewer, running: Server) -> None:
    """The browser asks the page's own server, and nobody else; it has one stream."""
    expect(page.locator("#counts b").first).to_have_text(re.compile(r"^[\d,]+$"))
    elsewhere = {url for url in viewer.requested if not url.startswith(("data:", running.url))}
    assert elsewhere == set()
    assert [url for url in viewer.requested if url.endswith("/events")] == [
        f"{running.url}/jobs/events"
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "desk"])
def test_everybody_can_use_it(
    viewer: Viewer, running: Server, size: dict[str, int], scheme: str
) -> None:
    """axe finds nothing serious in the list, the panel and the dialog, and nothing is cut off."""
    running.finished("quick")
    running.finished("failing")
    running.submit("endless")
    page = viewer.look_at(running.dashboard, viewport=size, color_scheme=scheme)
    newest = page.locator(".row").first
    expect(newest).to_have_attribute("data-status", "running")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (lightness < 128) is (scheme == "dark")
    assert serious(page) == []
    page.locator('.row[data-status="failed"]').first.click()
    expect(page.get_by_role("complementary", name="Job")).to_contain_text("PermissionError")
    assert serious(page) == []
    page.get_by_role("button", name="Close").click()
    newest.click()
    page.get_by_role("complementary").get_by_role("button", name="Cancel").click()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody from using the page."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


# Runs in the page: how long the longest task was, and how many frames there were, in 3 s.
_MEASURE = """
() => new Promise((resolve) => {
  let longest = 0, busy = 0, frames = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) { longest = Math.max(longest, duration); busy += duration; }
  }).observe({ type: "longtask" });
  const frame = () => { frames += 1; scrollBy(0, 40); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  setTimeout(() => resolve({ longest, busy, frames, rows: document.querySelectorAll(".row").length }), 3000);
})
"""


def test_who_sees_only_the_own_jobs(viewer: Viewer, server: Server) -> None:
    """A page of the own jobs has no others, no counts of them, and says that older ones lack."""
    page = viewer.look_at(server.dashboard.replace("/jobs/", "/mine/"))
    expect(page.locator("#shown")).to_have_text("0 jobs")
    mine = server.submit("endless")
    expect(row(page, mine)).to_be_visible()
    body = {"job_type": "quick"}
    for _ in range(2):
        server.client.post("/jobs/", json=body, headers={"user": "grace"}).raise_for_status()
    server.finished("quick")
    expect(page.locator("#shown")).to_have_text("the newest 2 jobs, not the older ones")
    expect(page.locator("#counts b").first).to_have_text("2")
    expect(page.locator("#slots")).to_have_text("")
    expect(page.locator("#plot .when")).to_have_text("last hour, of the newest jobs")
    page.get_by_role("searchbox").fill("no such job")
    expect(page.locator("#empty p")).to_contain_text("Among the newest 2 jobs")


def test_it_is_smooth_with_thousands_of_jobs(viewer: Viewer, server: Server) -> None:
    """With 5,000 jobs kept and 100 changes a second it scrolls, and few rows are in the page."""
    server.client.post("/many").raise_for_status()
    page = viewer.look_at(server.dashboard)
    expect(page.locator("#counts b").first).to_have_text("5,010")
    expect(page.locator("#shown")).to_have_text("the newest 5,000 of 5,010 jobs")
    measured = page.evaluate(_MEASURE)
    print(measured)
    assert measured["rows"] < 50
    assert measured["busy"] < 1_000  # of 3,000 ms; a machine with something to do has half left
    assert measured["frames"] > 30
