// The source pane: the learner's code, the current line, and where every other task stands.

import { calm, make } from "./dom.js";
import { placeText } from "./sentence.js";
import { chainOf, isOver, localsAt } from "./state.js";

const MANY = 400; // lines; of a longer file only what the run touched is shown
const AROUND = 12;
const LINKS = 5; // calls of a chain that are named; a longer one is left out in the middle

const WORDS = new Set(("and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield None True False match case").split(" "));
const PIECES = /("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|(#[^\n]*)|([A-Za-z_]\w*)|(\d[\d_.]*)/g;

/** Colour Python's words, strings and comments: enough to read by. @param {string} text @returns {(Node | string)[][]} lines */
function coloured(text) {
  /** @type {(Node | string)[][]} */
  const lines = [[]];
  const put = (/** @type {string} */ piece, /** @type {string} */ kind) =>
    piece.split("\n").forEach((part, i) => {
      if (i) lines.push([]);
      if (part) lines[lines.length - 1].push(kind ? make("span", kind, {}, part) : part);
    });
  let at = 0;
  for (const match of text.matchAll(PIECES)) {
    put(text.slice(at, match.index), "");
    const [piece, string, comment, word, number] = match;
    const keyword = word && WORDS.has(word) ? "dl-keyword" : "";
    put(piece, string ? "dl-string" : comment ? "dl-comment" : number ? "dl-number" : keyword);
    at = match.index + piece.length;
  }
  put(text.slice(at), "");
  return lines;
}

/** @param {import("./state.js").Payload} payload */
export function makeSource(payload) {
  const title = make("div", "dl-source-title");
  const chain = make("div", "dl-chain", { role: "group", "aria-label": "Await chain" });
  const code = make("div", "dl-code", { tabindex: "0", role: "group", "aria-label": "Source code" });
  const locals = make("div", "dl-locals", { tabindex: "0", role: "group", "aria-label": "Local variables" });
  locals.hidden = !payload.locals.length;
  const element = make("section", "dl-source", {}, title, chain, code, locals);
  let file = -1;
  /** @type {Map<number, {row: any, tags: any}>} */
  let rows = new Map();
  /** @type {any} */
  let current = null;
  // What the browser would have to lay out anew to tell, with every step.
  let room = 1; // tags in a row
  let height = 0;

  /** @param {number} wanted */
  function open(wanted) {
    file = wanted;
    rows = new Map();
    const [label, text] = payload.files[file];
    title.textContent = label;
    const lines = text ? coloured(text) : [];
    const touched = payload.places.filter((p) => p[0] === file).map((p) => p[1]);
    const [first, last] = lines.length <= MANY ? [1, lines.length]
      : [Math.max(1, Math.min(...touched) - AROUND), Math.min(lines.length, Math.max(...touched) + AROUND)];
    const made = [];
    for (let number = first; number <= last; number += 1) {
      const tags = make("span", "dl-tags");
      const row = make("div", "dl-row", {}, make("span", "dl-number-of-line", {}, String(number)),
        make("span", "dl-text", {}, ...lines[number - 1]), tags);
      rows.set(number, { row, tags });
      made.push(row);
    }
    if (!text) made.push(make("div", "dl-no-source", {}, "The source of this file is not at hand."));
    code.replaceChildren(...made);
  }

  /** @type {import("./state.js").State | null} */
  let shown = null;

  /** @param {import("./state.js").State} state */
  function show(state) {
    shown = state;
    if (state.place >= 0) look(state.place, state);
  }

  /** Look at the line of one call of the chain. @param {number} place @param {import("./state.js").State} state */
  function look(place, state) {
    if (payload.places[place][0] !== file) open(payload.places[place][0]);
    showChain(place, state);
    current?.row.classList.remove("dl-now", "dl-outer");
    current = rows.get(payload.places[place][1]);
    current?.row.classList.add(place === state.place ? "dl-now" : "dl-outer");
    showTags(state);
    showLocals(place, state);
    centre();
  }

  /** The variables of a call; what has just changed is said, not only coloured. @param {number} place @param {import("./state.js").State} state */
  function showLocals(place, state) {
    if (locals.hidden) return;
    const rows = localsAt(payload, state, place).map(({ name, value, mark }) =>
      make("tr", mark ? "dl-marked" : "", {}, make("th", "", { scope: "row" }, name), make("td", "dl-value", {}, value), make("td", "dl-mark", {}, mark)));
    const caption = make("caption", "", {}, `Local variables of ${payload.places[place][2]}`);
    locals.replaceChildren(rows.length ? make("table", "", {}, caption, ...rows) : make("p", "", {}, "No local variables yet."));
    const marked = locals.querySelector(".dl-marked");
    if (marked) locals.scrollTop = marked.offsetTop - locals.clientHeight / 2;
  }

  /** The calls that led here, each a button that leads to its line. @param {number} seen @param {import("./state.js").State} state */
  function showChain(seen, state) {
    const calls = chainOf(payload, state.place);
    const left = calls.length > LINKS ? calls.splice(2, calls.length - LINKS) : [];
    const links = calls.map((place) => {
      const [, line, name] = payload.places[place];
      const link = make("button", "dl-link", { type: "button", title: placeText(payload, place) }, name, make("span", "dl-link-line", {}, `:${line}`));
      if (place === seen) link.setAttribute("aria-current", "true");
      link.addEventListener("click", () => {
        look(place, state);
        chain.querySelector("[aria-current]").focus();
      });
      return link;
    });
    if (left.length) links.splice(2, 0, make("span", "dl-link-more", {}, `${left.length} more`));
    chain.replaceChildren(...links);
  }

  /** @param {import("./state.js").State} state */
  function showTags(state) {
    for (const { tags } of rows.values()) if (tags.firstChild) tags.replaceChildren();
    state.lanes.forEach((lane, task) => {
      const place = payload.places[state.places[task]];
      if (!lane || isOver(lane) || !place || place[0] !== file) return;
      const tags = rows.get(place[1])?.tags;
      if (!tags) return;
      if (tags.childElementCount < room) tags.append(make("span", `dl-tag dl-${lane}`, {}, payload.tasks[task][0]));
      else {
        const more = tags.querySelector(".dl-tag-more") ?? tags.appendChild(make("span", "dl-tag-more"));
        more.textContent = `+${1 + (Number(more.textContent) || 0)}`;
      }
    });
  }

  /** Scroll the pane, and nothing but the pane. */
  function centre() {
    if (!current || !height) return;
    const { offsetTop, offsetHeight } = current.row;
    const top = offsetTop - height / 2 + offsetHeight / 2;
    code.scrollTo({ top, behavior: calm() ? "auto" : "smooth" });
  }

  /** Fit what is shown to a new width. */
  function resize() {
    room = code.clientWidth < 420 ? 1 : 3;
    height = code.clientHeight;
    if (shown) showTags(shown);
    centre();
  }

  return { element, show, resize };
}
