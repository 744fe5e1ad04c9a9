// The runs as their server sends them. Every text is set as text, never as markup.
(() => {
"use strict";
const cards = new Map(), rows = new Map(); // name of a run -> its elements
const byId = id => document.getElementById(id);
const make = (tag, text = "", attributes = {}) => {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};
const percent = (share, digits = 0) => (100 * share).toFixed(digits) + "\u00a0%";
const milliseconds = ms => Number(ms.toPrecision(3)) + "\u00a0ms";
const STATES = {
  "pass": ["passed", "yes"], "looked up": ["looked up", "yes"], "fail": ["failed", "no"], "damaged": ["cannot be read", "no"],
  "not verified": ["not verified", "warn"], "stopped": ["not finished", "warn"], "several boards": ["several boards", ""],
};

function duration(seconds) {
  if (seconds < 115) return Math.max(5, 5 * Math.round(seconds / 5)) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return (seconds / 3600).toFixed(1) + " h";
}

function link(run) {
  return run.split("/").map(encodeURIComponent).join("/") + "/report.html";
}

function set(element, text) { if (element.textContent !== text) element.textContent = text; }

// A run at work ---------------------------------------------------------------------------------
function card(run) {
  const made = make("article", "", {class: "card"});
  const parts = {box: made, title: make("h3"), of: make("p", "", {class: "small"}), step: make("p", "", {class: "step"}),
    bar: make("progress", "", {max: "1", "aria-label": "Share of the step that is done"}), facts: make("dl", "", {class: "facts"}), values: new Map()};
  made.append(parts.title, parts.of, parts.step, parts.bar, parts.facts);
  return parts;
}

function fact(parts, name, value) {
  if (!parts.values.has(name)) {
    const box = make("div"), shown = make("dd", "", {class: "value"});
    box.append(make("dt", name), shown);
    parts.facts.append(box);
    parts.values.set(name, shown);
  }
  const shown = parts.values.get(name);
  shown.classList.toggle("unmeasured", value === null);
  set(shown, value === null ? "not known yet" : value);
}

function showCard(parts, run) {
  const doing = run.doing, best = run.best, timing = run.measuring;
  set(parts.title, run.name);
  set(parts.of, [run.target && "on " + run.target, run.data, run.space, run.limits].filter(Boolean).join(" · "));
  set(parts.step, doing.step + (doing.note ? " (" + doing.note + ")" : "") + ", " + percent(doing.done));
  parts.bar.value = doing.done;
  if (doing.share !== null) fact(parts, "Of the search", percent(doing.share));
  fact(parts, doing.share !== null ? "Time left" : "Time left of this step", doing.seconds_left === null ? null : "about " + duration(doing.seconds_left));
  fact(parts, "Best so far", best === null ? null : percent(best.score, 1) + " " + best.score_name + " in " + milliseconds(best.latency_ms));
  if (timing !== null) {
    if (timing.temperature_celsius !== null) fact(parts, "Temperature", timing.temperature_celsius.toFixed(0) + " °C");
    fact(parts, "Timings rejected", timing.timed ? percent(timing.rejected / timing.timed) + " of " + timing.timed.toLocaleString("en") : null);
  }
}

// A run that nobody works on ----------------------------------------------------------------------
function row(run) {
  const made = make("tr");
  const parts = {box: made, tick: make("input", "", {type: "checkbox", name: "run", value: run.name}), cells: {}};
  parts.tick.addEventListener("change", countTicked);
  parts.tick.setAttribute("aria-label", "Compare " + run.name);
  const first = make("td");
  first.append(parts.tick);
  made.append(first);
  for (const name of ["run", "state", "asked", "score", "latency", "changed"]) {
    parts.cells[name] = make("td", "", name === "score" || name === "latency" ? {class: "n"} : name === "state" ? {} : {class: name});
    made.append(parts.cells[name]);
  }
  return parts;
}

function showRow(parts, run) {
  const {cells, tick} = parts, best = run.best, [word, look] = STATES[run.state];
  tick.hidden = !run.is_finished;
  if (!run.is_finished) tick.checked = false;
  if (run.has_report) {
    const there = cells.run.querySelector("a") || make("a", run.name, {href: link(run.name)});
    if (!there.parentNode) cells.run.replaceChildren(there);
  } else set(cells.run, run.name);
  const state = make("span", word, {class: look});
  cells.state.replaceChildren(state);
  for (const text of run.says) cells.state.append(make("div", text, {class: "small"}));
  set(cells.asked, [run.target && "on " + run.target, run.data, run.limits].filter(Boolean).join(" · "));
  cells.score.title = best ? best.network : "";
  set(cells.score, best && best.score !== null ? percent(best.score, 1) + " " + best.score_name : "");
  set(cells.latency, best && best.latency_ms !== null ? milliseconds(best.latency_ms) : "");
  set(cells.changed, new Date(1000 * run.changed_s).toLocaleString("en-GB", {dateStyle: "medium", timeStyle: "short"}));
}

function countTicked() {
  const n = document.querySelectorAll("#rows input:checked").length;
  byId("compare").disabled = n < 2;
  set(byId("ticked"), n < 2 ? "Tick two runs or more that are verified." : n + " runs; it takes some seconds.");
}

function showAll(known, runs, into, build, show) {
  const names = new Set(runs.map(run => run.name));
  for (const [name, parts] of known) if (!names.has(name)) { parts.box.remove(); known.delete(name); }
  runs.forEach((run, place) => {
    if (!known.has(run.name)) known.set(run.name, build(run));
    const parts = known.get(run.name);
    show(parts, run);
    if (into.children[place] !== parts.box) into.insertBefore(parts.box, into.children[place] || null);
  });
}

function show(folder) {
  const working = folder.runs.filter(run => run.state === "at work"), others = folder.runs.filter(run => run.state !== "at work");
  const passed = others.filter(run => run.state === "pass").length;
  set(byId("headline"), !folder.runs.length ? "There is no run in this folder yet" : `${working.length} at work, ${passed} passed, ${others.length - passed} other`);
  byId("at-work").hidden = !working.length;
  byId("others").hidden = !others.length;
  showAll(cards, working, byId("cards"), card, showCard);
  showAll(rows, others, byId("rows"), row, showRow);
  countTicked();
  set(byId("unshown"), folder.unshown ? `${folder.unshown} older runs are not shown.` : "");
  document.documentElement.dataset.shown = "yes";
}

const source = new EventSource("events");
source.onopen = () => set(byId("connection"), "");
source.onmessage = event => show(JSON.parse(event.data));
source.onerror = () => set(byId("connection"), "The dashboard does not answer: it was ended, or is busy. This page goes on by itself when it answers again.");
})();
