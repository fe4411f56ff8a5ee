// The table. Of all its rows only those in sight are elements: thousands of jobs cost no more
// than a screenful. A row stays with its job while it is in sight, and so does the focus.

import { element, mark, progressBar, say, symbol } from "./elements.js";
import { isLive, worked } from "./jobs.js";
import { age, duration, moment, whole } from "./words.js";

const OUT_OF_SIGHT = 6; // rows above and below that are there before they are scrolled to

export class Table {
  active = null; // the id of the job that the keyboard is at
  chosen = null; // the id of the job that is open
  #rows;
  #list = [];
  #places = new Map();
  #made = new Map();
  #on;

  /** *on* has ``open(id)`` and ``cancel(id)``. */
  constructor(rows, on) {
    this.#rows = rows;
    this.#on = on;
    rows.addEventListener("click", (event) => this.#clicked(event));
    rows.addEventListener("focusin", ({ target }) => this.#activate(idOf(target)));
  }

  /** Show *list*, the newest first, in which the reader's place is kept. */
  show(list, now) {
    const before = this.#firstInSight();
    this.#list = list;
    this.#places = new Map(list.map((job, index) => [job.job_id, index]));
    if (!this.#places.has(this.active)) this.active = list[0]?.job_id ?? null;
    const grid = this.#rows.parentElement;
    mark(grid, "aria-rowcount", list.length + 1);
    this.#rows.style.height = `${list.length * this.#height}px`;
    this.#keepPlace(before);
    this.draw(now);
  }

  /** Bring what is in sight up to date. */
  draw(now) {
    const [from, to] = this.#inSight();
    const wanted = new Map();
    for (const job of this.#list.slice(from, to)) wanted.set(job.job_id, job);
    // Where the focus may be: it would be lost with its row.
    if (this.active) wanted.set(this.active, this.#list[this.#places.get(this.active)]);
    for (const [id, row] of this.#made) {
      if (wanted.has(id)) continue;
      row.node.remove();
      this.#made.delete(id);
    }
    for (const [id, job] of wanted) this.#drawRow(id, job, now);
  }

  /** Go *by* rows from where the keyboard is; the open job goes along. */
  move(by) {
    if (!this.#list.length) return;
    const place = (this.#places.get(this.active) ?? 0) + by;
    this.focus(this.#list[Math.min(Math.max(place, 0), this.#list.length - 1)].job_id);
  }

  get page() {
    return Math.max(1, Math.floor((innerHeight - 140) / this.#height));
  }

  get length() {
    return this.#list.length;
  }

  /** Bring the keyboard to this job's row. */
  focus(id) {
    if (!this.#places.has(id)) return;
    this.active = id;
    this.#reveal(this.#places.get(id));
    this.draw(this.now);
    this.#made.get(id).node.focus({ preventScroll: true });
  }

  #drawRow(id, job, now) {
    this.now = now;
    let row = this.#made.get(id);
    if (!row) {
      row = new Row(id);
      this.#made.set(id, row);
      this.#rows.append(row.node);
    }
    row.show(job, now, this.#places.get(id), this.#height);
    mark(row.node, "tabindex", id === this.active ? 0 : -1);
    mark(row.node, "aria-selected", id === this.chosen);
    row.button.tabIndex = id === this.active ? 0 : -1;
  }

  #clicked({ target }) {
    const id = idOf(target);
    if (id && target.closest("button")) this.#on.cancel(id);
    else if (id) this.#on.open(id);
  }

  #activate(id) {
    if (!id || id === this.active) return;
    this.active = id;
    this.draw(this.now);
  }

  get #height() {
    return parseFloat(getComputedStyle(this.#rows).getPropertyValue("--row"));
  }

  get #top() {
    return this.#rows.getBoundingClientRect().top;
  }

  #inSight() {
    const first = Math.floor(-this.#top / this.#height) - OUT_OF_SIGHT;
    const number = Math.ceil(innerHeight / this.#height) + 2 * OUT_OF_SIGHT;
    return [Math.max(0, first), Math.max(0, first + number)];
  }

  /** The id and place of the row at the top, where the reader has scrolled down. */
  #firstInSight() {
    const place = Math.ceil(-this.#top / this.#height);
    return place > 0 && this.#list[place] ? [this.#list[place].job_id, place] : null;
  }

  #keepPlace(before) {
    if (!before || !this.#places.has(before[0])) return;
    const moved = this.#places.get(before[0]) - before[1];
    if (moved) scrollBy({ top: moved * this.#height, behavior: "instant" });
  }

  #reveal(place) {
    const top = this.#top + place * this.#height;
    const above = 100 - top;
    const below = top + this.#height + 12 - innerHeight;
    if (above > 0) scrollBy({ top: -above, behavior: "instant" });
    else if (below > 0) scrollBy({ top: below, behavior: "instant" });
  }
}

function idOf(target) {
  return target?.closest?.(".row")?.dataset.id ?? null;
}

class Row {
  constructor(id) {
    this.use = element("span");
    this.status = element("span", { role: "gridcell", class: "status" });
    this.name = element("span", { class: "name" });
    this.bar = progressBar();
    this.says = element("span", { class: "says" });
    this.age = element("span", { role: "gridcell", class: "number" });
    this.time = element("span", { role: "gridcell", class: "number ink" });
    this.attempt = element("span", { role: "gridcell", class: "number" });
    this.button = element("button", { type: "button" }, "Cancel");
    const type = element("span", { role: "gridcell" }, this.name, element("span", { class: "id" }, id.slice(0, 8)));
    const progress = element("span", { role: "gridcell" }, this.bar.node, this.says);
    const last = element("span", { role: "gridcell", class: "number" }, this.button);
    const cells = [this.status, type, progress, this.age, this.time, this.attempt, last];
    this.node = element("div", { role: "row", class: "row", "data-id": id }, ...cells);
  }

  show(job, now, place, height) {
    this.node.style.transform = `translateY(${place * height}px)`;
    mark(this.node, "aria-rowindex", place + 2);
    if (this.node.dataset.status !== job.status) {
      this.node.dataset.status = job.status;
      this.status.replaceChildren(symbol(job.status), job.status);
    }
    say(this.name, job.job_type);
    this.name.title = job.job_type;
    this.#progress(job);
    say(this.age, age(now - job.submitted));
    this.age.title = moment(job.submitted);
    say(this.time, timeOf(job, now));
    say(this.attempt, job.started === null ? "–" : String(job.attempt + 1));
    this.button.hidden = !isLive(job) || job.cancel_requested;
    this.button.setAttribute("aria-label", `Cancel ${job.job_type} ${job.job_id.slice(0, 8)}`);
  }

  #progress(job) {
    const running = job.status === "running";
    this.bar.node.hidden = !running;
    if (running) this.bar.show(job.progress);
    const text = saysOf(job);
    say(this.says, text);
    this.says.title = text;
    this.says.classList.toggle("error", job.status === "failed" || job.status === "timeout");
  }
}

/** One line on where the job is. */
function saysOf(job) {
  if (isLive(job)) return job.cancel_requested ? "asked to stop" : (job.message ?? "");
  if (job.status === "completed") return job.message ?? "";
  const type = job.status === "failed" && job.error_type !== job.error ? `${job.error_type}: ` : "";
  return `${type}${job.error ?? ""}`;
}

function timeOf(job, now) {
  const ms = worked(job, now);
  if (ms === null) return "–";
  return job.finished === null ? whole(ms) : duration(ms);
}
