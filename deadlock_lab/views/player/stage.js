// The stage: lanes, tasks that move between them, and who waits for whom.

import { calm, draw, icon, make, turnInto } from "./dom.js";
import { place, plan } from "./layout.js";
import { when } from "./sentence.js";
import { closedCycles, edgesAt, eventAt, isClosed, length } from "./state.js";

const TITLES = { running: "Running", ready: "Ready", waiting: "Waiting", timers: "Timers", finished: "Finished" };
const NOBODY = {
  running: "nobody",
  ready: "nobody",
  waiting: "nobody",
  timers: "none set",
  finished: "nobody yet",
};
const SETTLE = 130; // milliseconds in which a task goes about two thirds of its way
const FEW = 20; // arrows; of more, those that look alike are drawn in one, without words
const SPOKEN = 30; // names in a list that is read out

/**
 * @typedef {ReturnType<typeof edgesAt>[number]} Edge
 * @typedef {{element: any, x: number, y: number, toX: number, toY: number, w: number, h: number, seen: boolean, look: string, at: string}} Token
 * @typedef {{group: any, line: any, core: any, head: any, label: any, look: string, edges: Edge[]}} Arrow
 */

/**
 * @param {import("./state.js").Payload} payload
 * @param {(task: number) => void} onPick a task was clicked
 */
export function makeStage(payload, onPick) {
  const element = make("div", "dl-stage");
  const picture = draw("svg", { class: "dl-arrows", "aria-hidden": "true" });
  const rings = draw("g");
  const arrowLayer = draw("g");
  picture.append(arrowLayer, rings);
  /** @type {Record<string, any>} */
  const lanes = {};
  for (const [name, title] of Object.entries(TITLES)) {
    const more = make("span", "dl-more");
    const nobody = make("span", "dl-nobody", {}, NOBODY[/** @type {keyof typeof NOBODY} */ (name)]);
    const heading = make("div", "dl-lane-title", {}, title);
    lanes[name] = { box: make("div", `dl-lane dl-lane-${name}`, {}, heading, nobody, more), more, nobody, heading };
    element.append(lanes[name].box);
  }
  const chips = make("div", "dl-chips");
  lanes.timers.box.append(chips);
  element.append(picture);

  /** @type {Map<number, Token>} */
  const tokens = new Map();
  /** @type {Map<string, Arrow>} */
  const arrows = new Map();
  /** @type {import("./layout.js").Plan | null} */
  let layout = null;
  let frame = 0;
  let last = 0;
  /** @type {import("./state.js").State | null} */
  let shown = null;
  let picked = -1;
  const victims = victimsOf(payload);

  /** @param {number} node */
  function token(node) {
    let known = tokens.get(node);
    if (!known && layout) {
      const { w, h } = layout.size(node);
      const made = node >= 0 ? taskElement(node) : resourceElement(~node);
      made.style.width = `${w}px`;
      element.append(made);
      known = { element: made, x: 0, y: 0, toX: 0, toY: 0, w, h, seen: false, look: "", at: "" };
      tokens.set(node, known);
    }
    return /** @type {Token} */ (known);
  }

  /** @param {number} task */
  function taskElement(task) {
    const name = payload.tasks[task][0];
    // Not in the order of tabs: a hundred tasks would bar the way. Keys [ and ] go through them.
    const made = make("button", "dl-token dl-task", { type: "button", tabindex: "-1", title: name },
      icon("ready"), make("span", "dl-name", {}, name), make("span", "dl-turn", { "aria-hidden": "true", "data-turn": "" }));
    made.addEventListener("click", () => onPick(task));
    return made;
  }

  /** @param {number} resource */
  function resourceElement(resource) {
    const [name, , title, owned] = payload.resources[resource];
    return make("div", "dl-token dl-thing", { title }, icon(owned ? "lock" : "thing"), make("span", "dl-name", {}, name));
  }

  /** Lay everything out anew for a width. @param {number} width */
  function resize(width) {
    if (width < 40 || layout?.width === width) return;
    layout = plan(payload, width);
    element.classList.toggle("dl-dense", layout.dense);
    element.style.height = `${layout.height}px`;
    picture.setAttribute("viewBox", `0 0 ${width} ${layout.height}`);
    for (const [name, { x, y, w, h }] of Object.entries(layout.lanes)) {
      Object.assign(lanes[name].box.style, { left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px` });
    }
    for (const one of tokens.values()) one.element.remove();
    tokens.clear();
    drawRings(layout);
    if (shown) show(shown, true);
  }

  /** @param {import("./layout.js").Plan} layout */
  function drawRings({ rings: all, size }) {
    rings.replaceChildren(...all.map((ring, i) => {
      const group = draw("g", { class: "dl-ring" });
      const members = ring.nodes.filter((node) => node >= 0).length;
      const inside = 2 * ring.rx - Math.max(...ring.nodes.map((node) => size(node).w));
      const words = [
        ...(payload.cycles[i].guessed ? ["perhaps a"] : []),
        ...(members < 2 ? ["cycle"] : inside < 120 ? ["cycle", `of ${members}`] : [`cycle of ${members}`]),
      ];
      words.forEach((line, n) => {
        const text = draw("text", { x: ring.cx, y: ring.cy + 5 + 20 * (n - (words.length - 1) / 2) });
        text.textContent = line;
        group.append(text);
      });
      return group;
    }));
  }

  /** @param {import("./state.js").State} state @param {boolean} [atOnce] */
  function show(state, atOnce = false) {
    shown = state;
    if (!layout) return;
    element.classList.toggle("dl-jump", atOnce);
    const { tasks, more } = place(layout, state);
    const ringed = new Set(closedCycles(payload, state).flatMap((cycle) => cycle.nodes));
    tasks.forEach((spot, task) => {
      // Of those who are only counted, there may be thousands.
      if (spot && !(spot.hidden && !tokens.has(task))) showTask(state, task, spot, ringed.has(task));
      else if (!spot && tokens.has(task)) hide(task);
    });
    for (const node of layout.homes.keys()) if (node < 0) showResource(node, ringed.has(node));
    showLanes(state, more);
    showTimers(state);
    showArrows(edgesAt(payload, state));
    payload.cycles.forEach((cycle, i) =>
      rings.children[i].classList.toggle("dl-on", isClosed(cycle, state.position)));
    if (atOnce || calm()) settle();
    else wake();
  }

  /** @param {number} task */
  function hide(task) {
    const one = token(task);
    one.element.classList.add("dl-gone");
    one.look = "";
    one.seen = false;
  }

  /** @param {import("./state.js").State} state @param {number} task @param {{x: number, y: number, hidden: boolean}} spot @param {boolean} ringed */
  function showTask(state, task, spot, ringed) {
    const one = token(task);
    const lane = state.lanes[task];
    const asleep = lane === "waiting" && payload.waits[state.wait[task]]?.[0] === "sleep";
    if (!one.seen) {
      // A new task comes out of the one that made it.
      const parent = tokens.get(payload.tasks[task][1]);
      one.x = parent?.seen ? parent.x : spot.x;
      one.y = parent?.seen ? parent.y : spot.y;
      one.seen = true;
    }
    one.toX = spot.x;
    one.toY = spot.y;
    const classes = ["dl-token", "dl-task", `dl-${lane}`];
    if (ringed && lane === "waiting") classes.push("dl-in-cycle");
    else if (state.ended && payload.stuck.includes(task)) classes.push("dl-stuck");
    if (state.cancelling[task]) classes.push("dl-cancelling");
    if (state.position >= victims[task]) classes.push("dl-victim");
    if (spot.hidden) classes.push("dl-gone");
    if (picked >= 0) classes.push(picked === task ? "dl-picked" : "dl-faint");
    const turn = lane === "ready" ? String(state.ready.indexOf(task) + 1) : "";
    const mark = state.position >= victims[task] ? "victim" : state.cancelling[task] ? "stopping" : "";
    dress(one, task, classes.join(" "), asleep ? "sleeping" : lane, turn, mark);
  }

  /** Most tasks look as they did a step ago: those cost nothing. @param {Token} one @param {number} task @param {string} classes @param {string} doing @param {string} turn @param {string} mark */
  function dress(one, task, classes, doing, turn, mark) {
    const look = `${classes} ${doing} ${turn}`;
    if (look === one.look) return;
    one.look = look;
    one.element.className = classes;
    turnInto(one.element.firstChild, doing);
    one.element.lastChild.dataset.turn = turn;
    one.element.dataset.mark = mark;
    const said = [doing, turn && `turn ${turn}`, mark].filter((part) => part).join(", ");
    one.element.setAttribute("aria-label", `${payload.tasks[task][0]}: ${said}`);
    one.element.setAttribute("aria-pressed", String(picked === task));
  }

  /** @param {number} node @param {boolean} ringed */
  function showResource(node, ringed) {
    const one = token(node);
    const home = layout?.homes.get(node);
    if (!home) return;
    Object.assign(one, { x: home.x, y: home.y, toX: home.x, toY: home.y, seen: true });
    const used = shown && (shown.holders[~node] || shown.waiting.some((t) => payload.waits[shown?.wait[t] ?? -1]?.[2].includes(node)));
    one.element.className = `dl-token dl-thing${used ? "" : " dl-free"}${ringed ? " dl-in-cycle" : ""}`;
  }

  /** @param {import("./state.js").State} state @param {Record<string, number>} more */
  function showLanes(state, more) {
    for (const name of /** @type {const} */ (["running", "ready", "waiting", "timers", "finished"])) {
      lanes[name].nobody.hidden = state[name].length > 0 || (name === "timers" && state.event?.kind === "TIMER_FIRED");
      lanes[name].more.textContent = more[name] ? `+${more[name]}` : "";
      lanes[name].box.classList.toggle("dl-busy", state[name].length > 0);
    }
  }

  /** @param {number} timer @param {boolean} fired this very moment */
  function chip(timer, fired) {
    const [purpose, due, task] = payload.timers[timer];
    const whose = task >= 0 ? payload.tasks[task][0] : "";
    const text = whose ? `${whose}: ${purpose}` : purpose;
    return make("span", `dl-chip${fired ? " dl-fired" : ""}`, { title: `${when(due)} ${text}` }, icon(fired ? "rings" : "sleeping"),
      make("b", "", {}, fired ? "now" : when(due)), make("span", "dl-name", {}, text));
  }

  /** @param {import("./state.js").State} state */
  function showTimers(state) {
    const room = Math.max(1, Math.floor(((layout?.lanes.timers.w ?? 300) - 70) / 165));
    const event = state.event;
    const fired = event?.kind === "TIMER_FIRED" ? [event.detail] : [];
    const next = [...fired, ...state.timers].slice(0, room);
    const rest = fired.length + state.timers.length - next.length;
    chips.replaceChildren(...next.map((timer) => chip(timer, fired.includes(timer))));
    if (rest) chips.append(make("span", "dl-chip-more", {}, `+${rest}`));
    lanes.timers.heading.textContent = `Timers, clock at ${when(state.time)}`;
  }

  /** @param {Edge[]} edges */
  function showArrows(edges) {
    /** @type {Record<number, number>} */
    const fan = {};
    for (const { from } of edges) fan[from] = (fan[from] ?? 0) + 1;
    for (const arrow of arrows.values()) arrow.edges = [];
    for (const edge of edges) {
      const { from, to, kind, cycle } = edge;
      const faint = picked >= 0 && from !== picked && to !== picked;
      const look = `dl-arrow dl-${kind}${cycle ? " dl-in-cycle" : ""}${fan[from] > 5 ? " dl-fan" : ""}${faint ? " dl-faint" : ""}`;
      const alone = cycle || edges.length <= FEW;
      const key = alone ? `${from} ${to} ${kind}` : look;
      const arrow = arrows.get(key) ?? addArrow(key, alone ? kind : "");
      arrow.edges.push(edge);
      if (look !== arrow.look) {
        arrow.group.setAttribute("class", (arrow.look = look));
        if (cycle) arrowLayer.append(arrow.group); // what is thick lies on top
      }
    }
    for (const [key, arrow] of arrows) {
      if (arrow.edges.length) continue;
      arrow.group.remove();
      arrows.delete(key);
    }
  }

  /** @param {string} key @param {string} kind "" for many in one @returns {Arrow} */
  function addArrow(key, kind) {
    const line = draw("path", { class: "dl-line" });
    const core = draw("path", { class: "dl-core" });
    const head = draw("path", { class: "dl-head" });
    const label = draw("text", { class: "dl-edge-label" });
    if (kind && kind !== "waits") label.textContent = kind === "holds" ? "held by" : "maybe";
    const group = draw("g");
    group.append(line, core, head, label);
    arrowLayer.append(group);
    const arrow = { group, line, core, head, label, look: "", edges: [] };
    arrows.set(key, arrow);
    return arrow;
  }

  function wake() {
    if (frame) return;
    last = performance.now();
    frame = requestAnimationFrame(tick);
  }

  /** @param {number} now */
  function tick(now) {
    frame = 0;
    const share = 1 - Math.exp(-Math.max(0, now - last) / SETTLE);
    last = now;
    let moving = false;
    for (const one of tokens.values()) {
      if (!one.seen) continue;
      one.x += (one.toX - one.x) * share;
      one.y += (one.toY - one.y) * share;
      if (Math.abs(one.toX - one.x) + Math.abs(one.toY - one.y) < 0.3) arrive(one);
      else moving = true;
    }
    paint();
    if (moving) frame = requestAnimationFrame(tick);
  }

  function settle() {
    for (const one of tokens.values()) if (one.seen) arrive(one);
    paint();
  }

  /** @param {Token} one */
  function arrive(one) {
    one.x = one.toX;
    one.y = one.toY;
  }

  function paint() {
    for (const one of tokens.values()) {
      const at = `translate(${show1(one.x - one.w / 2)}px, ${show1(one.y - one.h / 2)}px)`;
      if (at !== one.at) one.element.style.transform = one.at = at;
    }
    for (const arrow of arrows.values()) paintArrow(arrow);
  }

  /** @param {Arrow} arrow */
  function paintArrow({ line, core, head, label, edges }) {
    let [lines, heads] = ["", ""];
    for (const { from, to, cycle } of edges) {
      const [a, b] = [tokens.get(from), tokens.get(to)];
      if (!a?.seen || !b?.seen) continue;
      const { path, tip, middle } = from === to ? loop(a) : bow(a, b, cycle);
      lines += path;
      heads += arrowHead(tip, cycle ? 8 : 5);
      if (!label.textContent) continue;
      label.setAttribute("x", show1(middle.x));
      label.setAttribute("y", show1(middle.y + 4));
    }
    line.setAttribute("d", lines);
    core.setAttribute("d", edges[0].cycle ? lines : "");
    head.setAttribute("d", heads);
  }

  return {
    element,
    resize,
    show,
    /** Show one task alone. @param {number} task or -1 */
    pick(task) {
      picked = task;
      if (shown) show(shown, true);
    },
    destroy() {
      cancelAnimationFrame(frame);
      frame = 0;
    },
  };
}

/** From which position on a task is the victim of a broken deadlock, by task. @param {import("./state.js").Payload} payload */
function victimsOf(payload) {
  /** @type {number[]} */
  const victims = [];
  for (let at = 0; at < length(payload); at += 1) {
    const { kind, task } = eventAt(payload, at);
    if (kind === "FREED") victims[task] ??= at + 1;
  }
  return victims;
}

/** @typedef {{x: number, y: number}} Point */

/** A line that bends to the left, so that two between the same ends lie side by side. @param {Token} a @param {Token} b @param {boolean} cycle */
function bow(a, b, cycle) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const bend = cycle ? 0.2 : 0.07;
  const by = { x: (a.x + b.x) / 2 + dy * bend, y: (a.y + b.y) / 2 - dx * bend };
  const start = edgeOf(a, by, 2);
  const end = edgeOf(b, by, cycle ? 10 : 6);
  const path = `M${show1(start.x)} ${show1(start.y)}Q${show1(by.x)} ${show1(by.y)} ${show1(end.x)} ${show1(end.y)}`;
  // The words stand on the line, or outside of it where it is thick.
  const off = cycle ? 22 / Math.max(1, Math.hypot(dx, dy)) : 0;
  const middle = { x: (start.x + 2 * by.x + end.x) / 4 + dy * off, y: (start.y + 2 * by.y + end.y) / 4 - dx * off };
  return { path, tip: { ...end, angle: Math.atan2(end.y - by.y, end.x - by.x) }, middle };
}

/** A task that waits for itself. @param {Token} a */
function loop({ x, y, w, h }) {
  const [left, right, top] = [x - w / 4, x + w / 4, y - h / 2 - 4];
  const path = `M${left} ${top}C${left - 14} ${top - 46} ${right + 14} ${top - 46} ${right} ${top - 6}`;
  return { path, tip: { x: right, y: top - 4, angle: Math.PI / 2 + 0.2 }, middle: { x, y: top - 34 } };
}

/** Where a line from a token's centre leaves it. @param {Token} token @param {Point} towards @param {number} gap @returns {Point} */
function edgeOf({ x, y, w, h }, towards, gap) {
  const [dx, dy] = [towards.x - x, towards.y - y];
  const reach = Math.min((w / 2 + gap) / Math.max(1e-6, Math.abs(dx)), (h / 2 + gap) / Math.max(1e-6, Math.abs(dy)));
  return { x: x + dx * reach, y: y + dy * reach };
}

/** @param {Point & {angle: number}} tip @param {number} size */
function arrowHead({ x, y, angle }, size) {
  const corner = (/** @type {number} */ turn, /** @type {number} */ far) =>
    `${show1(x + Math.cos(angle + turn) * far)} ${show1(y + Math.sin(angle + turn) * far)}`;
  return `M${corner(0, size)}L${corner(2.3, size)}L${corner(-2.3, size)}Z`;
}

/** @param {number} number */
function show1(number) {
  return Math.round(number * 10) / 10;
}

/**
 * Who is where, in words: the picture for those who cannot see it.
 * @param {import("./state.js").Payload} payload @param {import("./state.js").State} state
 */
export function inWords(payload, state) {
  const name = (/** @type {number} */ task) => payload.tasks[task][0];
  const cycles = closedCycles(payload, state).map(({ nodes }) => nodes.filter((n) => n >= 0).map(name).join(" → "));
  return [
    `Running: ${listed(state.running, name) || "nobody"}.`,
    `Ready, in order: ${listed(state.ready, name) || "nobody"}.`,
    `Waiting: ${listed(state.waiting, (t) => `${name(t)} ${(payload.waits[state.wait[t]]?.[3] ?? "").replaceAll("`", "")}`, "; ") || "nobody"}.`,
    `Timers: ${listed(state.timers, (timer) => when(payload.timers[timer][1])) || "none"}.`,
    `Finished: ${listed(state.finished, (t) => `${name(t)} (${state.lanes[t]})`) || "nobody"}.`,
    ...cycles.map((cycle) => `Cycle: ${cycle}.`),
  ].join(" ");
}

/** @param {number[]} list @param {(item: number) => string} write @param {string} [between] */
function listed(list, write, between = ", ") {
  const words = list.slice(0, SPOKEN).map(write);
  if (list.length > SPOKEN) words.push(`and ${list.length - SPOKEN} more`);
  return words.join(between);
}
