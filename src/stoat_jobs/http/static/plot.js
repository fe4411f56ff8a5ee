// Jobs started, finished and failed in each minute of the last hour.

import { drawn, say } from "./elements.js";
import { count, minute } from "./words.js";

const MINUTE = 60_000;
const MINUTES = 60;
const [WIDTH, HEIGHT] = [600, 72];
const STEP = WIDTH / MINUTES;

export class Plot {
  #figure;
  #svg;
  #columns = [];
  #pointed = null;
  #drawn = "";
  #isPartial = false;

  constructor(figure) {
    this.#figure = figure;
    this.#svg = figure.querySelector("svg");
    this.#svg.addEventListener("pointerover", ({ target }) => this.#point(target));
    this.#svg.addEventListener("pointerleave", () => this.#point(null));
  }

  draw(jobs) {
    const last = Math.floor(jobs.now() / MINUTE);
    this.#columns = counted(jobs, last);
    this.#isPartial = jobs.isPartial;
    const told = JSON.stringify([last, this.#isPartial, this.#columns.map((each) => Object.values(each))]);
    if (told === this.#drawn) return;
    this.#drawn = told;
    const most = Math.max(1, ...this.#columns.map((each) => Math.max(each.started, each.finished)));
    const high = (number) => (number / most) * (HEIGHT - 14);
    this.#svg.replaceChildren(...this.#bars(high), this.#line(high), ...this.#minutes());
    say(this.#figure.querySelector(".most"), most > 1 ? String(most) : "");
    this.#legend();
  }

  #bars(high) {
    return this.#columns.flatMap(({ finished, failed }, index) => [
      bar("finished", index, high(failed), high(finished - failed)),
      bar("failed", index, 0, high(failed)),
    ]).filter(Boolean);
  }

  #line(high) {
    let before = 0;
    const steps = this.#columns.map(({ started }, index) => {
      const step = started || before ? `V${(HEIGHT - high(started)).toFixed(1)}` : "";
      const end = (index + 1) * STEP;
      before = started;
      return step + (started ? `H${end}` : `M${end} ${HEIGHT}`); // no line at nothing
    });
    return drawn("path", { class: "line started", d: `M0 ${HEIGHT}${steps.join("")}` });
  }

  #minutes() {
    return this.#columns.map((_, index) =>
      drawn("rect", { class: "minute", x: index * STEP, width: STEP, height: HEIGHT, "data-index": index }));
  }

  #point(target) {
    this.#pointed = target?.dataset?.index ?? null;
    this.#legend();
  }

  /** The counts of the minute that is pointed at, or of the whole hour. */
  #legend() {
    const shown = this.#pointed === null ? this.#columns : [this.#columns[this.#pointed]];
    const sums = { started: 0, finished: 0, failed: 0 };
    for (const column of shown) for (const name in sums) sums[name] += column[name];
    for (const name in sums) say(this.#figure.querySelector(`.${name} b`), sums[name].toLocaleString("en"));
    const when = this.#pointed === null ? "last hour" : minute(shown[0].at);
    const among = this.#isPartial ? ", of the newest jobs" : "";
    say(this.#figure.querySelector(".when"), when + among);
    if (this.#pointed !== null) return;
    const text = `In the last hour${among} ${count(sums.started, "job")} started, ${sums.finished} finished, ${sums.failed} failed`;
    this.#svg.setAttribute("aria-label", text);
  }
}

function counted(jobs, last) {
  const columns = Array.from({ length: MINUTES }, (_, index) =>
    ({ at: (last - MINUTES + 1 + index) * MINUTE, started: 0, finished: 0, failed: 0 }));
  const at = (ms) => columns[Math.floor(ms / MINUTE) - last + MINUTES - 1];
  jobs.each((job) => {
    if (job.started !== null && at(job.started)) at(job.started).started += 1;
    if (job.finished === null || job.started === null || !at(job.finished)) return;
    at(job.finished).finished += 1;
    if (job.status === "failed" || job.status === "timeout") at(job.finished).failed += 1;
  });
  return columns;
}

function bar(name, index, from, height) {
  if (!height) return null;
  const y = HEIGHT - from - height;
  return drawn("rect", { class: `bar ${name}`, x: index * STEP + 1.5, y, width: STEP - 3, height });
}
