// The panel with everything about one job. Its result is read when it is shown.

import { element, progressBar, symbol } from "./elements.js";
import { isLive, worked } from "./jobs.js";
import { reasonOf } from "./stream.js";
import { parsed, tree } from "./tree.js";
import { duration, moment, plain, whole } from "./words.js";

export class Detail {
  id = null;
  #panel;
  #on;
  #shown = "";
  #result = null;
  #clock = null;

  /** *on* has ``close()`` and ``cancel(id)``. */
  constructor(panel, on) {
    this.#panel = panel;
    this.#on = on;
  }

  /** Show *job*: undefined where it is not among those that are known, null before any are. */
  show(id, job, now) {
    if (id !== this.id) {
      this.id = id;
      this.#shown = "";
      this.#result = null;
      this.#panel.scrollTop = 0;
    }
    this.#panel.hidden = id === null;
    document.body.classList.toggle("with-detail", id !== null);
    if (id === null) return;
    const shown = JSON.stringify(job ?? null);
    if (shown !== this.#shown || job === undefined) this.#build(job, shown);
    if (job) this.#tick(job, now);
  }

  focus() {
    this.#panel.focus();
  }

  #build(job, shown) {
    this.#shown = shown;
    const focused = this.#panel.contains(document.activeElement) && document.activeElement.name;
    this.#panel.replaceChildren(...(job ? this.#parts(job) : this.#unknown(job)));
    if (focused) (this.#panel.querySelector(`[name="${focused}"]`) ?? this.#panel).focus();
  }

  #unknown(job) {
    if (job === null) return [this.#top(null)];
    const text = "This job is not among those on the page. It is kept no longer, or older than they are.";
    return [this.#top(null), element("p", {}, text), element("p", { class: "foot" }, link(this.id))];
  }

  #parts(job) {
    return [
      this.#top(job),
      element("h2", {}, job.job_type),
      element("p", { class: "id" }, job.job_id),
      ...this.#progress(job),
      ...this.#error(job),
      element("h3", {}, "Times"),
      this.#times(job),
      ...this.#metadata(job),
      ...this.#resultOf(job),
      element("p", { class: "foot" }, link(job.job_id)),
    ];
  }

  #top(job) {
    const close = button("close", "Close", () => this.#on.close());
    if (!job) return element("div", { class: "top" }, element("span", { class: "status" }), close);
    const status = element("span", { class: "status", "data-status": job.status }, symbol(job.status), job.status);
    const stops = isLive(job) && !job.cancel_requested;
    const cancel = stops ? button("cancel", "Cancel…", () => this.#on.cancel(job.job_id)) : null;
    cancel?.classList.add("danger");
    return element("div", { class: "top" }, status, cancel, close);
  }

  #progress(job) {
    const parts = [];
    if (job.progress !== null || job.status === "running") {
      const bar = progressBar();
      bar.node.dataset.status = job.status;
      bar.show(job.progress);
      parts.push(bar.node);
    }
    const says = isLive(job) && job.cancel_requested ? "asked to stop" : job.message;
    if (says) parts.push(element("p", { class: "says" }, says));
    return parts;
  }

  #error(job) {
    if (job.error === null) return [];
    const type = job.error_type === job.error ? null : element("strong", {}, job.error_type ?? "");
    return [element("h3", {}, "Error"), element("p", { class: "error" }, type, job.error)];
  }

  #times(job) {
    this.#clock = element("dd");
    const list = element("dl", {}, ...row("submitted", moment(job.submitted)));
    if (job.started !== null) {
      const waited = element("small", {}, `waited ${duration(job.started - job.submitted)}`);
      list.append(...row("started", moment(job.started), waited));
    }
    if (job.finished !== null) list.append(...row("finished", moment(job.finished)));
    list.append(element("dt", {}, job.started === null ? "waits" : "duration"), this.#clock);
    if (job.started !== null) list.append(...row("attempt", String(job.attempt + 1)));
    return list;
  }

  #tick(job, now) {
    const ms = worked(job, now) ?? (job.finished ?? now) - job.submitted;
    const text = job.finished === null ? whole(ms) : duration(ms);
    if (this.#clock.textContent !== text) this.#clock.textContent = text;
  }

  #metadata(job) {
    const pairs = Object.entries(job.metadata);
    if (!pairs.length) return [];
    const rows = pairs.flatMap(([name, value]) => row(name, plain(value)));
    return [element("h3", {}, "Metadata"), element("dl", {}, ...rows)];
  }

  #resultOf(job) {
    if (isLive(job)) return [];
    if (!this.#result) {
      this.#result = element("div", { class: "result" }, "…");
      this.#read(job.job_id, this.#result);
    }
    return [element("h3", {}, "Result"), this.#result];
  }

  async #read(id, place) {
    try {
      const answer = await fetch(encodeURIComponent(id), { cache: "no-store" });
      if (!answer.ok) return place.replaceChildren(await reasonOf(answer));
      const { result, result_error: unsendable } = parsed(await answer.text());
      place.replaceChildren(unsendable ? `a ${unsendable}, which has no JSON` : tree(result));
    } catch (error) {
      place.replaceChildren(`could not be read: ${error.message}`);
    }
  }
}

function row(name, value, more = null) {
  return [element("dt", {}, name), element("dd", {}, value, more)];
}

function link(id) {
  return element("a", { href: encodeURIComponent(id), target: "_blank", rel: "noopener" }, "The record as JSON");
}

function button(name, label, act) {
  const node = element("button", { type: "button", name }, label);
  node.addEventListener("click", act);
  return node;
}
