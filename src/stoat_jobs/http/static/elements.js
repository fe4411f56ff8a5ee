// Elements are made here, and only here: whatever comes from a job goes in as text.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and with children, which are elements or text. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Set the text of *node* unless it is that already, which would cost a layout. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set or take an attribute, unless it is so already. */
export function mark(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** The symbol of a status. */
export function symbol(status) {
  return drawn("svg", { "aria-hidden": "true" }, drawn("use", { href: `#${status}` }));
}

/** The bar of a job's progress, and how to bring it up to date. */
export function progressBar() {
  const fill = element("i");
  const track = element("span", { class: "track", role: "progressbar", "aria-label": "Progress" }, fill);
  const percent = element("b");
  const show = (progress) => {
    track.classList.toggle("unknown", progress === null);
    fill.style.transform = progress === null ? "" : `scaleX(${progress})`;
    mark(track, "aria-valuenow", progress === null ? null : Math.round(progress * 100));
    say(percent, progress === null ? "" : `${Math.floor(progress * 100)}%`);
  };
  return { node: element("span", { class: "progress" }, track, percent), show };
}
