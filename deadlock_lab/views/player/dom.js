// Small helpers to build elements. Text from learners' code goes in as text, never as HTML.

/**
 * @param {string} tag
 * @param {string} className
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, className, attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** @param {string} tag @param {Record<string, string | number>} [attributes] @returns {any} */
export function draw(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** Shapes on a grid of 16 by 16; a name ending in "!" is filled. @type {Record<string, string>} */
const ICONS = {
  start: "M4 3.5v9M12.5 3.8v8.4L6.5 8z",
  back: "M10.5 3.5 6 8l4.5 4.5",
  play: "M5 3.2v9.6L12.8 8z",
  pause: "M5.2 3.5v9M10.8 3.5v9",
  forward: "M5.5 3.5 10 8l-4.5 4.5",
  end: "M12 3.5v9M3.5 3.8v8.4L9.5 8z",
  cycle: "M12.9 6.2A5.2 5.2 0 0 0 3.4 5.6M3.1 9.8a5.2 5.2 0 0 0 9.5.6M13.2 2.9v3.4H9.8M2.8 13.1V9.7h3.4",
  running: "M5.5 4v8L12 8z",
  ready: "M3 8h9M8.5 4.5 12 8l-3.5 3.5",
  waiting: "M5 2.8h6M5 13.2h6M5.4 2.8c0 3 5.2 3.6 5.2 5.2s-5.2 2.2-5.2 5.200M10.6 2.800c0 3-5.2 3.6-5.2 5.200s5.2 2.2 5.2 5.2",
  sleeping: "M8 2.600a5.4 5.4 0 1 0 0 10.8 5.4 5.4 0 0 0 0-10.800M8 5v3l2.2 1.6",
  rings: "M4.2 11.5V7.500a3.8 3.8 0 0 1 7.6 0v4l1.200 1.300H3zM6.8 14.500h2.4M1.5 5.500c.2-1.500.9-2.700 2-3.600M14.5 5.500c-.2-1.500-.9-2.700-2-3.600",
  done: "M3.2 8.4 6.6 11.8 12.8 4.6",
  failed: "M4 4l8 8M12 4l-8 8",
  cancelled: "M8 2.700a5.3 5.3 0 1 0 0 10.600A5.3 5.3 0 0 0 8 2.700M4.3 4.300l7.4 7.4",
  lock: "M3.8 7.400h8.400v5.800H3.800zM5.6 7.200V5.200a2.4 2.4 0 0 1 4.8 0v2",
  thing: "M3.2 5.4 8 2.800l4.8 2.600v5.200L8 13.200l-4.8-2.600zM3.4 5.5 8 8l4.6-2.500M8 8v5",
  help: "M5.8 6.100a2.2 2.2 0 1 1 3.3 1.900c-.8.5-1.1.9-1.1 1.700M8 12.300v.1",
};

/** @param {string} name @returns {SVGElement} */
export function icon(name) {
  const svg = draw("svg", { viewBox: "0 0 16 16", class: "dl-icon", "aria-hidden": "true" });
  svg.append(draw("path", { d: ICONS[name] }));
  return svg;
}

/** Change an icon that is there. @param {Element} svg @param {string} name */
export function turnInto(svg, name) {
  svg.firstElementChild?.setAttribute("d", ICONS[name]);
}

/** Show a sentence with names, which stand in backticks, in code style. @param {Element} element @param {string} text */
export function showSentence(element, text) {
  const nodes = text.split("`").map((part, i) => (i % 2 ? make("code", "", { title: part }, part) : part));
  element.replaceChildren(...nodes);
}

/** Whether the reader asked for less motion. */
export function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
