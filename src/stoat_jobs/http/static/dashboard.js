// The page: what is told of the jobs, and what the reader does, meet here.

import { element, mark, say, symbol } from "./elements.js";
import { Detail } from "./detail.js";
import { Jobs, isLive } from "./jobs.js";
import { Plot } from "./plot.js";
import { Stream, reasonOf } from "./stream.js";
import { Table } from "./table.js";
import { STATUSES, count, plain, whole } from "./words.js";

const $ = (selector) => document.querySelector(selector);
const NOTICE_MS = 6_000;

const jobs = new Jobs();
const filters = { status: "", type: "", search: "" };
const table = new Table($("#rows"), { open, cancel: ask });
const detail = new Detail($("#detail"), { close, cancel: ask });
const plot = new Plot($("#plot"));
const touch = { state: "connecting", since: null, why: "" };

// ---- what is told

const stream = new Stream("events", {
  message(name, data) {
    if (name === "snapshot") jobs.replace(data);
    else jobs.update(data);
    if (touch.since !== null) tell("In touch again");
    Object.assign(touch, { state: "live", since: null, why: "" });
    changed();
  },
  lost(why) {
    jobs.stopClock();
    if (touch.since === null) tell("Out of touch with the server, trying again");
    touch.since ??= Date.now();
    Object.assign(touch, { state: "lost", why });
    tick();
  },
});

let drawing = null;

/** Draw everything with the next frame, once however much has come until then. */
function changed() {
  drawing ??= requestAnimationFrame(() => {
    drawing = null;
    drawAll();
  });
}

function drawAll() {
  const list = jobs.newestFirst(fits());
  table.chosen = detail.id;
  table.show(list, jobs.now());
  drawCounts();
  drawTypes();
  drawShown(list);
  tick();
}

/** What goes on with time alone. */
function tick() {
  const now = jobs.now();
  table.draw(now);
  detail.show(detail.id, known(detail.id), now);
  plot.draw(jobs);
  drawTouch();
}

function drawTouch() {
  $("#touch").dataset.state = touch.state;
  document.body.classList.toggle("lost", touch.state === "lost");
  say($("#touch-text"), touchText());
  $("#touch").title = touch.why;
}

function touchText() {
  if (touch.state === "live") return "Live";
  if (touch.state === "connecting") return "Connecting";
  const seconds = whole(Date.now() - touch.since);
  return jobs.stats ? `Out of touch for ${seconds}, trying again` : `No answer: ${touch.why}`;
}

// ---- counts and filters

const counts = new Map(["", ...STATUSES].map((status) => [status, countButton(status)]));
$("#counts").append(...[...counts.values()].map(({ node }) => node));

function countButton(status) {
  const number = element("b", {}, "–");
  const label = element("span", {}, status || "all jobs");
  const node = element("button", { type: "button", "data-status": status }, status ? symbol(status) : null, label, number);
  node.addEventListener("click", () => filter({ status: filters.status === status ? "" : status }));
  return { node, number };
}

function drawCounts() {
  const { by_status: byStatus, slots_in_use: used, concurrency, abandoned } = jobs.stats;
  const all = Object.values(byStatus).reduce((sum, number) => sum + number, 0);
  for (const [status, { node, number }] of counts) {
    say(number, (status ? byStatus[status] : all).toLocaleString("en"));
    mark(node, "aria-pressed", filters.status === status);
  }
  const left = abandoned ? `, ${count(abandoned, "handler")} left running` : "";
  // Who may see only some of the jobs is not told of the queue.
  say($("#slots"), concurrency === undefined ? "" : `${used} of ${count(concurrency, "slot")} in use${left}`);
  const { running, failed } = byStatus;
  document.title = [running && `${running} running`, failed && `${failed} failed`, "Jobs"].filter(Boolean).join(" · ");
}

function drawTypes() {
  const select = $("#type");
  const types = [...new Set([...jobs.types(), ...(filters.type ? [filters.type] : [])])].sort();
  if ([...select.options].slice(1).every(({ value }, i) => value === types[i]) && select.options.length === types.length + 1) return;
  select.replaceChildren(select.options[0], ...types.map((type) => element("option", { value: type }, type)));
  select.value = filters.type;
}

function drawShown(list) {
  const filtered = fits() !== null;
  const newest = shownJobs();
  say($("#shown"), filtered ? `${list.length.toLocaleString("en")} of ${newest}` : newest);
  $("#grid").hidden = !list.length;
  $("#empty").hidden = list.length > 0;
  $("#empty button").hidden = !filtered;
  say($("#empty p"), filtered ? nothingFits() : "No jobs yet. They appear here as soon as one is submitted.");
}

/** How many jobs the page has, and of how many. */
function shownJobs() {
  if (!jobs.isPartial) return count(jobs.size, "job");
  const newest = `the newest ${jobs.size.toLocaleString("en")}`;
  return jobs.total === null ? `${newest} jobs, not the older ones` : `${newest} of ${count(jobs.total, "job")}`;
}

function nothingFits() {
  return jobs.isPartial ? `Among ${shownJobs()}, none fits the filters.` : "No job fits the filters.";
}

/** Whether a job fits the filters; null where all do. */
function fits() {
  const { status, type } = filters;
  const search = filters.search.trim().toLowerCase();
  if (!status && !type && !search) return null;
  return (job) =>
    (!status || job.status === status) && (!type || job.job_type === type) && (!search || words(job).includes(search));
}

function words(job) {
  const texts = [job.job_type, job.job_id, job.message, job.error, job.error_type];
  return [...texts, ...Object.values(job.metadata).map(plain)].join("\n").toLowerCase();
}

function filter(change) {
  Object.assign(filters, change);
  $("#search").value = filters.search;
  $("#type").value = filters.type;
  remember();
  if (!jobs.stats) return;
  changed();
  tell(`${count(jobs.newestFirst(fits()).length, "job")} found`);
}

/** Keep filters and open job in the address, so that it can be passed on. */
function remember() {
  const pairs = Object.entries({ ...filters, job: detail.id }).filter(([, value]) => value);
  const hash = new URLSearchParams(pairs).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  const status = STATUSES.includes(told.get("status")) ? told.get("status") : "";
  detail.show(told.get("job"), known(told.get("job")), jobs.now());
  filter({ status, type: told.get("type") ?? "", search: told.get("search") ?? "" });
}

/** The job, undefined where there is none, null where none are known yet. */
function known(id) {
  return jobs.stats ? jobs.byId.get(id) : null;
}

/** For those who do not see the page: what has changed of itself, or by a filter. */
function tell(text) {
  say($("#told"), text);
}

// ---- what the reader does

function open(id) {
  detail.show(id, known(id), jobs.now());
  table.active = table.chosen = id;
  remember();
  changed();
  if (matchMedia("(max-width: 640px)").matches) detail.focus();
}

function close() {
  const id = detail.id;
  detail.show(null);
  remember();
  drawAll();
  table.focus(id);
}

function ask(id) {
  const job = jobs.byId.get(id);
  if (!job || !isLive(job) || job.cancel_requested) return;
  const dialog = $("#confirm");
  say(dialog.querySelector("strong"), job.job_type);
  say(dialog.querySelector("code"), id.slice(0, 8));
  dialog.dataset.id = id;
  dialog.returnValue = "";
  dialog.showModal();
}

async function cancel(id) {
  try {
    const answer = await fetch(`${encodeURIComponent(id)}/cancel`, { method: "POST" });
    if (!answer.ok) notify(`Not cancelled: ${await reasonOf(answer)}.`);
  } catch (error) {
    notify(`Not cancelled: ${error.message}.`);
  }
}

let noticed = null;

function notify(text) {
  say($("#notice"), text);
  clearTimeout(noticed);
  noticed = setTimeout(() => say($("#notice"), ""), NOTICE_MS);
}

const KEYS = {
  ArrowDown: () => table.move(1),
  ArrowUp: () => table.move(-1),
  PageDown: () => table.move(table.page),
  PageUp: () => table.move(-table.page),
  Home: () => table.move(-table.length),
  End: () => table.move(table.length),
  Enter: () => open(table.active),
  " ": () => open(table.active),
  c: () => ask(table.active),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("#confirm").open) return;
  const { target, key } = event;
  const typing = target.matches("input, select");
  if (key === "Escape" && target.id === "search" && target.value) return filter({ search: "" });
  if (key === "Escape" && detail.id !== null) return close();
  if (key === "Escape" && typing) return target.blur();
  if (key === "/" && !typing) act(event, () => $("#search").focus());
  else if (target.id === "search" && (key === "ArrowDown" || key === "Enter")) act(event, () => table.focus(table.active));
  else if (target.matches(".row") && KEYS[key]) act(event, KEYS[key]);
  else if (target.matches("body") && key === "ArrowDown") act(event, () => table.move(0));
}

function act(event, what) {
  event.preventDefault();
  what();
  if (detail.id !== null && detail.id !== table.active && event.target.matches(".row")) open(table.active);
}

document.addEventListener("keydown", pressed);
addEventListener("scroll", changedView, { passive: true });
addEventListener("resize", () => jobs.stats && changed());
addEventListener("hashchange", recall);
$("#search").addEventListener("input", ({ target }) => filter({ search: target.value }));
$("#type").addEventListener("change", ({ target }) => filter({ type: target.value }));
$("#empty button").addEventListener("click", () => filter({ status: "", type: "", search: "" }));
for (const button of document.querySelectorAll("#confirm button")) {
  button.addEventListener("click", () => $("#confirm").close(button.value));
}
$("#confirm").addEventListener("close", ({ target }) => target.returnValue === "cancel" && cancel(target.dataset.id));

function changedView() {
  requestAnimationFrame(() => table.draw(jobs.now()));
}

say($("#place"), location.host);
recall();
setInterval(tick, 1000);
stream.run();
