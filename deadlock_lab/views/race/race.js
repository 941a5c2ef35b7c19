// The race explorer. It draws what the kernel found out: `scene` is the run of one setting.
//
// The handles follow the hand at once; the lanes follow when the kernel has run the race.

import { draw, make } from "../player/dom.js";

/**
 * @typedef {[number, number, string]} Stretch start and end in seconds, state
 * @typedef {{longest: number, step: number}} Scale
 * @typedef {object} Scene
 * @property {number} operation
 * @property {number} limit
 * @property {number} longest the end of the axis, in seconds
 * @property {number} step what a handle moves by
 * @property {{name: string, note: string, stretches: Stretch[]}[]} lanes
 * @property {number | null} asked when the operation was asked to stop
 * @property {string} story
 * @property {string} alarms
 * @property {string} frozen
 * @property {number} rate
 * @property {[number, number][]} curve limits and their rates, the corners of a staircase
 */

const PATIENCE = 3000; // milliseconds to wait for the kernel before saying that none answers
const PAUSE = 500; // milliseconds of rest before the story is read out

const STATES = { waits: "waits", works: "at work", runs: "timer runs", asked: "was asked to stop", unwatched: "runs on, unwatched" };
const QUESTIONS = { way: "How the limit is put", when_cancelled: "When cancelled, the operation", latencies: "Healthy calls are" };

// -- what has no need of a page ------------------------------------------------------------

/** The nearest position of a handle, in seconds. @param {number} value @param {Scale} scale */
export function snap(value, { longest, step }) {
  const inside = Math.max(step, Math.min(longest, Math.round(value / step) * step));
  return Number(inside.toPrecision(12));
}

/** Where a key leads, or null for other keys. @param {string} key @param {number} value @param {Scale} scale */
export function keyed(key, value, scale) {
  const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[key];
  if (by) return snap(value + by * scale.step, scale);
  return { Home: scale.step, End: scale.longest }[key] ?? null;
}

/** Times on the axis: three to six, round ones. @param {number} longest */
export function ticks(longest) {
  const unit = 10 ** Math.floor(Math.log10(longest));
  const step = [0.2, 0.25, 0.5, 1].map((n) => n * unit).find((s) => longest / s <= 5) ?? unit;
  return Array.from({ length: Math.floor(longest / step + 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** The staircase in a box of 100 by 100, from the top left. @param {[number, number][]} curve @param {number} longest */
export function outline(curve, longest) {
  const at = (/** @type {number} */ value) => Number(value.toFixed(3));
  const [[, first], ...rest] = curve;
  return `M0 ${at(100 - 100 * first)}${rest.map(([time, rate]) => `H${at((100 * time) / longest)}V${at(100 - 100 * rate)}`).join("")}`;
}

/** @param {number} seconds */
export function inSeconds(seconds) {
  return `${Number(seconds.toPrecision(6))} s`;
}

/** Keep numbers together with their unit when a line is broken. @param {string} text */
export function tied(text) {
  return text.replace(/(\d) (?=s\b|%)/g, "$1\u00a0");
}

/** Whether a scene is of other handles than these. @param {Scene} scene @param {Record<string, number>} wanted */
export function isOld(scene, wanted) {
  return scene.operation !== wanted.operation || scene.limit !== wanted.limit;
}

// -- drawing -------------------------------------------------------------------------------

/** One lane: a name, a track, on it what was done. @param {string} name */
function makeLane(name) {
  const note = make("span", "dl-race-note");
  const bars = make("div", "dl-race-bars");
  const track = make("div", "dl-race-track", {}, bars);
  const element = make("div", "dl-race-row", {}, make("div", "dl-race-name", {}, name, note), track);
  return {
    element,
    track,
    /** @param {Scene["lanes"][number]} lane @param {number} longest */
    show(lane, longest) {
      note.textContent = lane.note;
      bars.replaceChildren(...lane.stretches.map(([start, end, state]) => {
        const bar = make("div", `dl-race-bar dl-race-${state}`);
        bar.style.left = `${(100 * start) / longest}%`;
        bar.style.width = `${(100 * (end - start)) / longest}%`;
        return bar;
      }));
    },
  };
}

/**
 * A handle on a track, for mouse, finger and keys.
 * @param {HTMLElement} track @param {string} label @param {() => Scale} scale @param {(value: number) => void} onMove
 */
function makeHandle(track, label, scale, onMove) {
  let value = 0;
  const handle = make("div", "dl-race-handle", { role: "slider", tabindex: "0", "aria-label": label, "aria-valuemin": "0" });
  track.append(handle);
  track.classList.add("dl-race-drag");

  /** @param {PointerEvent} event */
  function seize(event) {
    if (event.button) return;
    event.preventDefault();
    handle.focus({ preventScroll: true });
    track.setPointerCapture(event.pointerId);
    follow(event);
  }

  /** @param {PointerEvent} event */
  function follow(event) {
    if (!track.hasPointerCapture(event.pointerId)) return;
    const { left, width } = track.getBoundingClientRect();
    onMove(snap(((event.clientX - left) / width) * scale().longest, scale()));
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = { ArrowRight: "PageUp", ArrowLeft: "PageDown" }[event.key];
    const to = keyed((event.shiftKey && far) || event.key, value, scale());
    if (to === null) return;
    event.preventDefault();
    onMove(to);
  }

  track.addEventListener("pointerdown", seize);
  track.addEventListener("pointermove", follow);
  handle.addEventListener("keydown", press);
  return {
    /** @param {number} seconds */
    show(seconds) {
      value = seconds;
      handle.style.left = `${(100 * seconds) / scale().longest}%`;
      handle.setAttribute("aria-valuenow", String(seconds));
      handle.setAttribute("aria-valuemax", String(scale().longest));
      handle.setAttribute("aria-valuetext", inSeconds(seconds));
    },
  };
}

/** @param {string} question @param {Record<string, string>} answers @param {(answer: string) => void} onChoose */
function makeChoice(question, answers, onChoose) {
  const name = `dl-race-${Math.random().toString(36).slice(2)}`; // radios of two views are not one group
  const radios = Object.entries(answers).map(([value, text]) => {
    const radio = make("input", "", { type: "radio", name, value });
    radio.addEventListener("change", () => onChoose(value));
    return { radio, label: make("label", "", {}, radio, make("span", "", {}, text)) };
  });
  const element = make("fieldset", "dl-race-choice", {}, make("legend", "", {}, question),
    make("div", "dl-race-answers", {}, ...radios.map((r) => r.label)));
  return {
    element,
    /** @param {string} answer */
    show(answer) {
      for (const { radio } of radios) radio.checked = radio.value === answer;
    },
  };
}

/** The times below a track. @param {number} longest */
function makeAxis(longest) {
  const marks = ticks(longest).map((time) => {
    const mark = make("span", "", {}, inSeconds(time));
    mark.style.left = `${(100 * time) / longest}%`;
    return mark;
  });
  return make("div", "dl-race-row dl-race-axis", { "aria-hidden": "true" }, make("div", "dl-race-name"), make("div", "dl-race-ticks", {}, ...marks));
}

function makeCurve() {
  const path = draw("path", { "vector-effect": "non-scaling-stroke" });
  const svg = draw("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(path);
  const line = make("div", "dl-race-limit");
  const dot = make("div", "dl-race-dot");
  const scale = ["100 %", "50 %", "0 %"].map((text) => make("span", "", {}, text));
  const track = make("div", "dl-race-track", {}, svg, line, dot);
  const element = make("div", "dl-race-row dl-race-curve", { "aria-hidden": "true" }, make("div", "dl-race-name", {}, ...scale), track);
  return {
    element,
    line,
    /** @param {Scene} scene */
    show(scene) {
      path.setAttribute("d", outline(scene.curve, scene.longest));
      dot.style.left = `${(100 * scene.limit) / scene.longest}%`;
      dot.style.top = `${100 - 100 * scene.rate}%`;
    },
  };
}

function makeLegend() {
  return make("div", "dl-race-legend", { "aria-hidden": "true" }, ...Object.entries(STATES).map(([state, text]) =>
    make("span", "", {}, make("i", `dl-race-bar dl-race-${state}`), text)));
}

/**
 * @param {Scene} first
 * @param {Record<string, Record<string, string>>} choices
 * @param {(name: string, value: number | string) => void} onSet
 */
export function makeExplorer(first, choices, onSet) {
  let scene = first;
  /** @type {Record<string, any>} */
  let wanted = {};
  /** @type {ReturnType<typeof setTimeout>[]} */
  let waiting = [];
  let touched = false; // what nobody asked for is not read out

  const say = make("p", "dl-say dl-race-say");
  const alarms = make("p", "dl-race-alarms");
  const frozen = make("p", "dl-race-frozen");
  const aloud = make("p", "dl-hidden", { "aria-live": "polite", "aria-atomic": "true" });
  const silence = make("p", "dl-race-silence", { role: "status" });
  const lanes = first.lanes.map((lane) => makeLane(lane.name));
  const stop = make("div", "dl-race-asked", { "aria-hidden": "true" }, make("span", "", {}, "asked to stop"));
  const line = make("div", "dl-race-limit");
  lanes[1].track.append(stop);
  /** @type {Record<string, {show: (value: any) => void}>} */
  const controls = {
    operation: makeHandle(lanes[1].track, "The operation takes", () => scene, (to) => set("operation", to)),
    limit: makeHandle(lanes[2].track, "The limit", () => scene, (to) => set("limit", to)),
  };
  const picks = Object.fromEntries(Object.entries(QUESTIONS).map(([name, question]) =>
    [name, makeChoice(question, choices[name], (answer) => set(name, answer))]));
  Object.assign(controls, picks);
  const curve = makeCurve();
  const tracks = make("div", "dl-race-over", {}, make("div", "dl-race-name"), make("div", "dl-race-track", {}, line));
  const root = make("div", "deadlock-lab dl-race", { role: "group", "aria-label": "Race explorer", "data-lm-suppress-shortcuts": "true" },
    make("div", "dl-frame", {},
      make("div", "dl-race-choices", {}, picks.way.element, picks.when_cancelled.element),
      say,
      make("div", "dl-race-lanes", {}, ...lanes.map((lane) => lane.element), tracks),
      makeAxis(first.longest), makeLegend(), silence,
      make("div", "dl-race-choices dl-race-below", {}, picks.latencies.element),
      alarms, frozen, curve.element, makeAxis(first.longest), aloud));
  // The notebook must not hear our keys: x would cut a cell.
  root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.stopPropagation());

  /** @param {string} name @param {number | string} value */
  function set(name, value) {
    if (wanted[name] === value) return;
    touched = true;
    want({ ...wanted, [name]: value });
    later();
    onSet(name, value);
  }

  /** Put the controls where they are to be. @param {Record<string, any>} settings */
  function want(settings) {
    wanted = settings;
    for (const [name, control] of Object.entries(controls)) control.show(wanted[name]);
    for (const one of [line, curve.line]) one.style.left = `${(100 * wanted.limit) / scene.longest}%`;
  }

  /** Say after a while that nobody answers; the next scene takes it back. */
  function later() {
    hush();
    waiting.push(setTimeout(() => {
      silence.textContent = "No answer from a kernel yet: the picture still shows the race before.";
    }, PATIENCE));
  }

  function hush() {
    waiting.forEach(clearTimeout);
    waiting = [];
  }

  /** @param {Scene} next */
  function show(next) {
    scene = next;
    if (!isOld(scene, wanted)) hush();
    silence.textContent = "";
    say.textContent = tied(scene.story);
    alarms.textContent = tied(scene.alarms);
    frozen.textContent = tied(scene.frozen);
    scene.lanes.forEach((lane, i) => lanes[i].show(lane, scene.longest));
    stop.hidden = scene.asked === null;
    const asked = (100 * (scene.asked ?? 0)) / scene.longest;
    stop.style.left = `${asked}%`;
    stop.classList.toggle("dl-race-flip", asked > 60);
    curve.show(scene);
    if (touched) waiting.push(setTimeout(() => {
      aloud.textContent = `${scene.story} ${scene.alarms}`;
    }, PAUSE));
  }

  return { element: root, want, show, destroy: hush };
}

/** How anywidget draws one view of the model. @param {{model: any, el: HTMLElement}} context */
function render({ model, el }) {
  const names = ["operation", "limit", "way", "when_cancelled", "latencies"];
  const explorer = makeExplorer(model.get("scene"), model.get("choices"), (name, value) => {
    model.set(name, value);
    model.save_changes();
  });
  const want = () => explorer.want(Object.fromEntries(names.map((name) => [name, model.get(name)])));
  const show = () => explorer.show(model.get("scene"));
  want();
  show();
  el.append(explorer.element);
  for (const name of names) model.on(`change:${name}`, want);
  model.on("change:scene", show);
  return () => {
    for (const name of names) model.off(`change:${name}`, want);
    model.off("change:scene", show);
    explorer.destroy();
    explorer.element.remove();
  };
}

export default { render };
