// Filling the sentences that Python wrote; see views/narration.py.

import { eventAt, timeAt } from "./state.js";

/** Write virtual nanoseconds as seconds, as Python does. @param {number} time @returns {string} */
export function when(time) {
  if (time >= 2 ** 61) return "never";
  if (time >= 1e6 && time % 1000) return `just over ${when(time - (time % 1000))}`;
  const part = String(time % 1e9).padStart(9, "0").replace(/0+$/, "");
  return `${Math.floor(time / 1e9)}${part ? `.${part}` : ""} s`;
}

/** @param {string} name */
export function code(name) {
  return `\`${name.replaceAll("`", "'")}\``;
}

/**
 * The sentence of an event, names in backticks; -1 for before the first one.
 * @param {import("./state.js").Payload} payload
 * @param {number} index
 */
export function sentence(payload, index) {
  if (index < 0) return payload.start;
  const template = payload.sentences[payload.events.say[index]][1];
  const closing = payload.closings.find(([at]) => at === index)?.[1];
  const fields = { ...payload.ending, ...fieldsOf(payload, index), ...closing };
  return template.replace(/\{(\w+)\}/g, (_, field) => fields[field] ?? "something");
}

/** @param {import("./state.js").Payload} payload @param {number} index @returns {Record<string, string>} */
function fieldsOf(payload, index) {
  const { kind, task, by, place, detail } = eventAt(payload, index);
  /** @type {Record<string, string>} */
  const fields = { time: when(timeAt(payload, index)) };
  if (task >= 0) fields.task = code(payload.tasks[task][0]);
  if (by >= 0) fields.by = code(payload.tasks[by][0]);
  if (place >= 0) fields.place = placeText(payload, place);
  if (kind === "WAITS") fields.wait = payload.waits[detail][3];
  else if (kind === "LINE" && detail >= 0) fields.changes = changesText(payload.locals[detail][1]);
  else if (kind.startsWith("TIMER_")) {
    fields.purpose = payload.timers[detail][0];
    fields.due = when(payload.timers[detail][1]);
    fields.late = when(payload.timers[detail][3] ?? 0);
  } else if (kind === "ACQUIRED" || kind === "RELEASED") {
    fields.resource = code(payload.resources[detail][2]);
  } else if (kind === "FAILED" || kind === "FREED") fields.error = payload.errors[detail].replace(/[.: ]+$/, "");
  else if (kind === "COMPLAINT") {
    const [message, error] = payload.complaints[detail];
    fields.message = error ? `${message} (${error})` : message;
  }
  return fields;
}

const NAMED = 4; // variables; of more, three, and the rest is counted

/** @param {[string, string | null][]} changes */
function changesText(changes) {
  const values = changes.filter(([, value]) => value !== null).map(([name, value]) => code(`${name} = ${value}`));
  const gone = changes.filter(([, value]) => value === null).map(([name]) => code(name));
  const parts = [values.length ? `with ${together(values)}` : "", gone.length ? `without ${together(gone)}` : ""];
  return parts.filter((part) => part).join(", ");
}

/** @param {string[]} names */
function together(names) {
  const few = names.length <= NAMED ? names : [...names.slice(0, NAMED - 1), `${names.length - NAMED + 1} more`];
  return few.length === 1 ? few[0] : `${few.slice(0, -1).join(", ")} and ${few[few.length - 1]}`;
}

/** @param {import("./state.js").Payload} payload @param {number} place */
export function placeText(payload, place) {
  const [file, line, name] = payload.places[place];
  const where = `${payload.files[file][0]} line ${line}`;
  return name === "<module>" ? where : `${where}, in ${name}`;
}

