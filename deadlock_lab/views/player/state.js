// What the player shows, as a pure function of (payload, position). No DOM here.
//
// A position is the number of events that have happened: 0 is before the first one.
// Playing, stepping back and scrubbing all ask for the state at another position; to
// make that cheap wherever it is, a copy of the state is kept every few hundred events.

/**
 * @typedef {{say: number[], dt: number[], task: number[], by: number[], place: number[], detail: number[]}} Columns
 * @typedef {{nodes: number[], guessed: boolean, when: [number, number][]}} Cycle
 * @typedef {object} Payload
 * @property {string} outcome
 * @property {number} time
 * @property {Record<string, string>} ending
 * @property {string} start
 * @property {[string, string][]} sentences kind and template
 * @property {Columns} events
 * @property {[string, number, number][]} tasks name, parent, place
 * @property {[string, string, string, boolean][]} resources name, kind, name with kind, owned
 * @property {[number, number, string, number][]} places file, line, function, outer place or -1
 * @property {[string, string][]} files label, text
 * @property {[string, string, number[], string][]} waits how, mode, targets, in words
 * @property {[string, number, number, number?][]} timers purpose, due, task, how late by a schedule
 * @property {string[]} errors
 * @property {[string, string][]} complaints
 * @property {[boolean, [string, string | null][]][]} locals new call, changes: name, value or null
 * @property {number} closed
 * @property {[number, Record<string, string>][]} closings
 * @property {Cycle[]} cycles
 * @property {number[]} stuck
 * @property {[number, number[]][]} setters
 *
 * @typedef {{index: number, kind: string, task: number, by: number, place: number, detail: number}} Happening
 * @typedef {"running" | "ready" | "waiting" | "done" | "failed" | "cancelled" | ""} Lane
 *
 * @typedef {{values: Map<string, string>, marks: Map<string, string>}} Call local variables, and what the last line did to them
 *
 * @typedef {object} State
 * @property {number} position
 * @property {number} time virtual nanoseconds
 * @property {Happening | null} event the last one that happened
 * @property {Lane[]} lanes by task; "" for a task that does not exist yet
 * @property {number[]} running innermost last: an eager task starts inside another
 * @property {number[]} ready in the order in which they will run
 * @property {number[]} waiting in the order in which they began to wait
 * @property {number[]} finished in the order in which they ended
 * @property {number[]} wait by task: an index into waits, or -1
 * @property {number[]} places by task: where it was last seen
 * @property {Call[][]} locals by task, and by depth in its await chain
 * @property {boolean[]} cancelling by task: asked to stop, and not over yet
 * @property {number[]} timers those that are set, the next one first
 * @property {Record<number, number[]>} holders by resource
 * @property {number} place where the last event happened, or where its task was last seen
 * @property {boolean} cycleClosed
 * @property {boolean} ended
 */

const EVERY = 256;

/** How far the copies are apart: with many tasks they are large. @param {Payload} payload */
const spacing = (payload) => Math.max(EVERY, payload.tasks.length);

/** @type {WeakMap<Payload, {kept: State[], times: number[]}>} */
const memory = new WeakMap();

/** @param {Payload} payload */
export function length(payload) {
  return payload.events.say.length;
}

/** @param {Payload} payload @param {number} index @returns {Happening} */
export function eventAt(payload, index) {
  const { say, task, by, place, detail } = payload.events;
  const kind = payload.sentences[say[index]][0];
  return { index, kind, task: task[index], by: by[index], place: place[index], detail: detail[index] };
}

/** The virtual time of an event in nanoseconds. @param {Payload} payload @param {number} index */
export function timeAt(payload, index) {
  return index < 0 ? 0 : remembered(payload).times[index];
}

/**
 * The state after `position` events.
 * @param {Payload} payload
 * @param {number} position clamped to what there is
 * @returns {State}
 */
export function stateAt(payload, position) {
  const end = Math.max(0, Math.min(Math.round(position) || 0, length(payload)));
  const kept = remembered(payload).kept;
  const state = copy(kept[Math.floor(end / spacing(payload))]);
  while (state.position < end) advance(payload, state);
  return state;
}

/** @param {Payload} payload */
function remembered(payload) {
  let known = memory.get(payload);
  if (!known) {
    known = { kept: [], times: [] };
    memory.set(payload, known);
    let time = 0;
    for (const dt of payload.events.dt) known.times.push((time += dt));
    const state = blank(payload);
    known.kept.push(copy(state));
    while (state.position < length(payload)) {
      advance(payload, state);
      if (state.position % spacing(payload) === 0) known.kept.push(copy(state));
    }
  }
  return known;
}

/** @param {Payload} payload @returns {State} */
function blank(payload) {
  const { tasks } = payload;
  return {
    position: 0,
    time: 0,
    event: null,
    lanes: tasks.map(() => ""),
    running: [],
    ready: [],
    waiting: [],
    finished: [],
    wait: tasks.map(() => -1),
    places: tasks.map((task) => task[2]),
    locals: tasks.map(() => []),
    cancelling: tasks.map(() => false),
    timers: [],
    holders: {},
    place: tasks.length ? tasks[0][2] : -1,
    cycleClosed: false,
    ended: false,
  };
}

/** @param {State} state @returns {State} */
function copy(state) {
  const holders = Object.fromEntries(Object.entries(state.holders).map(([r, t]) => [r, t.slice()]));
  return {
    ...state,
    lanes: state.lanes.slice(),
    running: state.running.slice(),
    ready: state.ready.slice(),
    waiting: state.waiting.slice(),
    finished: state.finished.slice(),
    wait: state.wait.slice(),
    places: state.places.slice(),
    locals: state.locals.slice(), // its rows are never changed, but replaced
    cancelling: state.cancelling.slice(),
    timers: state.timers.slice(),
    holders,
  };
}

/** Let one more event happen. @param {Payload} payload @param {State} state */
function advance(payload, state) {
  const event = eventAt(payload, state.position);
  state.time = timeAt(payload, state.position);
  state.position += 1;
  state.event = event;
  state.cycleClosed = payload.cycles.some((cycle) => isClosed(cycle, state.position));
  happens[event.kind]?.(state, event, payload);
  if (event.place >= 0) state.place = event.place;
  else if (event.task >= 0) state.place = state.places[event.task];
}

/** What each kind of event does to the state. @type {Record<string, (state: State, event: Happening, payload: Payload) => void>} */
const happens = {
  CREATED: (state, { task, by, place }) => {
    move(state, task, "ready");
    see(state, by, place); // where its maker is
  },
  RESUMED: (state, { task, place }) => {
    move(state, task, "running");
    see(state, task, place);
  },
  WAITS: (state, { task, place, detail }) => {
    move(state, task, "waiting");
    state.wait[task] = detail;
    see(state, task, place);
  },
  YIELDS: (state, { task, place }) => {
    move(state, task, "ready");
    see(state, task, place);
  },
  WOKEN: (state, { task }) => {
    if (state.lanes[task] === "waiting") move(state, task, "ready");
  },
  TIMER_SET: (state, { detail }, payload) => {
    const due = payload.timers[detail][1];
    const after = state.timers.findIndex((other) => payload.timers[other][1] > due);
    state.timers.splice(after < 0 ? state.timers.length : after, 0, detail);
  },
  TIMER_FIRED: (state, { detail }) => drop(state.timers, detail),
  TIMER_CANCELLED: (state, { detail }) => drop(state.timers, detail),
  ACQUIRED: (state, { task, detail, place }) => {
    (state.holders[detail] ??= []).push(task);
    see(state, task, place);
  },
  RELEASED: (state, { task, detail }) => {
    drop(state.holders[detail] ?? [], task);
    if (!state.holders[detail]?.length) delete state.holders[detail];
  },
  LINE: (state, { task, place, detail }, payload) => {
    if (place < 0) return;
    see(state, task, place);
    const [fresh, changes] = payload.locals[detail];
    const calls = state.locals[task].slice();
    const depth = chainOf(payload, place).length;
    calls[depth] = changed(fresh ? new Map() : calls[depth].values, changes);
    state.locals[task] = calls;
  },
  CANCELLING: (state, { task }) => {
    state.cancelling[task] = true;
  },
  DONE: (state, { task }) => move(state, task, "done"),
  FAILED: (state, { task }) => move(state, task, "failed"),
  CANCELLED: (state, { task }) => move(state, task, "cancelled"),
  ENDED: (state) => {
    state.ended = true;
  },
};

/** @param {Map<string, string>} before @param {[string, string | null][]} changes @returns {Call} */
function changed(before, changes) {
  const values = new Map(before);
  const marks = new Map();
  for (const [name, value] of changes) {
    marks.set(name, value === null ? "gone" : before.has(name) ? "changed" : "new");
    if (value === null) values.delete(name);
    else values.set(name, value);
  }
  return { values, marks };
}

/** @param {State} state @param {number} task @param {Lane} lane */
function move(state, task, lane) {
  drop(listOf(state, state.lanes[task]), task);
  state.lanes[task] = lane;
  state.wait[task] = -1;
  const list = listOf(state, lane);
  list.push(task);
  if (list === state.finished) state.cancelling[task] = false;
}

/** @param {State} state @param {Lane} lane @returns {number[]} */
function listOf(state, lane) {
  if (lane === "running" || lane === "ready" || lane === "waiting") return state[lane];
  return lane === "" ? [] : state.finished;
}

/** @param {State} state @param {number} task @param {number} place */
function see(state, task, place) {
  if (place >= 0 && task >= 0) state.places[task] = place;
}

/** @param {number[]} list @param {number} item */
function drop(list, item) {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}

/**
 * Who waits for whom: nodes are tasks (n >= 0) and resources (~n).
 * @param {Payload} payload
 * @param {State} state
 * @returns {{from: number, to: number, kind: "waits" | "holds" | "guess", cycle: boolean}[]}
 */
export function edgesAt(payload, state) {
  const ring = new Set();
  for (const cycle of closedCycles(payload, state)) {
    cycle.nodes.slice(1).forEach((to, i) => ring.add(`${cycle.nodes[i]} ${to}`));
  }
  /** @type {{from: number, to: number, kind: "waits" | "holds" | "guess", cycle: boolean}[]} */
  const edges = [];
  const add = (/** @type {number} */ from, /** @type {number} */ to, /** @type {any} */ kind) =>
    edges.push({ from, to, kind, cycle: ring.has(`${from} ${to}`) });
  for (const task of state.waiting) {
    const targets = payload.waits[state.wait[task]]?.[2] ?? [];
    for (const to of targets) if (to < 0 || !isOver(state.lanes[to])) add(task, to, "waits");
  }
  for (const [resource, tasks] of Object.entries(state.holders)) {
    for (const task of new Set(tasks)) if (task >= 0) add(~Number(resource), task, "holds");
  }
  if (state.cycleClosed || state.ended) {
    for (const [resource, tasks] of payload.setters) {
      for (const task of tasks) if (state.lanes[task] === "waiting") add(~resource, task, "guess");
    }
  }
  return edges;
}

/** The cycles that are closed at this moment. @param {Payload} payload @param {State} state */
export function closedCycles(payload, state) {
  return payload.cycles.filter((cycle) => isClosed(cycle, state.position));
}

/** Whether a cycle stands after `position` events. @param {Cycle} cycle @param {number} position */
export function isClosed({ when }, position) {
  return when.some(([closed, opened]) => position > closed && position <= opened);
}

/**
 * The position after the next event, or with -1 the last before, at which a task is resumed.
 * @param {Payload} payload @param {number} position @param {1 | -1} way
 */
export function nextSwitch(payload, position, way) {
  let at = position + way;
  while (at > 0 && at < length(payload) && eventAt(payload, at - 1).kind !== "RESUMED") at += way;
  return at;
}

/** The places that lead to a place, from the task's own function inwards. @param {Payload} payload @param {number} place @returns {number[]} */
export function chainOf(payload, place) {
  const chain = [];
  for (let at = place; at >= 0; at = payload.places[at][3]) chain.unshift(at);
  return chain;
}

/**
 * The local variables of a call in the chain of the task that is told of, with what the
 * last event did to them.
 * @param {Payload} payload
 * @param {State} state
 * @param {number} place the call: one of the places of the chain
 * @returns {{name: string, value: string, mark: string}[]} mark: new, changed, gone, or none
 */
export function localsAt(payload, state, place) {
  const call = state.event && state.locals[state.event.task]?.[chainOf(payload, place).length];
  if (!call) return [];
  const told = state.event?.kind === "LINE" && state.event.place === place;
  const marks = told ? call.marks : new Map();
  const gone = [...marks.keys()].filter((name) => !call.values.has(name));
  return [...call.values.keys(), ...gone].map((name) => ({ name, value: call.values.get(name) ?? "", mark: marks.get(name) ?? "" }));
}

/** @param {Lane} lane */
export function isOver(lane) {
  return lane === "done" || lane === "failed" || lane === "cancelled";
}

/** Codes of `overview`: what a task did, by columns of time. */
export const OVERVIEW = ["", "done", "failed", "cancelled", "waiting", "cycle", "ready", "running"];

/**
 * All tasks over the whole run at a glance: for each task a row of `columns` codes, each
 * an index into OVERVIEW. Where a column stands for many events, the liveliest wins.
 * @param {Payload} payload
 * @param {number} width how many columns there is room for
 * @returns {Uint8Array[]} of as many columns as there are events, at most `width`
 */
export function overview(payload, width) {
  const total = length(payload);
  const columns = Math.max(1, Math.min(total, Math.floor(width)));
  const rows = payload.tasks.map(() => new Uint8Array(columns));
  const state = blank(payload);
  /** @type {Cycle[]} */
  const cycleOf = [];
  for (const cycle of payload.cycles) for (const node of cycle.nodes) if (node >= 0) cycleOf[node] = cycle;
  let column = -1;
  for (let index = 0; index < total; index += 1) {
    advance(payload, state);
    const now = Math.min(columns - 1, Math.floor((index * columns) / total));
    if (now !== column) {
      column = now;
      state.lanes.forEach((_, task) => note(task));
    } else if (state.event && state.event.task >= 0) note(state.event.task);
    for (const task of state.running) note(task);
  }
  /** @param {number} task */
  function note(task) {
    const lane = state.lanes[task];
    const stuck = lane === "waiting" && cycleOf[task] && isClosed(cycleOf[task], state.position);
    const code = stuck ? 5 : OVERVIEW.indexOf(lane);
    rows[task][column] = Math.max(rows[task][column], code);
  }
  return rows;
}
