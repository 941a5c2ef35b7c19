// The player: controls, keys, and the pieces kept in step. It draws; state.js knows.

import { icon, make, showSentence, turnInto } from "./dom.js";
import { sentence, when } from "./sentence.js";
import { makeSource } from "./source.js";
import { inWords, makeStage } from "./stage.js";
import { eventAt, length, nextSwitch, stateAt, timeAt } from "./state.js";
import { makeLegend, makeTimeline } from "./timeline.js";

const STEP = 1100; // milliseconds for one event at normal speed
const DWELL = 2.5; // times as long at the moment the cycle closes
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const LISTED = 1500; // sentences in the list of all steps

const KEYS = [
  ["Space", "play or pause"],
  ["← →", "one step back or forward"],
  ["⇧← ⇧→", "to where another task runs"],
  ["Home End", "to the start or the end"],
  ["C", "to the moment the cycle closes"],
  ["+ −", "faster or slower"],
  ["[ ]", "follow the task before or after"],
  ["Esc", "follow no task; close this help"],
  ["?", "this help"],
];

/**
 * @param {import("./state.js").Payload} payload
 * @param {number} start the position to open at
 * @param {(position: number) => void} onMove
 */
export function makePlayer(payload, start, onMove) {
  const total = length(payload);
  let position = -1;
  let speed = 2; // an index into SPEEDS
  let playing = false;
  let frame = 0;
  let due = 0;
  let picked = -1;

  const stage = makeStage(payload, (task) => pick(task === picked ? -1 : task));
  const source = makeSource(payload);
  const timeline = makeTimeline(payload, (to) => goByHand(to));
  const say = make("p", "dl-say", { "aria-live": "polite", "aria-atomic": "true" });
  const words = make("p", "dl-hidden");
  const where = make("span", "dl-where");
  const clock = make("span", "dl-clock", { title: "virtual time" });
  const pace = make("span", "dl-pace", { "aria-live": "polite" });

  const buttons = {
    start: button("start", "To the start (Home)", () => goByHand(0)),
    back: button("back", "One step back (←)", () => goByHand(position - 1)),
    play: button("play", "Play (Space)", () => toggle()),
    forward: button("forward", "One step forward (→)", () => goByHand(position + 1)),
    end: button("end", "To the end (End)", () => goByHand(total)),
  };
  buttons.play.classList.add("dl-play");
  const cycle = button("cycle", "To the moment the cycle closes (C)", () => toCycle());
  cycle.classList.add("dl-to-cycle");
  cycle.append(make("span", "", {}, "cycle", make("span", "dl-wide", {}, " closes")));
  cycle.hidden = payload.closed < 0;
  const slower = button("", "Slower (−)", () => setSpeed(speed - 1), "−");
  const faster = button("", "Faster (+)", () => setSpeed(speed + 1), "+");
  const helpButton = button("help", "Help (?)", () => showHelp(help.hidden));

  const bar = make("div", "dl-bar", {},
    make("div", "dl-buttons", {}, ...Object.values(buttons)), cycle,
    make("div", "dl-speed", { role: "group", "aria-label": "Speed" }, slower, pace, faster),
    make("div", "dl-meter", {}, clock, where), helpButton);
  const help = makeHelp(() => showHelp(false));
  const story = makeStory();
  const main = make("div", "dl-main", {}, stage.element, source.element);
  const root = make("div", "deadlock-lab",
    { tabindex: "0", role: "group", "aria-label": `Player of a run: ${payload.outcome}`, "data-lm-suppress-shortcuts": "true" },
    make("div", "dl-frame", {}, bar, timeline.element, say, main, words, story.element, help));

  /** @param {string} name @param {string} title @param {() => void} act @param {string} [text] */
  function button(name, title, act, text) {
    const made = make("button", "dl-button", { type: "button", title, "aria-label": title }, text ?? icon(name));
    made.addEventListener("click", act);
    return made;
  }

  /** @param {number} to */
  function go(to) {
    const next = Math.max(0, Math.min(total, Math.round(to)));
    if (next === position) return;
    const step = next - position;
    position = next;
    const state = stateAt(payload, position);
    const text = sentence(payload, position - 1);
    showSentence(say, text);
    root.classList.toggle("dl-closed", state.cycleClosed);
    words.textContent = inWords(payload, state);
    where.textContent = `${position} / ${total}`;
    clock.textContent = when(state.time);
    timeline.show(position, `step ${position} of ${total}: ${text.replaceAll("`", "")}`);
    stage.show(state, Math.abs(step) > 40);
    source.show(state);
    story.show();
    buttons.start.disabled = buttons.back.disabled = position === 0;
    buttons.end.disabled = buttons.forward.disabled = position === total;
    onMove(position);
  }

  /** @param {number} to */
  function goByHand(to) {
    pause();
    go(to);
  }

  function toCycle() {
    if (payload.closed >= 0) goByHand(payload.closed + 1);
  }

  function toggle() {
    if (playing) pause();
    else play();
  }

  function play() {
    if (position >= total) go(0);
    playing = true;
    setPlayButton();
    due = performance.now() + STEP / SPEEDS[speed] / 3;
    frame = requestAnimationFrame(tick);
  }

  function pause() {
    playing = false;
    cancelAnimationFrame(frame);
    setPlayButton();
  }

  function setPlayButton() {
    const title = playing ? "Pause (Space)" : "Play (Space)";
    turnInto(buttons.play.firstChild, playing ? "pause" : "play");
    buttons.play.title = title;
    buttons.play.setAttribute("aria-label", title);
    // While it plays, a screen reader would lag behind more and more.
    say.setAttribute("aria-live", playing ? "off" : "polite");
  }

  /** @param {number} now */
  function tick(now) {
    if (now >= due) {
      go(position + 1);
      due = now + (STEP / SPEEDS[speed]) * (position === payload.closed + 1 ? DWELL : 1);
    }
    // Where a notebook dropped the output, nobody says so.
    if (position >= total || !root.isConnected) pause();
    else frame = requestAnimationFrame(tick);
  }

  /** @param {number} to an index into SPEEDS */
  function setSpeed(to) {
    speed = Math.max(0, Math.min(SPEEDS.length - 1, to));
    pace.textContent = `${SPEEDS[speed]}×`;
    slower.disabled = speed === 0;
    faster.disabled = speed === SPEEDS.length - 1;
  }

  /** Follow one task, or -1 for all. @param {number} task */
  function pick(task) {
    picked = task;
    stage.pick(task);
    timeline.pick(task);
    story.list();
  }

  /** @param {number} by */
  function pickNext(by) {
    const count = payload.tasks.length;
    const seen = stateAt(payload, position).lanes.map((lane, task) => (lane ? task : -1)).filter((t) => t >= 0);
    if (!seen.length) return;
    const at = seen.indexOf(picked);
    pick(at < 0 ? seen[by > 0 ? 0 : seen.length - 1] : seen[(at + by + count) % seen.length]);
  }

  /** @param {boolean} on */
  function showHelp(on) {
    if (on === !help.hidden) return;
    help.hidden = !on;
    if (on) help.querySelector("button").focus();
    else root.focus({ preventScroll: true });
  }

  /** Every step in words; those of one task where one is followed. */
  function makeStory() {
    const title = make("summary", "", {}, "Every step in words");
    const rows = make("tbody", "");
    const heads = ["Step", "Time", "What happens"].map((head) => make("th", "", { scope: "col" }, head));
    const list = make("div", "dl-steps", {}, make("table", "", {}, make("thead", "", {}, make("tr", "", {}, ...heads)), rows));
    const element = make("details", "dl-story", {}, title, list);
    /** @type {Map<number, any>} */
    const items = new Map();
    element.addEventListener("toggle", fill);

    function fill() {
      items.clear();
      if (!element.open) return rows.replaceChildren();
      const wanted = [];
      for (let i = 0; i < total && wanted.length < LISTED; i += 1) {
        const { task, by } = eventAt(payload, i);
        if (picked < 0 || picked === task || picked === by) wanted.push(i);
      }
      rows.replaceChildren(...wanted.map((i) => {
        const link = make("button", "dl-step", { type: "button" });
        showSentence(link, sentence(payload, i));
        link.addEventListener("click", () => goByHand(i + 1));
        const item = make("tr", "", {}, make("th", "", { scope: "row" }, String(i + 1)), make("td", "", {}, when(timeAt(payload, i))), make("td", "", {}, link));
        items.set(i + 1, item);
        return item;
      }));
      if (wanted.length === LISTED) rows.append(make("tr", "", {}, make("td", "", { colspan: "3" }, "… and so on.")));
      show();
      return undefined;
    }

    /** @type {any} */
    let current = null;
    function show() {
      current?.removeAttribute("aria-current");
      current = items.get(position);
      if (!current) return;
      current.setAttribute("aria-current", "step");
      list.scrollTop = current.offsetTop - list.clientHeight / 2;
    }

    return {
      element,
      show,
      list() {
        title.textContent = picked < 0 ? "Every step in words" : `The story of ${payload.tasks[picked][0]}`;
        if (picked >= 0) element.open = true;
        fill();
      },
    };
  }

  /** @type {Record<string, () => void>} */
  const keys = {
    " ": toggle,
    ArrowLeft: () => goByHand(position - 1),
    ArrowRight: () => goByHand(position + 1),
    "⇧ArrowLeft": () => goByHand(nextSwitch(payload, position, -1)),
    "⇧ArrowRight": () => goByHand(nextSwitch(payload, position, 1)),
    Home: () => goByHand(0),
    End: () => goByHand(total),
    c: toCycle,
    "+": () => setSpeed(speed + 1),
    "=": () => setSpeed(speed + 1),
    "-": () => setSpeed(speed - 1),
    "[": () => pickNext(-1),
    "]": () => pickNext(1),
    "?": () => showHelp(help.hidden),
    Escape: () => (help.hidden ? pick(-1) : showHelp(false)),
  };

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const shift = event.shiftKey && event.key.startsWith("Arrow") ? "⇧" : "";
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : shift + event.key];
    const target = /** @type {HTMLElement} */ (event.target);
    // Space presses the button, opens the list that has the focus.
    const own = event.key === " " && target.closest("button, summary");
    // The notebook must not hear our keys: x would cut a cell.
    event.stopPropagation();
    if (!act || own) return;
    event.preventDefault();
    act();
  }

  root.addEventListener("keydown", onKey);
  const sizes = new ResizeObserver(() => {
    stage.resize(Math.floor(stage.element.clientWidth));
    timeline.paint();
    source.resize();
  });
  sizes.observe(root);
  sizes.observe(main);
  // The canvas does not hear of a new theme by itself.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", timeline.paint);
  const themes = new MutationObserver(timeline.paint);
  themes.observe(document.body, { attributes: true, attributeFilter: ["class", "data-jp-theme-name", "data-jp-theme-light", "data-vscode-theme-id"] });

  setSpeed(speed);
  go(start);

  return {
    element: root,
    go,
    pause,
    get position() {
      return position;
    },
    destroy() {
      pause();
      stage.destroy();
      sizes.disconnect();
      themes.disconnect();
      dark.removeEventListener("change", timeline.paint);
      root.removeEventListener("keydown", onKey);
      root.remove();
    },
  };
}

/** @param {() => void} close */
function makeHelp(close) {
  const done = make("button", "dl-button", { type: "button", title: "Close (Esc)", "aria-label": "Close (Esc)" }, icon("failed"));
  done.addEventListener("click", close);
  const rows = KEYS.map(([keys, text]) =>
    [make("dt", "", {}, ...keys.split(" ").flatMap((key, i) => (i ? [" ", make("kbd", "", {}, key)] : [make("kbd", "", {}, key)]))), make("dd", "", {}, text)]);
  const help = make("div", "dl-help", { role: "dialog", "aria-label": "Help" },
    make("div", "dl-card", {}, done, make("div", "dl-heading", {}, "Keys"), make("dl", "", {}, ...rows.flat()),
      make("div", "dl-heading", {}, "In the timeline"), makeLegend(),
      make("p", "", {}, "An arrow goes from a task to what it waits for, and from a lock to who holds it. Click a task to follow it alone.")));
  help.hidden = true;
  return help;
}

/** How anywidget draws one view of the model. @param {{model: any, el: HTMLElement}} context */
function render({ model, el }) {
  /** @type {ReturnType<typeof makePlayer> | undefined} */
  let player;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;

  /** Tell Python, but not sixty times a second. @param {number} position */
  function tell(position) {
    if (model.get("position") === position) return;
    model.set("position", position);
    clearTimeout(later);
    later = setTimeout(() => model.save_changes(), 150);
  }

  function build() {
    player?.destroy();
    player = makePlayer(model.get("payload"), model.get("position"), tell);
    el.append(player.element);
  }

  function follow() {
    if (player && model.get("position") !== player.position) player.go(model.get("position"));
  }

  build();
  model.on("change:payload", build);
  model.on("change:position", follow);
  return () => {
    clearTimeout(later);
    model.off("change:payload", build);
    model.off("change:position", follow);
    player?.destroy();
  };
}

export default { render };
