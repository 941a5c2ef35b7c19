// Where things stand on the stage, as a pure function of (payload, width) and (plan, state).
//
// Every task and resource that is ever waited with has a home in the waiting lane, fixed
// for the whole run: the members of a cycle on a ring, the others in rows above what they
// wait for. So the arrows come one by one, nothing jumps, and a cycle is seen to close.

import { length, stateAt } from "./state.js";

/**
 * @typedef {{letter: number, token: number, row: number, extra: number, widest: number}} Scale in pixels
 * @typedef {{x: number, y: number, w: number, h: number}} Box centre and size
 * @typedef {{cx: number, cy: number, rx: number, ry: number, nodes: number[]}} Ring
 * @typedef {object} Plan
 * @property {number} width
 * @property {number} height
 * @property {boolean} dense
 * @property {Scale} scale
 * @property {Record<string, {x: number, y: number, w: number, h: number}>} lanes top left and size
 * @property {Map<number, Box>} homes by node: places in the waiting lane
 * @property {Ring[]} rings
 * @property {(node: number) => {w: number, h: number}} size
 */

const GAP = 12;
const HEAD = 24; // a lane's title
const PAD = 12;
const TOP = 6; // rows of those who wait for those who wait for …
const MOST = 120; // homes outside of rings; who has none is counted
const CROWDED = 24; // from so many nodes on, tokens are small

/** @type {Scale} */
const NORMAL = { letter: 7.3, token: 28, row: 40, extra: 54, widest: 152 };
/** @type {Scale} */
const DENSE = { letter: 6.4, token: 20, row: 27, extra: 40, widest: 96 };

/** @param {import("./state.js").Payload} payload @param {number} width @returns {Plan} */
export function plan(payload, width) {
  const dense = payload.tasks.length + payload.resources.length > CROWDED;
  const scale = dense ? DENSE : NORMAL;
  const widest = Math.min(scale.widest, Math.max(104, Math.round(width * 0.31)));
  const size = (/** @type {number} */ node) => {
    const name = node >= 0 ? payload.tasks[node][0] : payload.resources[~node][0];
    const extra = scale.extra * (node >= 0 ? 1 : 0.7); // only a task has a turn beside its name
    const w = Math.round([...name].length * scale.letter + extra);
    return { w: Math.max(dense ? 44 : 56, Math.min(widest, w)), h: scale.token };
  };
  const { homes, rings, height } = waitingHomes(payload, width, scale, size);
  const lanes = stack(payload, width, height, scale, size);
  for (const box of homes.values()) box.y += lanes.waiting.y + HEAD;
  for (const ring of rings) ring.cy += lanes.waiting.y + HEAD;
  const total = lanes.finished.y + lanes.finished.h;
  return { width, height: total, dense, scale, lanes, homes, rings, size };
}

/** @param {import("./state.js").Payload} payload @param {number} width @param {number} waiting @param {Scale} scale @param {Plan["size"]} size */
function stack(payload, width, waiting, { row }, size) {
  const average = payload.tasks.reduce((sum, _, task) => sum + size(task).w, 0) / Math.max(1, payload.tasks.length);
  const runningWidth = width < 480 ? 132 : 176;
  const readyWidth = width - runningWidth - GAP;
  const perRow = Math.max(1, Math.floor((readyWidth - 2 * PAD) / (average + GAP)));
  const top = HEAD + Math.min(2, Math.ceil(mostReady(payload) / perRow)) * row + 8;
  const beside = width >= 680; // timers and finished tasks share a row
  const last = beside ? (width - GAP) / 2 : width;
  const rows = Math.min(2, Math.ceil((payload.tasks.length * (average + GAP)) / (last - 2 * PAD)));
  const under = top + GAP;
  const timersY = under + HEAD + waiting + GAP;
  const finishedY = beside ? timersY : timersY + 64 + GAP;
  const finishedHeight = Math.max(64, HEAD + rows * row + 8);
  return {
    running: { x: 0, y: 0, w: runningWidth, h: top },
    ready: { x: runningWidth + GAP, y: 0, w: readyWidth, h: top },
    waiting: { x: 0, y: under, w: width, h: HEAD + waiting },
    timers: { x: 0, y: timersY, w: last, h: beside ? finishedHeight : 64 },
    finished: { x: width - last, y: finishedY, w: last, h: finishedHeight },
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

/** @param {import("./state.js").Payload} payload @param {number} width @param {Scale} scale @param {Plan["size"]} size */
function waitingHomes(payload, width, scale, size) {
  /** @type {Map<number, Box>} */
  const homes = new Map();
  const inRing = new Set(payload.cycles.flatMap((cycle) => cycle.nodes));
  let y = 8;
  for (const row of levels(payload, inRing)) y = placeRow(row, y, width, scale, size, homes);
  /** @type {Ring[]} */
  const rings = [];
  for (const cycle of payload.cycles) {
    const { ring, points } = looseRing(cycle.nodes.slice(0, -1), width, scale, size);
    ring.cy = y + ring.ry + scale.token / 2 + 8;
    ring.cx = width / 2;
    rings.push(ring);
    points.forEach((point, i) => {
      homes.set(ring.nodes[i], { x: ring.cx + point.x, y: ring.cy + point.y, ...size(ring.nodes[i]) });
    });
    y = ring.cy + Math.max(...points.map((point) => point.y)) + scale.token / 2 + 26;
  }
  return { homes, rings, height: Math.max(y + 2, 70) };
}

/**
 * Rows of nodes, those that wait above what they wait for.
 * @param {import("./state.js").Payload} payload
 * @param {Set<number>} inRing
 */
function levels(payload, inRing) {
  const targets = waitedFor(payload);
  // A few rounds of "one above all that I wait for": those who once waited for one another,
  // and so would climb for ever, stop at the top.
  /** @type {Map<number, number>} */
  const level = new Map();
  for (let round = 0; round < TOP; round += 1) {
    for (const [node, below] of targets) {
      for (const target of below) {
        const up = Math.min(TOP, 1 + (inRing.has(target) ? 0 : level.get(target) ?? 0));
        if (up > (level.get(node) ?? 0)) level.set(node, up);
      }
    }
  }
  /** @type {number[][]} */
  const rows = [];
  const outside = [...targets.keys()].filter((node) => !inRing.has(node)).sort((a, b) => a - b);
  for (const node of outside.slice(0, MOST)) {
    (rows[level.get(node) ?? 0] ??= []).push(node);
  }
  return rows.filter((row) => row).reverse();
}

/** What each node ever waited for. @param {import("./state.js").Payload} payload */
function waitedFor(payload) {
  /** @type {Map<number, Set<number>>} */
  const targets = new Map();
  const know = (/** @type {number} */ node) => {
    if (!targets.has(node)) targets.set(node, new Set());
    return /** @type {Set<number>} */ (targets.get(node));
  };
  const { say, task, detail } = payload.events;
  say.forEach((s, i) => {
    const kind = payload.sentences[s][0];
    if (kind === "ACQUIRED") know(~detail[i]);
    if (kind !== "WAITS") return;
    const mine = know(task[i]);
    for (const target of payload.waits[detail[i]][2]) {
      mine.add(target);
      if (target < 0) know(target);
    }
  });
  return targets;
}

/** @param {number[]} row @param {number} y @param {number} width @param {Scale} scale @param {Plan["size"]} size @param {Map<number, Box>} homes */
function placeRow(row, y, width, scale, size, homes) {
  for (const line of wrap(row, width - 2 * PAD, size)) {
    const used = line.reduce((sum, n) => sum + size(n).w, 0);
    // Spread, but not so far that a pair looks lost.
    const gap = Math.min(56, (width - 2 * PAD - used) / (line.length + 1));
    let x = (width - used - gap * (line.length - 1)) / 2;
    for (const node of line) {
      const { w, h } = size(node);
      homes.set(node, { x: x + w / 2, y: y + h / 2, w, h });
      x += w + gap;
    }
    y += scale.row;
  }
  return y + 26;
}

/** Lines of about equal length. @param {number[]} row @param {number} room @param {Plan["size"]} size */
function wrap(row, room, size) {
  const widest = Math.max(...row.map((node) => size(node).w)) + GAP;
  const fit = Math.max(1, Math.floor((room + GAP) / widest));
  const lines = Math.ceil(row.length / fit);
  const each = Math.ceil(row.length / lines);
  return Array.from({ length: lines }, (_, i) => row.slice(i * each, (i + 1) * each));
}

/** An ellipse on which the nodes do not touch. @param {number[]} nodes @param {number} width @param {Scale} scale @param {Plan["size"]} size */
function looseRing(nodes, width, scale, size) {
  for (let slack = 1.5; ; slack *= 1.1) {
    const ring = makeRing(nodes, slack, width, scale, size);
    const points = ringPoints(ring, scale, size);
    if (slack > 8 || !touching(nodes, points, size)) return { ring, points };
  }
}

/** @param {number[]} nodes @param {{x: number, y: number}[]} points @param {Plan["size"]} size */
function touching(nodes, points, size) {
  return points.some((a, i) =>
    points.some((b, j) => {
      const [one, other] = [size(nodes[i]), size(nodes[j])];
      const across = (one.w + other.w) / 2 + 8;
      const down = (one.h + other.h) / 2 + 8;
      return j > i && Math.abs(a.x - b.x) < across && Math.abs(a.y - b.y) < down;
    }));
}

/**
 * Tokens are wide and low, so distances are measured in tokens: 1 across is a width, 1 down
 * is a height.
 * @param {number[]} nodes @param {number} slack @param {number} width @param {Scale} scale @param {Plan["size"]} size
 * @returns {Ring}
 */
function makeRing(nodes, slack, width, scale, size) {
  const { unitX, unitY } = units(nodes, scale, size);
  const need = (nodes.length * slack) / (2 * Math.PI);
  const room = width / 2 - unitX / 2 - PAD;
  const rx = Math.min(room, Math.max(nodes.length < 3 ? 110 : 140, need * unitX));
  // What does not fit across goes down: the ring stays as long as it has to be.
  const missing = Math.max(0, need - rx / unitX);
  const least = nodes.length < 3 ? 34 : 76;
  const ry = Math.max(least, (need + missing) * unitY);
  return { cx: 0, cy: 0, rx, ry, nodes };
}

/** @param {number[]} nodes @param {Scale} scale @param {Plan["size"]} size */
function units(nodes, scale, size) {
  return { unitX: Math.max(...nodes.map((n) => size(n).w)) + GAP, unitY: scale.token + GAP };
}

/** @param {Ring} ring @param {Scale} scale @param {Plan["size"]} size */
function ringPoints(ring, scale, size) {
  const { unitX, unitY } = units(ring.nodes, scale, size);
  const count = ring.nodes.length;
  // A long ring on a narrow page has straight sides: round, its ends would be too pointed.
  const tall = ring.ry > ring.rx;
  const bulge = (/** @type {number} */ part) => Math.sign(part) * Math.abs(part) ** (tall ? 1 / 3 : 1);
  // Of two tasks and two locks, the tasks stand left and right.
  const start = count % 2 || tall ? -Math.PI / 2 : Math.PI;
  const steps = 1440;
  const at = (/** @type {number} */ i) => {
    const angle = start + (2 * Math.PI * i) / steps;
    return { x: ring.rx * bulge(Math.cos(angle)), y: ring.ry * bulge(Math.sin(angle)) };
  };
  const along = [0];
  for (let i = 1; i <= steps; i += 1) {
    const [a, b] = [at(i - 1), at(i)];
    along.push(along[i - 1] + Math.hypot((b.x - a.x) / unitX, (b.y - a.y) / unitY));
  }
  return ring.nodes.map((_, n) => {
    const goal = (along[steps] * n) / count;
    const after = Math.max(1, along.findIndex((far) => far >= goal - 1e-9));
    const share = (goal - along[after - 1]) / (along[after] - along[after - 1]);
    const [a, b] = [at(after - 1), at(after)];
    return { x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share };
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
    waiting: 0,
  };
  const { x, y, w, h } = plan.lanes.waiting;
  for (const task of state.waiting) {
    const home = plan.homes.get(task);
    if (!home) more.waiting += 1;
    tasks[task] = home ? { x: home.x, y: home.y, hidden: false } : { x: x + w - 40, y: y + h - 20, hidden: true };
  }
  return { tasks, more };
}

/** @param {Plan} plan @param {string} name @param {number[]} list @param {({x: number, y: number, hidden: boolean} | null)[]} tasks */
function flow(plan, name, list, tasks) {
  const { token, row } = plan.scale;
  const lane = plan.lanes[name];
  const left = lane.x + PAD;
  const right = lane.x + lane.w - PAD;
  let x = left;
  let y = lane.y + HEAD + token / 2 + 4;
  let hidden = 0;
  list.forEach((task, i) => {
    const { w } = plan.size(task);
    const lastLine = y + row > lane.y + lane.h - token / 2;
    // On the last line, room is kept for the "+3" that counts the rest.
    const end = right - (lastLine && i < list.length - 1 ? 36 : 0);
    if (x > left && x + w > end) {
      if (lastLine) hidden += 1;
      else [x, y] = [left, y + row];
    }
    tasks[task] = { x: hidden ? right - 20 : x + w / 2, y, hidden: hidden > 0 };
    if (!hidden) x += w + GAP;
    else x = right;
  });
  return hidden;
}
