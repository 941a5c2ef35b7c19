// Properties of the player's pure modules, on one recording; run by test_player.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { place, plan } from "./layout.js";
import { sentence, when } from "./sentence.js";
import { inWords } from "./stage.js";
import { chainOf, edgesAt, eventAt, isOver, length, localsAt, nextSwitch, overview, OVERVIEW, stateAt, timeAt } from "./state.js";

const { payload, transcript, edges, waiting } = JSON.parse(readFileSync(process.env.CASE, "utf-8"));
const total = length(payload);
const every = Math.max(1, Math.floor(total / 300));
const positions = Array.from({ length: Math.floor(total / every) + 1 }, (_, i) => i * every).concat(total);

/** The same answer in another way: everything from the start, with the plainest of means. */
function replay(position) {
  const lanes = payload.tasks.map(() => "");
  let ready = [];
  let timers = new Set();
  const held = [];
  for (let i = 0; i < position; i += 1) {
    const { kind, task, detail } = eventAt(payload, i);
    const to = { CREATED: "ready", RESUMED: "running", WAITS: "waiting", YIELDS: "ready", DONE: "done", FAILED: "failed", CANCELLED: "cancelled" }[kind];
    const lane = to ?? (kind === "WOKEN" && lanes[task] === "waiting" ? "ready" : undefined);
    if (lane) {
      ready = ready.filter((other) => other !== task);
      if (lane === "ready") ready.push(task);
      lanes[task] = lane;
    }
    if (kind === "TIMER_SET") timers.add(detail);
    if (kind === "TIMER_FIRED" || kind === "TIMER_CANCELLED") timers.delete(detail);
    if (kind === "ACQUIRED") held.push(`${detail} ${task}`);
    if (kind === "RELEASED") held.splice(held.indexOf(`${detail} ${task}`), 1);
  }
  return { lanes, ready, timers: [...timers].sort((a, b) => a - b), held: held.sort() };
}

test("the state is what a replay from the start gives", () => {
  for (const position of positions.filter((_, i) => i % 10 === 0).concat(total)) {
    const state = stateAt(payload, position);
    const held = Object.entries(state.holders).flatMap(([r, tasks]) => tasks.map((t) => `${r} ${t}`));
    const timers = state.timers.slice().sort((a, b) => a - b);
    assert.deepEqual({ lanes: state.lanes, ready: state.ready, timers, held: held.sort() }, replay(position));
  }
});

test("stepping forward and back gives the same state", () => {
  for (const position of positions) {
    const before = structuredClone(stateAt(payload, position));
    stateAt(payload, position + 1);
    stateAt(payload, 0);
    assert.deepEqual(stateAt(payload, position), before);
  }
});

test("a jump replays a few events only, however long the run is", () => {
  let read = 0;
  const say = new Proxy(payload.events.say, {
    get(column, index) {
      if (index !== "length") read += 1;
      return Reflect.get(column, index);
    },
  });
  const counted = { ...payload, events: { ...payload.events, say } };
  stateAt(counted, 0);
  assert.ok(read >= total, "the counter counts");
  for (const position of positions) {
    read = 0;
    stateAt(counted, position);
    assert.ok(read < Math.max(256, payload.tasks.length), `${read} events for ${position}`);
  }
});

test("whoever changes a state changes no other", () => {
  const spoilt = stateAt(payload, total);
  const right = structuredClone(spoilt);
  spoilt.lanes.fill("");
  spoilt.waiting.push(99);
  spoilt.holders[0] = [99];
  assert.deepEqual(stateAt(payload, total), right);
});

test("every task that exists is in exactly one lane", () => {
  for (const position of positions) {
    const { lanes, running, ready, waiting: waits, finished } = stateAt(payload, position);
    const all = [...running, ...ready, ...waits, ...finished].sort((a, b) => a - b);
    const there = lanes.flatMap((lane, task) => (lane ? [task] : []));
    assert.deepEqual(all, there);
  }
});

test("at most one task runs, and time never goes back", () => {
  let time = 0;
  for (const position of positions) {
    const state = stateAt(payload, position);
    assert.ok(state.running.length <= 1);
    assert.ok(state.time >= time);
    time = state.time;
  }
});

test("positions outside of the run are its start or end", () => {
  assert.equal(stateAt(payload, -5).position, 0);
  assert.equal(stateAt(payload, total + 5).position, total);
  assert.equal(stateAt(payload, Number.NaN).position, 0);
});

test("the cycle is closed from its closing event on", () => {
  assert.equal(stateAt(payload, payload.closed).cycleClosed, false);
  assert.equal(stateAt(payload, payload.closed + 1).cycleClosed, payload.closed >= 0);
});

test("at the end those wait who do, for what they do", () => {
  const state = stateAt(payload, total);
  const stopped = new Set([...state.ready, ...state.running]); // by a limit
  assert.deepEqual(state.waiting.slice().sort((a, b) => a - b), waiting.filter((t) => !stopped.has(t)));
  const drawn = edgesAt(payload, state).filter((e) => e.kind !== "guess").map((e) => `${e.from} ${e.to}`);
  const sure = edges.filter(([from, to, certain]) => certain && !(from >= 0 && to >= 0 && isOver(state.lanes[to])));
  assert.deepEqual(new Set(drawn), new Set(sure.map(([from, to]) => `${from} ${to}`)));
});

test("the links of a cycle are drawn as such while it is closed, and else not", () => {
  for (const position of positions) {
    const state = stateAt(payload, position);
    const drawn = new Set(edgesAt(payload, state).filter((e) => e.cycle).map((e) => `${e.from} ${e.to}`));
    const closed = payload.cycles.filter(({ when }) => when.some(([from, to]) => from < position && position <= to));
    const links = closed.flatMap(({ nodes }) => nodes.slice(1).map((to, i) => `${nodes[i]} ${to}`));
    assert.deepEqual(drawn, new Set(links));
  }
});

test("the sentences are Python's, to the letter", () => {
  for (const position of positions.slice(1)) {
    assert.equal(sentence(payload, position - 1), transcript[position - 1]);
  }
});

test("times are written without noise", () => {
  assert.deepEqual([0, 5e8, 1.5e9, 1e7, 5e8 + 1, 7, 3 * 2 ** 61].map(when), ["0 s", "0.5 s", "1.5 s", "0.01 s", "just over 0.5 s", "0.000000007 s", "never"]);
  assert.equal(timeAt(payload, -1), 0);
});

test("the next switch is where another task runs, or an end of the run", () => {
  for (const position of positions) {
    for (const way of [1, -1]) {
      const at = Math.max(0, Math.min(total, nextSwitch(payload, position, way)));
      const between = Array.from({ length: Math.max(0, Math.abs(at - position) - 1) }, (_, i) => position + way * (i + 1));
      assert.ok(at === 0 || at === total || eventAt(payload, at - 1).kind === "RESUMED");
      assert.ok(between.every((p) => eventAt(payload, p - 1).kind !== "RESUMED"));
    }
  }
});

test("a place's chain leads inwards to it", () => {
  payload.places.forEach((_, place) => {
    const chain = chainOf(payload, place);
    assert.equal(chain.at(-1), place);
    assert.deepEqual(chain.map((link) => payload.places[link][3]), [-1, ...chain.slice(0, -1)]);
  });
  assert.deepEqual(chainOf(payload, -1), []);
});

test("the local variables of a line are all that were told of its call", () => {
  const calls = new Map();
  for (let i = 0; i < total; i += 1) {
    const { kind, task, place, detail } = eventAt(payload, i);
    if (kind !== "LINE" || place < 0) continue;
    const call = `${task} ${chainOf(payload, place).length}`;
    const [fresh, changes] = payload.locals[detail];
    const values = fresh ? new Map() : calls.get(call);
    const marks = new Map(changes.map(([name, value]) => [name, value === null ? "gone" : values.has(name) ? "changed" : "new"]));
    for (const [name, value] of changes) value === null ? values.delete(name) : values.set(name, value);
    calls.set(call, values);
    const rows = localsAt(payload, stateAt(payload, i + 1), place);
    assert.deepEqual(new Map(rows.filter((row) => row.mark !== "gone").map((row) => [row.name, row.value])), values);
    assert.deepEqual(new Map(rows.filter((row) => row.mark).map((row) => [row.name, row.mark])), marks);
  }
});

test("the overview has a row for each task, and its last column is the end", () => {
  for (const width of [1, 17, 640]) {
    const rows = overview(payload, width);
    assert.equal(rows.length, payload.tasks.length);
    assert.ok(rows.every((row) => row.length === Math.min(width, total)));
    assert.ok(rows.every((row) => row.every((state) => state < OVERVIEW.length)));
  }
  const { lanes } = stateAt(payload, total);
  const ends = overview(payload, total).map((row) => OVERVIEW[row[total - 1]]);
  ends.forEach((state, task) => assert.ok(state === lanes[task] || (state === "cycle" && lanes[task] === "waiting")));
});

for (const width of [300, 420, 600, 1000]) {
  test(`at ${width} pixels nothing overlaps or leaves the stage`, () => {
    const layout = plan(payload, width);
    const boxes = [...layout.homes.entries()];
    for (const [i, [node, a]] of boxes.entries()) {
      const inside = a.x - a.w / 2 >= 0 && a.x + a.w / 2 <= width;
      assert.ok(inside, `${node} leaves the stage`);
      const { y, h } = layout.lanes.waiting;
      assert.ok(a.y - a.h / 2 >= y && a.y + a.h / 2 <= y + h, `${node} leaves its lane`);
      for (const [other, b] of boxes.slice(i + 1)) {
        const apart = Math.abs(a.x - b.x) >= (a.w + b.w) / 2 || Math.abs(a.y - b.y) >= (a.h + b.h) / 2;
        assert.ok(apart, `${node} and ${other} overlap`);
      }
    }
  });
}

test("every task that exists has a place on the stage", () => {
  const layout = plan(payload, 560);
  for (const position of positions) {
    const state = stateAt(payload, position);
    const { tasks } = place(layout, state);
    state.lanes.forEach((lane, task) => assert.equal(tasks[task] !== null, lane !== ""));
  }
});

test("who is where is told in words, of many in part", () => {
  for (const position of positions) {
    const state = stateAt(payload, position);
    const [, ready] = /Ready, in order: (.*?)\. Waiting: /.exec(inWords(payload, state));
    const names = state.ready.map((task) => payload.tasks[task][0]);
    const rest = names.length - 30;
    const told = rest > 0 ? [...names.slice(0, 30), `and ${rest} more`] : names;
    assert.equal(ready, told.join(", ") || "nobody");
  }
});
