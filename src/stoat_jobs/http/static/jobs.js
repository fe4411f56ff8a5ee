// The jobs as the server has told of them, and the server's clock.

/** All jobs that the page knows, the oldest first. */
export class Jobs {
  byId = new Map();
  stats = null;
  #order = [];
  #ahead = 0; // of the server's clock before ours, in ms
  #stoppedAt = null;

  /** Take everything anew. */
  replace(message) {
    this.byId.clear();
    this.#order = [];
    this.update(message);
  }

  /** Take what has changed. */
  update({ at, stats, gone, jobs }) {
    this.#ahead = Date.parse(at) - Date.now();
    this.#stoppedAt = null;
    this.stats = stats;
    for (const id of gone) this.byId.delete(id);
    if (gone.length) this.#order = this.#order.filter((job) => this.byId.has(job.job_id));
    for (const record of jobs.reverse()) this.#put(record);
  }

  get size() {
    return this.#order.length;
  }

  /** How many the server keeps; null where it says only whether there are more. */
  get total() {
    if (this.stats.is_partial) return null;
    return Object.values(this.stats.by_status).reduce((sum, number) => sum + number, 0);
  }

  /** Whether the server keeps older ones, too. */
  get isPartial() {
    return this.stats !== null && (this.total === null || this.total > this.size);
  }

  /** The server's time now; it stands still while nothing is heard of the server. */
  now() {
    return this.#stoppedAt ?? Date.now() + this.#ahead;
  }

  stopClock() {
    this.#stoppedAt ??= this.now();
  }

  /** Those that *fits* takes, the newest first. */
  newestFirst(fits) {
    return (fits ? this.#order.filter(fits) : this.#order.slice()).reverse();
  }

  each(visit) {
    this.#order.forEach(visit);
  }

  types() {
    return [...new Set(this.#order.map((job) => job.job_type))].sort();
  }

  #put(record) {
    const known = this.byId.get(record.job_id);
    const job = Object.assign(known ?? {}, record, {
      submitted: Date.parse(record.submitted_at),
      started: record.started_at && Date.parse(record.started_at),
      finished: record.finished_at && Date.parse(record.finished_at),
    });
    if (known) return;
    this.byId.set(job.job_id, job);
    let place = this.#order.length;
    while (place > 0 && this.#order[place - 1].submitted > job.submitted) place -= 1;
    this.#order.splice(place, 0, job);
  }
}

export const isLive = (job) => job.finished === null;

/** Milliseconds from start to end, or until now; null before the start. */
export function worked(job, now) {
  return job.started === null ? null : (job.finished ?? now) - job.started;
}
