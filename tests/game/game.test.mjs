// The game's functions that need no page; run by test_widget.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hint, joined, same, shared } from "./game.js";

const way = [[1], [0, 3], [2]];

test("a pick is the same whatever the order of its waits", () => {
  assert.ok(same([0, 3], [3, 0]));
  assert.ok(!same([0], [0, 3]));
  assert.ok(!same([0, 3], [0, 2]));
});

test("two games share what they began with", () => {
  assert.equal(shared([], way), 0);
  assert.equal(shared([[1], [3, 0]], way), 2);
  assert.equal(shared([[0], [0, 3]], way), 0);
  assert.equal(shared([...way, [9]], way), 3);
});

test("on the way, the hint is the next pick", () => {
  assert.deepEqual(hint([], way), { undo: 0, pick: [1] });
  assert.deepEqual(hint([[1]], way), { undo: 0, pick: [0, 3] });
});

test("off the way, the hint is how many picks to undo", () => {
  assert.deepEqual(hint([[0]], way), { undo: 1, pick: [] });
  assert.deepEqual(hint([[1], [2], [0]], way), { undo: 2, pick: [] });
});

test("at the end of the way there is nothing to hint at", () => {
  assert.deepEqual(hint(way, way), { undo: 0, pick: [] });
});

test("what is marked joins what is picked, each wait once", () => {
  assert.deepEqual(joined([3], []), [3]);
  assert.deepEqual(joined([3], [[0], [10]]), [0, 3, 10]);
  assert.deepEqual(joined([3], [[3]]), [3]);
});
