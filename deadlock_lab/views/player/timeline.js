// The mini-timeline, which is the scrubber: a row for each task, by states.
//
// States differ by height and pattern as well as by colour.

import { draw, icon, make } from "./dom.js";
import { length, overview, OVERVIEW } from "./state.js";

/** @param {import("./state.js").Payload} payload @param {(position: number) => void} onSeek */
export function makeTimeline(payload, onSeek) {
  const total = length(payload);
  const range = make("input", "dl-range", { type: "range", min: "0", max: String(total), step: "1", "aria-label": "Moment" });
  range.addEventListener("input", () => onSeek(Number(range.value)));
  const canvas = make("canvas", "dl-canvas", { "aria-hidden": "true" });
  const flag = make("span", "dl-flag", { "aria-hidden": "true" }, icon("cycle"));
  flag.hidden = payload.closed < 0;
  flag.style.left = `${((payload.closed + 1) / Math.max(1, total)) * 100}%`;
  const head = make("span", "dl-playhead", { "aria-hidden": "true" });
  const track = make("div", "dl-track", {}, canvas, flag, head, range);
  const names = make("div", "dl-names", { "aria-hidden": "true" });
  const element = make("div", "dl-timeline", {}, names, track);
  const count = payload.tasks.length;
  const named = count <= 8;
  const rowHeight = named ? 17 : Math.min(9, 108 / count);
  const height = Math.max(26, Math.ceil(count * rowHeight));
  track.style.height = `${height}px`;
  if (named) {
    names.append(...payload.tasks.map(([name]) => {
      const label = make("span", "dl-name", { title: name }, name);
      label.style.height = label.style.lineHeight = `${rowHeight}px`;
      return label;
    }));
  }
  let picked = -1;

  function paint() {
    const width = track.clientWidth;
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.scale(ratio, ratio);
    const rows = overview(payload, width);
    const step = width / Math.max(1, rows[0]?.length ?? 1);
    const style = getComputedStyle(element);
    const colours = OVERVIEW.map((state) => (state ? style.getPropertyValue(`--dl-${state}`).trim() : ""));
    rows.forEach((row, task) => {
      pen.globalAlpha = picked < 0 || picked === task ? 1 : 0.25;
      paintRow(pen, row, task * rowHeight, step, colours);
    });
  }

  /** @param {CanvasRenderingContext2D} pen @param {Uint8Array} row @param {number} y @param {number} step @param {string[]} colours */
  function paintRow(pen, row, y, step, colours) {
    let from = 0;
    for (let at = 1; at <= row.length; at += 1) {
      if (at < row.length && row[at] === row[from]) continue;
      if (row[from]) bar(pen, OVERVIEW[row[from]], from * step, (at - from) * step, y, colours[row[from]]);
      from = at;
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {string} state @param {number} x @param {number} w @param {number} y @param {string} colour */
  function bar(pen, state, x, w, y, colour) {
    const full = Math.max(1, rowHeight - (rowHeight > 12 ? 4 : rowHeight > 4 ? 2 : 0.5));
    const tall = { running: 1, ready: 0.62, waiting: 0.26, cycle: 0.82 }[state] ?? 0.12;
    const h = Math.max(1, full * tall);
    const top = y + (rowHeight - h) / 2;
    pen.fillStyle = colour;
    if (state !== "cycle" || h < 4) pen.fillRect(x, top, Math.max(w, 0.75), h);
    else hatch(pen, x, top, w, h, colour);
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} x @param {number} top @param {number} w @param {number} h @param {string} colour */
  function hatch(pen, x, top, w, h, colour) {
    pen.save();
    pen.beginPath();
    pen.rect(x, top, w, h);
    pen.clip();
    pen.strokeStyle = colour;
    pen.lineWidth = 2.2;
    for (let at = x - h; at < x + w + h; at += 5) {
      pen.moveTo(at, top + h);
      pen.lineTo(at + h, top);
    }
    pen.stroke();
    pen.strokeRect(x + 0.6, top + 0.6, Math.max(0.5, w - 1.2), h - 1.2);
    pen.restore();
  }

  return {
    element,
    paint,
    /** @param {number} task */
    pick(task) {
      picked = task;
      paint();
    },
    /** @param {number} position @param {string} text what assistive technology says */
    show(position, text) {
      range.value = String(position);
      range.setAttribute("aria-valuetext", text);
      head.style.left = `${(position / Math.max(1, total)) * 100}%`;
    },
  };
}

/** What the looks of the timeline mean. */
export function makeLegend() {
  const states = { running: 12, ready: 8, waiting: 3, cycle: 10, done: 1.5 };
  return make("div", "dl-legend", {}, ...Object.entries(states).map(([state, h]) => {
    const swatch = draw("svg", { viewBox: "0 0 22 14", class: `dl-swatch dl-swatch-${state}`, "aria-hidden": "true" });
    swatch.append(draw("rect", { x: 1, width: 20, y: 7 - h / 2, height: h }));
    if (state === "cycle") swatch.append(draw("path", { d: "M4 12l8-10M10 12l8-10M16 12l5-6M1 8l5-6" }));
    return make("span", "", {}, swatch, state === "done" ? "over" : state);
  }));
}
