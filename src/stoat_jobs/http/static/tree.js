// A result as a tree. What is inside is made when it is opened, so that no depth and no length
// of a result holds the page up.

import { element } from "./elements.js";

const AT_ONCE = 100;
const LONGEST = 2_000;

/** *text*, which is JSON, with integers kept that JavaScript's numbers cannot hold. */
export function parsed(text) {
  return JSON.parse(text, (_, value, context) => {
    const source = context?.source;
    if (typeof value !== "number" || !/^-?\d+$/.test(source ?? "")) return value;
    return Number.isSafeInteger(value) ? value : BigInt(source);
  });
}

export function tree(value) {
  return element("div", { class: "tree" }, branch(null, value, true));
}

function branch(name, value, open = false) {
  const key = name === null ? null : element("span", { class: "key-name" }, `${name}: `);
  if (value === null || typeof value !== "object") return element("div", {}, key, ...leaf(value));
  const entries = Object.entries(value);
  const size = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  const title = element("span", { class: "size" }, size);
  if (!entries.length) return element("div", {}, key, title);
  const node = element("details", {}, element("summary", {}, key, title));
  const fill = () => node.open && node.children.length === 1 && node.append(inside(entries));
  node.addEventListener("toggle", fill);
  if (open) {
    node.open = true;
    fill();
  }
  return node;
}

function inside(entries) {
  const list = element("div", { class: "inside" });
  const more = (from) => {
    list.append(...entries.slice(from, from + AT_ONCE).map(([name, value]) => branch(name, value)));
    const left = entries.length - from - AT_ONCE;
    if (left > 0) list.append(button(`${left.toLocaleString("en")} more`, () => more(from + AT_ONCE)));
  };
  more(0);
  return list;
}

function leaf(value) {
  if (typeof value === "string") return text(value);
  const kind = typeof value === "number" || typeof value === "bigint" ? "number-value" : "other";
  return [element("span", { class: kind }, String(value))];
}

function text(value) {
  const node = element("span", { class: "string" }, JSON.stringify(value.slice(0, LONGEST)));
  if (value.length <= LONGEST) return [node];
  const whole = () => (node.textContent = JSON.stringify(value));
  return [node, button(`… ${value.length.toLocaleString("en")} characters`, whole)];
}

function button(label, act) {
  const node = element("button", { type: "button" }, label);
  node.addEventListener("click", () => {
    node.remove();
    act();
  });
  return node;
}
