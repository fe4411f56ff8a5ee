// Numbers and times as people read them.

export const STATUSES = ["pending", "running", "completed", "failed", "timeout", "cancelled"];

const CLOCK = { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1 };

const UNITS = [
  [86_400_000, "d", 3_600_000, "h"],
  [3_600_000, "h", 60_000, "min"],
  [60_000, "min", 1_000, "s"],
];

/** How long *ms* is, in at most two units: "850 ms", "4.2 s", "3 min 5 s". */
export function duration(ms) {
  if (ms < 999.5) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  return whole(ms);
}

/** The same without fractions, for what counts on. */
export function whole(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000)) * 1000;
  for (const [unit, name, smaller, smallerName] of UNITS) {
    if (seconds >= unit) {
      const rest = Math.floor((seconds % unit) / smaller);
      return `${Math.floor(seconds / unit)} ${name}${rest ? ` ${rest} ${smallerName}` : ""}`;
    }
  }
  return `${seconds / 1000} s`;
}

/** How long ago, in one unit. */
export function age(ms) {
  for (const [unit, name] of UNITS) {
    if (ms >= unit) return `${Math.floor(ms / unit)} ${name}`;
  }
  return `${Math.max(0, Math.floor(ms / 1000))} s`;
}

/** Text as it is, and any other value as JSON. */
export function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** A moment on the reader's clock; with the day where that is not today. */
export function moment(ms) {
  const date = new Date(ms);
  const clock = date.toLocaleTimeString([], CLOCK);
  return date.toDateString() === new Date().toDateString()
    ? clock
    : `${date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })}, ${clock}`;
}

export function minute(ms) {
  return new Date(ms).toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit" });
}
