// The scheduler game. The kernel plays the picks and says what came of them; this shows it.

import { icon, make, showSentence } from "../views/player/dom.js";
import { makeSource } from "../views/player/source.js";
import { inWords, makeStage } from "../views/player/stage.js";
import { stateAt } from "../views/player/state.js";

const PATIENCE = 4000; // milliseconds to wait for the kernel before saying that none answers

const SHORTCUTS = [
  ["1 … 9", "pick a wait"],
  ["⇧1 … ⇧9", "mark it, to complete at one moment with the next one that is picked"],
  ["↑ ↓ Enter", "go through the waits, and pick one"],
  ["U", "undo (also Backspace)"],
  ["R", "start again"],
  ["S", "have a search look for a freeze"],
  ["H", "a hint, where the search has found one"],
  ["?", "these keys"],
];

/**
 * @typedef {number[]} Pick timers that complete at one moment
 * @typedef {{pick: Pick, text: string, due: string, where: string, code: string, natural: boolean, refusal: string}} Move
 * @typedef {object} Scene
 * @property {string} status
 * @property {Pick[]} picks
 * @property {string} headline
 * @property {string[]} news
 * @property {Move[]} moves
 * @property {string[]} story
 * @property {string} token
 * @property {string} held
 * @property {string} explanation
 * @property {import("../views/player/state.js").Payload} payload
 * @property {number} position
 * @property {number} since
 * @typedef {{text?: string, way?: Pick[]}} Found
 */

// -- what has no need of a page ------------------------------------------------------------

/** Whether two picks are of the same waits. @param {Pick} a @param {Pick} b */
export function same(a, b) {
  return a.length === b.length && a.every((number) => b.includes(number));
}

/** How many picks two games share from the start. @param {Pick[]} picks @param {Pick[]} way */
export function shared(picks, way) {
  let count = 0;
  while (count < picks.length && count < way.length && same(picks[count], way[count])) count += 1;
  return count;
}

/**
 * What to do next on the way to a freeze: pick these waits, or undo so many picks.
 * @param {Pick[]} picks @param {Pick[]} way
 * @returns {{pick: Pick, undo: number}}
 */
export function hint(picks, way) {
  const undo = picks.length - shared(picks, way);
  return { undo, pick: undo ? [] : way[picks.length] ?? [] };
}

/** A pick with what was marked to complete with it. @param {Pick} pick @param {Pick[]} marked @returns {Pick} */
export function joined(pick, marked) {
  return [...new Set([...pick, ...marked.flat()])].sort((a, b) => a - b);
}

// -- drawing -------------------------------------------------------------------------------

/**
 * @param {string} name the program's
 * @param {Scene} first
 * @param {{pick: (picks: Pick[]) => void, search: () => void}} ask of the kernel
 */
export function makeGame(name, first, ask) {
  let scene = first;
  /** @type {Found} */
  let found = {};
  let waiting = false; // for the kernel
  let searching = false;
  /** @type {Pick[]} */
  let marked = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let patience;
  /** @type {ReturnType<typeof makeStage> | undefined} */
  let stage;
  /** @type {ReturnType<typeof makeSource> | undefined} */
  let source;

  const undoButton = button("Undo (U)", "back", "Undo", () => undo(1));
  const restartButton = button("Start again (R)", "start", "Restart", () => undo(scene.picks.length));
  const searchButton = button("Have a search look for a freeze (S)", "cycle", "Search", search);
  const hintButton = button("Hint (H)", "help", "Hint", showHint);
  const count = make("span", "dl-game-count");
  const headline = make("p", "dl-say dl-game-say");
  const news = make("ul", "dl-game-news", { "aria-label": "What came of the last pick" });
  const aloud = make("p", "dl-hidden", { role: "status", "aria-live": "polite", "aria-atomic": "true" });
  const note = make("p", "dl-game-note");
  const verdict = make("p", "dl-game-verdict");
  const won = make("div", "dl-game-won");
  const moves = make("ol", "dl-game-moves", { "aria-label": "Pending waits" });
  const words = make("p", "dl-hidden");
  const main = make("div", "dl-main");
  const steps = make("ol", "dl-game-steps");
  const story = make("section", "dl-game-story", { "aria-label": "Your picks" }, make("div", "dl-game-title", {}, "Your picks"), steps);
  const keyList = makeKeys();

  const bar = make("div", "dl-bar", {}, make("div", "dl-game-goal", {}, "Freeze ", make("code", "", {}, name)),
    make("div", "dl-buttons dl-game-buttons", {}, undoButton, restartButton, searchButton, hintButton), count);
  const root = make("div", "deadlock-lab dl-game", { tabindex: "0", role: "group", "aria-label": `The scheduler game: freeze ${name}`, "data-lm-suppress-shortcuts": "true" },
    make("div", "dl-frame", {}, bar, headline, won, verdict, note,
      make("div", "dl-game-table", {}, moves, make("div", "dl-game-past", {}, news, story)),
      main, words, keyList, aloud));

  /** @param {string} title @param {string} shape @param {string} text @param {() => void} act */
  function button(title, shape, text, act) {
    const made = make("button", "dl-button", { type: "button", title }, icon(shape), make("span", "", {}, text));
    made.addEventListener("click", act);
    return made;
  }

  // -- what the player does ----------------------------------------------------------------

  /** @param {Move} move */
  function pick(move) {
    if (!move.refusal) play([...scene.picks, joined(move.pick, marked)]);
  }

  /** @param {number} by how many picks */
  function undo(by) {
    if (by && scene.picks.length) play(scene.picks.slice(0, -by));
  }

  /** @param {Pick[]} picks */
  function play(picks) {
    if (waiting) return;
    waiting = true;
    root.setAttribute("aria-busy", "true");
    expectAnswer();
    ask.pick(picks);
  }

  function search() {
    if (searching || waiting) return;
    if (found.text) return tell(found.text);
    searching = true;
    tell("Searching…");
    refresh();
    ask.search();
    return undefined;
  }

  function showHint() {
    if (!found.way?.length || waiting) return;
    const next = hint(scene.picks, found.way);
    const move = scene.moves.find((one) => same(one.pick, next.pick));
    for (const [i, item] of [...moves.children].entries()) {
      const hinted = next.pick.length > 0 && (move ? scene.moves[i] === move : next.pick.some((n) => scene.moves[i].pick.includes(n)));
      item.classList.toggle("dl-game-hinted", hinted);
    }
    tell(inHint(next, move));
  }

  /** @param {ReturnType<typeof hint>} next @param {Move} [move] */
  function inHint(next, move) {
    if (next.undo) return `Hint: from here there is a shorter way. Undo ${next.undo === 1 ? "one pick" : `${next.undo} picks`} first.`;
    if (move) return `Hint: pick ${scene.moves.indexOf(move) + 1}, ${move.text}.`;
    if (next.pick.length) return "Hint: mark the waits with a bar, so that they complete at one moment.";
    return "Hint: go on.";
  }

  /** @param {Move} move */
  function mark(move) {
    if (move.refusal || move.pick.length > 1) return;
    marked = marked.includes(move.pick) ? marked.filter((one) => one !== move.pick) : [...marked, move.pick];
    showMarks();
  }

  // -- what is shown -----------------------------------------------------------------------

  /** @param {string} text */
  function tell(text) {
    showSentence(note, text);
    aloud.textContent = text.replaceAll("`", "");
  }

  /** @param {Scene} next */
  function show(next) {
    const old = scene;
    const inside = moves.contains(document.activeElement);
    scene = next;
    answered();
    marked = [];
    showSentence(headline, scene.headline);
    root.classList.toggle("dl-game-frozen", scene.status === "frozen");
    list(news, scene.news);
    list(steps, scene.story);
    moves.replaceChildren(...scene.moves.map(showMove));
    moves.hidden = !scene.moves.length;
    story.hidden = !scene.story.length;
    news.hidden = !scene.news.length;
    showWon();
    note.replaceChildren();
    // What nobody asked for is not read out.
    if (old !== next) aloud.textContent = [...scene.news, scene.headline, scene.held].join(" ").replaceAll("`", "");
    refresh();
    if (inside) (moves.querySelector("button:not(:disabled)") ?? root).focus({ preventScroll: true });
    showMoment(old !== next && scene.picks.length > old.picks.length);
  }

  /** @param {HTMLElement} into @param {string[]} sentences */
  function list(into, sentences) {
    into.replaceChildren(...sentences.map((sentence) => {
      const item = make("li", "");
      showSentence(item, sentence);
      return item;
    }));
  }

  /** @param {Move} move @param {number} index */
  function showMove(move, index) {
    const text = make("span", "dl-game-text");
    showSentence(text, move.text);
    const line = make("span", "dl-game-code", {}, move.code);
    const chosen = make("button", "dl-game-pick", { type: "button" },
      make("span", "dl-game-number", { "aria-hidden": "true" }, index < 9 ? String(index + 1) : ""),
      make("span", "dl-game-wait", {}, text, ...(move.where ? [make("span", "dl-game-where", {}, move.where, line)] : []),
        ...(move.refusal ? [make("span", "dl-game-refusal", {}, move.refusal)] : [])),
      make("span", "dl-game-due", {}, `due ${move.due}`, ...(move.natural ? [make("span", "dl-game-natural", {}, "next by itself")] : [])));
    chosen.disabled = Boolean(move.refusal);
    if (index < 9) chosen.setAttribute("aria-keyshortcuts", String(index + 1));
    chosen.addEventListener("click", () => pick(move));
    const item = make("li", "", {}, chosen);
    if (move.pick.length === 1 && !move.refusal && scene.moves.length > 1) item.append(markButton(move, index));
    return item;
  }

  /** @param {Move} move @param {number} index */
  function markButton(move, index) {
    const title = `Mark, to complete at one moment with the next one that is picked (Shift+${index + 1})`;
    const made = make("button", "dl-button dl-game-mark", { type: "button", title, "aria-label": title, "aria-pressed": "false" }, "+");
    made.addEventListener("click", () => mark(move));
    return made;
  }

  function showMarks() {
    for (const [i, item] of [...moves.children].entries()) {
      const on = marked.includes(scene.moves[i].pick);
      item.classList.toggle("dl-game-marked", on);
      item.querySelector(".dl-game-mark")?.setAttribute("aria-pressed", String(on));
    }
    tell(marked.length ? "What is marked completes at one moment with what you pick next." : "");
  }

  function showWon() {
    won.hidden = scene.status !== "frozen";
    if (won.hidden) return won.replaceChildren();
    const code = `lab.run(${name}, schedule="${scene.token}")`;
    const copy = make("code", "dl-game-token", { tabindex: "0", role: "textbox", "aria-readonly": "true", "aria-label": "To see it again" }, code);
    won.replaceChildren(make("p", "", {}, `${scene.held} To see it again:`), copy,
      make("details", "", {}, make("summary", "", {}, "What stands still, and why"), make("pre", "dl-game-why", {}, scene.explanation)));
    return undefined;
  }

  /** The player's stage at this moment; what a pick has moved is seen to move. @param {boolean} moving */
  function showMoment(moving) {
    stage?.destroy();
    stage = makeStage(scene.payload, () => {});
    source = makeSource(scene.payload);
    main.replaceChildren(stage.element, source.element);
    const state = stateAt(scene.payload, scene.position);
    if (moving) stage.show(stateAt(scene.payload, scene.since), true);
    else stage.show(state, true);
    source.show(state);
    resize();
    if (moving) stage.show(state);
    words.textContent = inWords(scene.payload, state);
  }

  function resize() {
    if (stage) stage.resize(Math.floor(stage.element.clientWidth));
    source?.resize();
  }

  function refresh() {
    const none = !scene.picks.length;
    undoButton.disabled = restartButton.disabled = none;
    searchButton.disabled = searching || Boolean(found.text);
    hintButton.hidden = !found.way?.length;
    hintButton.disabled = scene.status === "frozen";
    count.textContent = none ? "" : scene.picks.length === 1 ? "1 pick" : `${scene.picks.length} picks`;
    verdict.hidden = !verdict.textContent;
    keepFocus();
  }

  /** A button that is switched off would hand its keys to the notebook. */
  function keepFocus() {
    const button = /** @type {HTMLButtonElement | null} */ (document.activeElement);
    if (root.contains(button) && (button?.disabled || button?.hidden)) root.focus({ preventScroll: true });
  }

  function expectAnswer() {
    patience = setTimeout(() => tell("No answer from a kernel: it may be busy, or gone. Then run the cell again."), PATIENCE);
  }

  function answered() {
    clearTimeout(patience);
    waiting = false;
    root.removeAttribute("aria-busy");
  }

  /** @param {Found} next @param {boolean} going */
  function showFound(next, going) {
    found = next;
    searching = going;
    showSentence(verdict, found.text ?? "");
    if (found.text) {
      note.replaceChildren(); // it said that a search goes on
      aloud.textContent = found.text;
    }
    refresh();
  }

  // -- keys --------------------------------------------------------------------------------

  /** @param {number} by */
  function goThrough(by) {
    const buttons = [...moves.querySelectorAll(".dl-game-pick:not(:disabled)")];
    const at = buttons.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : buttons.length - 1) : (at + by + buttons.length) % buttons.length;
    buttons[next]?.focus();
  }

  /** @type {Record<string, () => void>} */
  const shortcuts = {
    u: () => undo(1),
    Backspace: () => undo(1),
    r: () => undo(scene.picks.length),
    s: search,
    h: showHint,
    ArrowDown: () => goThrough(1),
    ArrowUp: () => goThrough(-1),
    "?": () => {
      keyList.open = !keyList.open;
    },
  };

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // The notebook must not hear our keys: x would cut a cell.
    event.stopPropagation();
    const target = /** @type {HTMLElement} */ (event.target);
    const scrolls = event.key.startsWith("Arrow") && target.closest(".dl-code, pre");
    const move = scene.moves[Number(/^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1]) - 1];
    const act = move ? () => (event.shiftKey ? mark(move) : pick(move))
      : shortcuts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || scrolls) return;
    event.preventDefault();
    act();
  }

  root.addEventListener("keydown", onKey);
  const sizes = new ResizeObserver(resize);
  sizes.observe(main);
  show(first);

  return {
    element: root,
    show,
    showFound,
    destroy() {
      clearTimeout(patience);
      stage?.destroy();
      sizes.disconnect();
      root.remove();
    },
  };
}

function makeKeys() {
  const rows = SHORTCUTS.flatMap(([key, text]) => [make("dt", "", {}, make("kbd", "", {}, key)), make("dd", "", {}, text)]);
  return make("details", "dl-game-keys", {}, make("summary", "", {}, "Rules and keys"),
    make("p", "", {}, "asyncio runs what is ready first in, first out, and you cannot change that. What differs from day to day is how long a wait takes. So you say which of the pending waits completes next: those due before it are held back until just after. Only time limits keep their time."),
    make("dl", "", {}, ...rows));
}

/** How anywidget draws one view of the model. @param {{model: any, el: HTMLElement}} context */
function render({ model, el }) {
  const set = (/** @type {string} */ name, /** @type {any} */ value) => {
    model.set(name, value);
    model.save_changes();
  };
  const game = makeGame(model.get("name"), model.get("scene"),
    { pick: (picks) => set("picks", picks), search: () => set("searching", true) });
  const show = () => game.show(model.get("scene"));
  const showFound = () => game.showFound(model.get("found"), model.get("searching"));
  showFound();
  el.append(game.element);
  model.on("change:scene", show);
  model.on("change:found", showFound);
  model.on("change:searching", showFound);
  return () => {
    model.off("change:scene", show);
    model.off("change:found", showFound);
    model.off("change:searching", showFound);
    game.destroy();
  };
}

export default { render };
