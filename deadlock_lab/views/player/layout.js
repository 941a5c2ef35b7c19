// Where things stand on the stage, as a pure function of (payload, width) and (plan, state).
//
// Every task and resource that is ever waited with has a home in the waiting lane, fixed
// for the whole run: the members of a cycle on a ring, the others in rows above what they
// wait for. So the arrows come one by one, nothing jumps, and a cycle is seen to close.

import { length, stateAt } from "./state.js";

/**
 * @typedef {{x: number, y: number, w: number, h: number}} Box centre and size
 * @typedef {{cx: number, cy: number, rx: number, ry: number, nodes: number[]}} Ring
 * @typedef {object} Plan
 * @property {number} width
 * @property {number} height
 * @property {Record<string, {x: number, y: number, w: number, h: number}>} lanes top left and size
 * @property {Map<number, Box>} homes by node: places in the waiting lane
 * @property {Ring[]} rings
 * @property {(node: number) => {w: number, h: number}} size
 */

const LETTER = 7.3; // pixels, of the token's type
const GAP = 12;
const HEAD = 24; // a lane's title
const ROW = 40;
const TOKEN = 28;
const PAD = 12;

/** @param {import("./state.js").Payload} payload @param {number} width @returns {Plan} */
export function plan(payload, width) {
  const narrow = width < 480;
  const widest = narrow ? 104 : 148;
  const size = (/** @type {number} */ node) => {
    const name = node >= 0 ? payload.tasks[node][0] : payload.resources[~node][0];
    return { w: Math.round(Math.max(52, Math.min(widest, [...name].length * LETTER + 36))), h: TOKEN };
  };
  const { homes, rings, height } = waitingHomes(payload, width, size);
  const lanes = stack(payload, width, narrow, height, size);
  for (const box of homes.values()) box.y += lanes.waiting.y + HEAD;
  for (const ring of rings) ring.cy += lanes.waiting.y + HEAD;
  const total = lanes.finished.y + lanes.finished.h;
  return { width, height: total, lanes, homes, rings, size };
}

/** @param {import("./state.js").Payload} payload @param {number} width @param {boolean} narrow @param {number} waiting @param {Plan["size"]} size */
function stack(payload, width, narrow, waiting, size) {
  const average = payload.tasks.reduce((sum, _, task) => sum + size(task).w, 0) / Math.max(1, payload.tasks.length);
  const crowd = mostReady(payload);
  const runningWidth = narrow ? 128 : 172;
  const readyWidth = width - runningWidth - GAP;
  const perRow = Math.max(1, Math.floor((readyWidth - 2 * PAD) / (average + GAP)));
  const top = HEAD + Math.min(3, Math.ceil(crowd / perRow)) * ROW + 8;
  const finishedRows = Math.min(2, Math.ceil((payload.tasks.length * (average + GAP)) / (width - 2 * PAD)));
  const under = top + GAP;
  const timersY = under + HEAD + waiting + GAP;
  const timers = HEAD + (payload.timers.length ? ROW : 18);
  const finishedY = timersY + timers + GAP;
  return {
    running: { x: 0, y: 0, w: runningWidth, h: top },
    ready: { x: runningWidth + GAP, y: 0, w: readyWidth, h: top },
    waiting: { x: 0, y: under, w: width, h: HEAD + waiting },
    timers: { x: 0, y: timersY, w: width, h: timers },
    finished: { x: 0, y: finishedY, w: width, h: HEAD + finishedRows * ROW + 6 },
  };
}

/** The longest that the ready queue gets. @param {import("./state.js").Payload} payload */
function mostReady(payload) {
  let most = 1;
  // Sampled: only the height of a lane depends on it, and what is too much is counted there.
  const step = Math.max(1, Math.floor(length(payload) / 400));
  for (let at = 0; at <= length(payload); at += step) {
    most = Math.max(most, stateAt(payload, at).ready.length);
  }
  return most;
}

/** @param {import("./state.js").Payload} payload @param {number} width @param {Plan["size"]} size */
function waitingHomes(payload, width, size) {
  /** @type {Map<number, Box>} */
  const homes = new Map();
  const inRing = new Set(payload.cycles.flatMap((cycle) => cycle.nodes));
  let y = 8;
  for (const row of levels(payload, inRing)) y = placeRow(row, y, width, size, homes);
  /** @type {Ring[]} */
  const rings = [];
  for (const cycle of payload.cycles) {
    const ring = makeRing(cycle.nodes.slice(0, -1), width, size);
    ring.cy = y + ring.ry + TOKEN / 2 + 6;
    ring.cx = width / 2;
    rings.push(ring);
    ringPoints(ring, size).forEach(({ x, y: dy }, i) => {
      homes.set(ring.nodes[i], { x: ring.cx + x, y: ring.cy + dy, ...size(ring.nodes[i]) });
    });
    y = ring.cy + ring.ry + TOKEN / 2 + 26;
  }
  return { homes, rings, height: Math.max(y + 2, 70) };
}

/**
 * Rows of nodes, those that wait above what they wait for. A resource is a sink here.
 * @param {import("./state.js").Payload} payload
 * @param {Set<number>} inRing
 */
function levels(payload, inRing) {
  /** @type {Map<number, Set<number>>} */
  const waiters = new Map();
  /** @type {Set<number>} */
  const nodes = new Set();
  /** @type {Set<number>} */
  const aiming = new Set();
  const { say, task, detail } = payload.events;
  say.forEach((s, i) => {
    const kind = payload.sentences[s][0];
    if (kind === "ACQUIRED") nodes.add(~detail[i]);
    if (kind !== "WAITS") return;
    nodes.add(task[i]);
    for (const target of payload.waits[detail[i]][2]) {
      if (target < 0) nodes.add(target);
      aiming.add(task[i]);
      if (!waiters.has(target)) waiters.set(target, new Set());
      waiters.get(target)?.add(task[i]);
    }
  });
  const sinks = [...nodes].filter((n) => inRing.has(n) || !aiming.has(n));
  /** @type {Map<number, number>} */
  const level = new Map(sinks.map((n) => [n, 0]));
  for (const node of level.keys()) {
    for (const waiter of waiters.get(node) ?? []) {
      if (!level.has(waiter)) level.set(waiter, /** @type {number} */ (level.get(node)) + 1);
    }
  }
  /** @type {number[][]} */
  const rows = [];
  for (const node of [...nodes].sort((a, b) => a - b)) {
    if (!inRing.has(node)) (rows[level.get(node) ?? 0] ??= []).push(node);
  }
  return rows.filter((row) => row).reverse();
}

/** @param {number[]} row @param {number} y @param {number} width @param {Plan["size"]} size @param {Map<number, Box>} homes */
function placeRow(row, y, width, size, homes) {
  const lines = wrap(row, width - 2 * PAD, size);
  for (const line of lines) {
    const used = line.reduce((sum, n) => sum + size(n).w, 0);
    // Spread, but not so far that a pair looks lost.
    const gap = Math.min(56, (width - 2 * PAD - used) / (line.length + 1));
    let x = (width - used - gap * (line.length - 1)) / 2;
    for (const node of line) {
      const { w, h } = size(node);
      homes.set(node, { x: x + w / 2, y: y + TOKEN / 2, w, h });
      x += w + gap;
    }
    y += ROW;
  }
  return y + 22;
}

/** @param {number[]} row @param {number} room @param {Plan["size"]} size */
function wrap(row, room, size) {
  /** @type {number[][]} */
  const lines = [[]];
  let used = 0;
  for (const node of row) {
    const { w } = size(node);
    if (used + w > room && lines[lines.length - 1].length) {
      lines.push([]);
      used = 0;
    }
    lines[lines.length - 1].push(node);
    used += w + GAP;
  }
  return lines;
}

/**
 * An ellipse on which the nodes do not touch. Tokens are wide and low, so distances are
 * measured in tokens: 1 across is a width, 1 down is a height.
 * @param {number[]} nodes @param {number} width @param {Plan["size"]} size
 * @returns {Ring}
 */
function makeRing(nodes, width, size) {
  const { unitX, unitY } = units(nodes, size);
  const need = (nodes.length * 1.45) / (2 * Math.PI);
  const room = width / 2 - unitX / 2 - PAD;
  const rx = Math.min(room, Math.max(nodes.length < 3 ? 110 : 118, need * unitX));
  // What does not fit across goes down: keep the ring as long as it has to be.
  const missing = Math.max(0, need - rx / unitX);
  const least = nodes.length < 3 ? 34 : 74;
  const ry = Math.max(least, (need + missing) * unitY);
  return { cx: 0, cy: 0, rx, ry, nodes };
}

/** @param {number[]} nodes @param {Plan["size"]} size */
function units(nodes, size) {
  return { unitX: Math.max(...nodes.map((n) => size(n).w)) + GAP, unitY: TOKEN + GAP };
}

/** @param {Ring} ring @param {Plan["size"]} size */
function ringPoints(ring, size) {
  const { unitX, unitY } = units(ring.nodes, size);
  const count = ring.nodes.length;
  const start = count === 2 ? Math.PI : -Math.PI / 2;
  const steps = 720;
  const at = (/** @type {number} */ i) => {
    const angle = start + (2 * Math.PI * i) / steps;
    return { x: ring.rx * Math.cos(angle), y: ring.ry * Math.sin(angle) };
  };
  const along = [0];
  for (let i = 1; i <= steps; i += 1) {
    const [a, b] = [at(i - 1), at(i)];
    along.push(along[i - 1] + Math.hypot((b.x - a.x) / unitX, (b.y - a.y) / unitY));
  }
  return ring.nodes.map((_, n) => {
    const goal = (along[steps] * n) / count;
    return at(along.findIndex((length) => length >= goal - 1e-9));
  });
}

/**
 * Where every task is at this moment; a task that is too much for its lane is `hidden`,
 * and counted in `more`.
 * @param {Plan} plan
 * @param {import("./state.js").State} state
 * @returns {{tasks: ({x: number, y: number, hidden: boolean} | null)[], more: Record<string, number>}}
 */
export function place(plan, state) {
  /** @type {({x: number, y: number, hidden: boolean} | null)[]} */
  const tasks = state.lanes.map(() => null);
  const more = {
    running: flow(plan, "running", state.running.slice().reverse(), tasks),
    ready: flow(plan, "ready", state.ready, tasks),
    finished: flow(plan, "finished", state.finished, tasks),
  };
  for (const task of state.waiting) {
    const home = plan.homes.get(task);
    if (home) tasks[task] = { x: home.x, y: home.y, hidden: false };
  }
  return { tasks, more };
}

/** @param {Plan} plan @param {string} name @param {number[]} list @param {({x: number, y: number, hidden: boolean} | null)[]} tasks */
function flow(plan, name, list, tasks) {
  const lane = plan.lanes[name];
  const right = lane.x + lane.w - PAD;
  let x = lane.x + PAD;
  let y = lane.y + HEAD + TOKEN / 2 + 4;
  let hidden = 0;
  list.forEach((task, i) => {
    const { w } = plan.size(task);
    const last = y + ROW > lane.y + lane.h;
    // On the last line, room is kept for the "+3" that counts the rest.
    const room = right - (last && i < list.length - 1 ? 40 : 0);
    if (!hidden && x + w > room && x > lane.x + PAD && !last) {
      x = lane.x + PAD;
      y += ROW;
    }
    if (hidden || (x + w > room && x > lane.x + PAD)) hidden += 1;
    tasks[task] = { x: hidden ? right - 20 : x + w / 2, y, hidden: hidden > 0 };
    if (!hidden) x += w + GAP;
  });
  return hidden;
}
