// The explorer's functions that need no page; run by test_explorer.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { inSeconds, isOld, keyed, outline, snap, ticks, tied } from "./race.js";

const scene = JSON.parse(readFileSync(process.env.CASE, "utf-8"));

test("a handle stands on a step, from the first to the end of the axis", () => {
  for (const [value, expected] of [[-1, 0.02], [0, 0.02], [0.309, 0.3], [0.311, 0.32], [1.999, 2], [9, 2]]) {
    assert.equal(snap(value, scene), expected);
  }
});

test("two handles that were dragged to one place have the very same time", () => {
  for (let step = 1; step <= 100; step += 1) {
    const by = snap(step * scene.step, scene);
    const walked = Array.from({ length: step - 1 }).reduce((at) => keyed("ArrowRight", at, scene), scene.step);
    assert.equal(by, walked);
  }
});

test("keys lead a step, ten, or to an end; others lead nowhere", () => {
  const to = (key) => keyed(key, 1, scene);
  assert.deepEqual(["ArrowRight", "ArrowDown", "PageUp", "PageDown", "Home", "End", "x"].map(to), [1.02, 0.98, 1.2, 0.8, 0.02, 2, null]);
});

test("the axis has three to six round times, from 0 to its end", () => {
  for (const longest of [2, 3, 5, 10, 20, 30, 50, 100, 500]) {
    const times = ticks(longest);
    assert.ok(times.length >= 3 && times.length <= 6, `${longest}: ${times}`);
    assert.equal(times[0], 0);
    assert.equal(times.at(-1), longest);
  }
});

test("the curve starts at the top left and goes down in stairs", () => {
  assert.equal(outline([[0, 1], [0.5, 0.5], [1.5, 0], [2, 0]], 2), "M0 0H25V50H75V100H100V100");
  const heights = [...outline(scene.curve, scene.longest).matchAll(/V([\d.]+)/g)].map((m) => Number(m[1]));
  assert.equal(heights.length, scene.curve.length - 1);
  assert.deepEqual(heights, heights.toSorted((a, b) => a - b));
});

test("times are written without noise", () => {
  assert.deepEqual([1, 0.1 + 0.2, 0.62].map(inSeconds), ["1 s", "0.3 s", "0.62 s"]);
});

test("a scene is old when a handle has left it", () => {
  assert.equal(isOld(scene, { operation: scene.operation, limit: scene.limit }), false);
  assert.equal(isOld(scene, { operation: scene.operation, limit: scene.limit + 0.02 }), true);
});

test("no line ends between a number and its unit", () => {
  assert.equal(tied("at 1.5 s, 5 steps, 20 % of 2 s"), "at 1.5\u00a0s, 5 steps, 20\u00a0% of 2\u00a0s");
});
