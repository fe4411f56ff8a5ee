// The one stream of the page. Not an EventSource: that would neither say why it was refused, nor
// let the server's signs of life be seen.

const SILENCE_MS = 20_000;
const PROBE_MS = 5_000;
const LONGEST_PAUSE_MS = 5_000;

/** Follow the events of *url*; comes back whenever it ends. */
export class Stream {
  #url;
  #on;
  #failures = 0;
  #wake = () => {};

  /** *on* has ``message(name, data)``, ``live()`` and ``lost(why)``. */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    addEventListener("online", () => this.#wake());
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake());
  }

  async run() {
    for (;;) {
      const why = await this.#follow().catch((error) => String(error.message ?? error));
      this.#on.lost(why);
      await this.#pause();
      this.#failures += 1;
    }
  }

  /** Until the stream ends; gives why. */
  async #follow() {
    const control = new AbortController();
    const answer = await fetch(this.#url, { cache: "no-store", signal: control.signal });
    if (!answer.ok) return await reasonOf(answer);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const dog = new Watchdog(() => control.abort());
    try {
      const events = new Events((name, data) => this.#took(name, data));
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "the server ended the stream";
        dog.heard();
        events.take(value);
      }
    } finally {
      dog.stop();
    }
  }

  #took(name, data) {
    this.#failures = 0;
    this.#on.message(name, data);
  }

  #pause() {
    const ms = Math.min(LONGEST_PAUSE_MS, 250 * 2 ** this.#failures);
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, ms * (0.75 + Math.random() / 2));
    });
  }
}

/** Cuts text that comes in pieces into events. */
export class Events {
  #rest = "";
  #took;

  constructor(took) {
    this.#took = took;
  }

  take(piece) {
    const events = (this.#rest + piece).split("\n\n");
    this.#rest = events.pop();
    events.forEach((text) => this.#event(text));
  }

  #event(text) {
    const fields = {};
    for (const line of text.split("\n")) {
      const colon = line.indexOf(": ");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
    }
    if (fields.data) this.#took(fields.event, JSON.parse(fields.data));
  }
}

/** Asks the server for a sign of life where the stream gives none, and gives it up without one. */
class Watchdog {
  #heard = performance.now();
  #timer;

  constructor(giveUp) {
    this.#timer = setInterval(async () => {
      if (performance.now() - this.#heard < SILENCE_MS) return;
      const signal = AbortSignal.timeout(PROBE_MS);
      await fetch("health", { cache: "no-store", signal }).then(() => this.heard(), giveUp);
    }, SILENCE_MS / 4);
  }

  heard() {
    this.#heard = performance.now();
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** What a problem document says. */
export async function reasonOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  return problem.detail ?? `the server answered ${answer.status}`;
}
