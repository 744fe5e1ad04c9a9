// The budget ------------------------------------------------------------------------------------
// A limit is what its text says, in the unit of the page: `edgenas pick` reads the same number.
const budgets = read("budgets");
const drawnNetworks = read("networks");
const startText = !budgets ? "" : budgets.limit === null ? shortest(budgets.most) : String(budgets.limit).length > 8 ? shortest(budgets.limit) : String(budgets.limit);
let limitText = startText;

function shortest(value) { return String(Number(value.toPrecision(4))); }

function choiceAt(run, limit) {
  let found = null;
  for (const one of run.choices) if (one.from <= limit) found = one;
  return found;
}

function showAnswer(box, run, one, limit) {
  const out = box.querySelector("dl");
  const add = (name, value) => { out.append(make("dt", name), make("dd", value)); };
  out.replaceChildren();
  const name = box.querySelector(".net"), picture = one && pictureOf([one.network]);
  name.textContent = one ? one.network : "No network of the frontier is within this limit.";
  if (picture) name.prepend(picture);
  if (one) {
    const value = one.measured;
    for (const [name, text] of one.shown) add(name, text);
    const within = run.how !== "measured" ? ", within this limit" : one.passed ? ", verified within this limit" : ", not verified";
    add(`${budgets.label}, ${run.how}`, value === null ? "not " + run.how : one.measured_text + (value > limit ? ", over this limit" : within));
    add("Against the winner", one.changes.length ? one.changes.join("; ") : one.network === run.winner ? "it is the winner" : "—");
    add("Why this one", one.reasons.filter(([from]) => from <= limit).pop()[1]);
  }
  box.querySelector("code").textContent = run.command.join(limitText);
}

function showBudget() {
  if (!budgets) return;
  const limit = Number(limitText) * budgets.factor; // in the response's own unit
  const chosen = budgets.runs.map(run => choiceAt(run, limit));
  document.querySelectorAll(".budget-answer").forEach((box, i) => showAnswer(box, budgets.runs[i], chosen[i], limit));
  for (const [name, scale] of Object.entries(budgets.plots)) {
    const view = views.get(name);
    if (!view || (name === "tradeoff" && (shownAxes.x || shownAxes.y))) continue;
    view.data("budget", [{x: limit * scale, text: `budget ${limitText} ${budgets.unit}`.trim()}]);
    view.data("chosen", chosen.filter(one => one && one.at[name]).map(one => one.at[name]));
    view.runAsync();
  }
  if (budgets.runs.length === 1 && chosen[0]) showNetwork(chosen[0].network);
}

function setBudget(text, from) {
  const value = Number(text);
  if (!text || !Number.isFinite(value) || value <= 0) return;
  const range = document.getElementById("budget"), field = document.getElementById("budget-limit");
  limitText = String(value);
  if (from !== range) range.value = String(Math.round(1000 * placeOf(value)));
  if (from !== field) field.value = limitText;
  range.setAttribute("aria-valuetext", `${limitText} ${budgets.unit}`.trim());
  showBudget();
}

// The slider goes by factors where runs are far apart, so that each has its part of it.
const byFactors = budgets !== null && budgets.least > 0 && budgets.most > 10 * budgets.least;
function placeOf(value) {
  const {least, most} = budgets;
  return byFactors ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least);
}
function limitAt(place) {
  const {least, most} = budgets;
  return byFactors ? least * (most / least) ** place : least + (most - least) * place;
}

function clicked(datum, scale) {
  if (!datum || !datum.tip || !Number.isFinite(datum.x)) return;
  const runs = budgets.runs.filter(run => run.name === datum.series), among = runs.length ? runs : budgets.runs;
  const choice = among.flatMap(run => run.choices).find(one => one.network === datum.net);
  const limit = (choice ? choice.from : Math.max(datum.x_upper || datum.x, datum.x) / scale) / budgets.factor;
  const rounded = Number(limit.toPrecision(4)), digit = 10 ** (Math.floor(Math.log10(limit)) - 3);
  setBudget(shortest(rounded < limit ? rounded + digit : rounded));
}

function startBudget() {
  const box = document.getElementById("budget-box");
  if (!box || !budgets) return;
  const range = document.getElementById("budget"), field = document.getElementById("budget-limit");
  box.hidden = false;
  range.addEventListener("input", () => setBudget(shortest(limitAt(Number(range.value) / 1000)), range));
  field.addEventListener("input", () => setBudget(field.value, field));
  for (const answer of box.querySelectorAll(".budget-answer")) {
    answer.querySelector("button").addEventListener("click", () => {
      const code = answer.querySelector("code");
      getSelection().selectAllChildren(code);
      if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).catch(() => {});
    });
  }
  setBudget(startText);
}

// The network -----------------------------------------------------------------------------------
function showNetwork(name) {
  const select = document.getElementById("network-which");
  if (!select || !drawnNetworks || !drawnNetworks[name]) return;
  select.value = name;
  select.dispatchEvent(new Event("change"));
}

function startNetwork() {
  const which = document.getElementById("network-which"), how = document.getElementById("network-measure");
  if (!which || !drawnNetworks) return;
  document.getElementById("network-controls").hidden = false;
  for (const [name, one] of Object.entries(drawnNetworks)) which.append(make("option", one.title, {value: name}));
  const show = () => {
    const known = Object.keys(drawnNetworks[which.value].records);
    const before = how.value;
    how.replaceChildren(...known.map(one => make("option", one)));
    how.value = known.includes(before) ? before : known[0];
    document.getElementById("network-name").textContent = which.value;
    const view = views.get("network");
    if (view) view.data("blocks", drawnNetworks[which.value].records[how.value]).runAsync();
  };
  which.addEventListener("change", show);
  how.addEventListener("change", show);
  show();
}
