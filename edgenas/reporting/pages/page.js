// What moves on a page: plots that tell, brush and follow the budget; tables and rows that are sorted.
// Without it the page shows the same plots as pictures. Every text is set as text, never as markup.
const LEAST_WIDTH = 374, NARROW = 520; // pixels
const FONT = 'Arial, "Liberation Sans", Helvetica, sans-serif';
const views = new Map(); // name of a plot -> its Vega view
const plots = [...document.querySelectorAll(".plot")].filter(box => box.querySelector(".plot-specification"));
const read = name => {
  const found = document.querySelector("script." + name);
  return found ? JSON.parse(found.textContent) : null;
};
const make = (tag, text = "", attributes = {}) => {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

// Records by columns, networks by the numbers of their names: see plots.py and columns.py
const names = read("names") || [];
const datasets = new Map(); // "plot/dataset" -> its records
const DIGITS = Array.from({length: 94}, (_, i) => String.fromCharCode(33 + i)).filter(one => !"\"\\<>&'".includes(one)).join("");
function unpacked(column, length) {
  if (Array.isArray(column)) return column;
  const at = i => column.at ? DIGITS.indexOf(column.at[i]) : 0;
  if (column.values) return Array.from({length}, (_, i) => column.values[at(i)]);
  if (!column.patterns) return Array(length).fill(column.all);
  const numbers = column.numbers.split(" ");
  let next = 0;
  return Array.from({length}, (_, i) => column.patterns[at(i)].replace(/\0/g, () => numbers[next++]));
}
function unpack(packed) {
  if (packed.same) return datasets.get(packed.same);
  const columns = Object.entries(packed.columns).map(([key, of]) => [key, unpacked(of, packed.length)]);
  return Array.from({length: packed.length}, (_, i) => {
    const one = {};
    for (const [key, of] of columns) if (of[i] !== null) one[key] = key === "net" ? names[of[i]] : of[i];
    if (one.net !== undefined && one.tip && one.tip[0] === "\n") one.tip = one.net + one.tip;
    return one;
  });
}
function specificationOf(box) {
  const source = box.querySelector(".plot-specification"), spec = JSON.parse(source.textContent);
  for (const name of Object.keys(spec.datasets || {})) {
    const key = source.dataset.name + "/" + name;
    if (!datasets.has(key)) datasets.set(key, unpack(spec.datasets[name]));
    spec.datasets[name] = datasets.get(key).map(one => ({...one})); // Vega and what changes a plot write to them
  }
  return spec;
}

// Plots ---------------------------------------------------------------------------------------
async function draw(box, change = spec => spec) {
  const source = box.querySelector(".plot-specification");
  const name = source.dataset.name || String(plots.indexOf(box));
  const spec = change(specificationOf(box));
  spec.width = Math.max(LEAST_WIDTH, Math.floor(box.clientWidth));
  spec.autosize = {type: "fit-x", contains: "padding"};
  spec.config.font = FONT; // of report.css, so that texts are as wide as they were measured
  if (spec.width < NARROW) spec.config.legend.columns = 2;
  const target = make("div", "", {class: "drawn"});
  target.style.minHeight = box.offsetHeight + "px";
  const drawn = await vegaEmbed(target, spec, {
    mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false, logLevel: 1,
    tooltip: (_, event, item, text) => tell(text || "", event), loader: {load: () => Promise.reject(new Error("no network"))},
  });
  target.style.minHeight = "";
  for (const old of box.querySelectorAll(":scope > svg, :scope > .picture, :scope > .drawn")) old.remove();
  box.prepend(target);
  views.get(name)?.finalize();
  views.set(name, drawn.view);
  await drawn.view.width(spec.width).runAsync();
  for (const brush of target.querySelectorAll('[class*="brush_"]')) { // a rectangle, of no meaning when read out
    brush.removeAttribute("role");
    brush.setAttribute("aria-hidden", "true");
  }
  if (drawn.view.signal && "brush" in drawn.view.getState().signals) linkBrush(drawn.view, spec);
  if (budgets && name in budgets.plots) {
    drawn.view.addEventListener("click", (_, item) => { if (!shownAxes.x) clicked(item && item.datum, budgets.plots[name]); });
  }
  return drawn.view;
}

function layersOf(spec) { return spec.layer || [spec]; }

function recordsOf(spec) {
  const named = Object.values(spec.datasets || {}).flat();
  return layersOf(spec).flatMap(layer => (layer.data && layer.data.values) || []).concat(named);
}

function linkBrush(view, spec) {
  const hint = "Drag a rectangle in the plot to pick its networks in every other plot. Arrow keys go from network to network.";
  const said = document.getElementById("brushed");
  if (said && !said.textContent) said.textContent = hint;
  const records = recordsOf(spec).filter(one => one.net !== undefined && one.x !== undefined);
  let waiting = false, latest = null;
  const pick = () => {
    const brush = latest, any = brush.x || brush.y;
    const inside = one => ["x", "y"].every(
      axis => !brush[axis] || (one[axis] >= Math.min(...brush[axis]) && one[axis] <= Math.max(...brush[axis])));
    const picked = Object.fromEntries((any ? records.filter(inside) : []).map(one => [one.net, true]));
    waiting = false;
    if (said) said.textContent = any ? `${Object.keys(picked).length} networks are picked in every plot.` : hint;
    for (const other of views.values()) {
      try { other.signal("picked", any ? picked : false).runAsync(); } catch (_) { /* a plot without networks */ }
    }
  };
  view.addSignalListener("brush", (_, brush) => {
    latest = brush;
    if (!waiting) { waiting = true; requestAnimationFrame(pick); } // however often the pointer moves
  });
}

// Axes: a plot drawn again with another metric or kind of axis, or coloured by a choice -------------
const facts = read("network-facts");
for (const kind of facts ? [facts.metrics, facts.choices] : []) {
  for (const [label, column] of Object.entries(kind)) kind[label] = unpacked(column, facts.networks.length);
}
const factRow = new Map((facts ? facts.networks : []).map((number, row) => [names[number], row]));
const shownAxes = {x: "", y: "", colour: ""}; // of the trade-off, by label; "" as it was drawn first

function factOf(label, network) {
  const column = facts.metrics[label] || facts.choices[label], row = factRow.get(network);
  return column && row !== undefined ? column[row] : null;
}

// The marks alone, at other metrics: lines, bands and limits belong to the axes that the plot had first.
function withMetrics(spec) {
  const moved = ["x", "y"].filter(axis => shownAxes[axis]);
  if (moved.length) spec.layer = spec.layer.filter(one => one.data && one.data.name === "marks" && one.mark.type === "point");
  for (const axis of moved) {
    const label = shownAxes[axis];
    spec.datasets.marks = spec.datasets.marks.map(one => ({...one, [axis]: factOf(label, one.net)})).filter(one => one[axis] !== null);
    for (const one of spec.datasets.marks) { delete one[axis + "_upper"]; delete one[axis + "_lower"]; }
    const values = spec.datasets.marks.map(one => one[axis]), low = Math.min(...values), high = Math.max(...values);
    const more = 0.06 * (high - low) || 1;
    for (const layer of spec.layer) Object.assign(layer.encoding[axis], {title: label, scale: {...layer.encoding[axis].scale, domain: [low > 0 ? Math.max(low - more, low / 2) : low - more, high + more], type: "linear"}});
  }
  if (shownAxes.colour) {
    for (const one of spec.datasets.marks) one.shade = factOf(shownAxes.colour, one.net);
    for (const layer of spec.layer.filter(one => one.mark.type === "point" && one.data && one.data.name === "marks")) {
      layer.encoding.fill = {field: "shade", type: "quantitative", scale: {scheme: "viridis", zero: false}, legend: {title: shownAxes.colour, titleLimit: 260, titleFontWeight: "normal", titleColor: "#1c2733", orient: "bottom", direction: "horizontal", offset: 10, gradientLength: 140, gradientThickness: 9}};
      layer.encoding.stroke = {value: "#5b6875"};
    }
  }
  return spec;
}

function choose(controls, text, options, value, changed) {
  const label = make("label", text + " "), select = make("select", "", {"aria-label": text});
  for (const [of, name] of options) select.append(make("option", name, {value: of}));
  select.value = value;
  select.addEventListener("change", () => changed(select.value));
  label.append(select);
  controls.append(label);
  return select;
}

function axisControl(box, hasMetrics) {
  const spec = specificationOf(box), kinds = {}, controls = make("div", "", {class: "controls"});
  const encoded = axis => layersOf(spec).map(one => one.encoding && one.encoding[axis]).find(one => one && one.scale && one.scale.domain);
  const again = async () => {
    await draw(box, changed => {
      if (hasMetrics) withMetrics(changed);
      for (const layer of layersOf(changed)) for (const [axis, kind] of Object.entries(kinds)) {
        const channel = layer.encoding && layer.encoding[axis];
        if (!channel || !channel.scale || (kind === "log" && channel.scale.domain[0] <= 0)) continue;
        channel.scale.type = kind;
        if (kind === "log") delete channel.scale.zero;
      }
      return changed;
    });
    showBudget();
  };
  const metrics = hasMetrics ? Object.keys(facts.metrics) : [];
  for (const [axis, text] of [["x", "Across"], ["y", "Up"]]) {
    const channel = encoded(axis);
    if (!channel) continue;
    const others = metrics.filter(one => one !== channel.title);
    if (others.length) choose(controls, text, [["", channel.title], ...others.map(one => [one, one])], "", label => { shownAxes[axis] = label; again(); });
    if (channel.scale.domain[0] > 0) {
      const select = choose(controls, others.length ? "" : text, [["linear", "linear"], ["log", "logarithmic"]], channel.scale.type || "linear", kind => { kinds[axis] = kind; again(); });
      select.setAttribute("aria-label", text + ": kind of axis");
    }
  }
  const shades = hasMetrics ? [...Object.keys(facts.choices), ...metrics] : [];
  if (shades.length) choose(controls, "Colour", [["", "what it is"], ...shades.map(one => [one, one])], "", label => { shownAxes.colour = label; again(); });
  if (controls.childElementCount) box.before(controls);
}

// Effects: rows in another order --------------------------------------------------------------
const ORDERS = {
  "largest first": (a, b) => Math.abs(b.x) - Math.abs(a.x),
  "dearest first": (a, b) => b.x - a.x,
  "cheapest first": (a, b) => a.x - b.x,
  "by name": (a, b) => a.text.localeCompare(b.text, "en", {numeric: true}),
};
let sought = ""; // what the names of shown effects have in them
const effectPlots = []; // what draws each plot of effects again
function orderControl(box) {
  const controls = make("div", "", {class: "controls"});
  const label = make("label", "Order ");
  const select = make("select");
  for (const order of Object.keys(ORDERS)) select.append(make("option", order));
  const again = () => draw(box, spec => withEffects(spec, ORDERS[select.value]));
  select.addEventListener("change", again);
  effectPlots.push(again);
  label.append(select);
  controls.append(label);
  box.before(controls);
}

// The rows whose names have what is sought, from the top down in an order.
function withEffects(spec, order) {
  const rows = new Map();
  for (const one of recordsOf(spec)) if (one.y !== undefined) rows.set(one.y, {...rows.get(one.y), ...one});
  const named = [...rows.values()].filter(one => one.text !== undefined && one.x !== undefined);
  const places = named.map(one => one.y).sort((a, b) => a - b);
  const shown = named.filter(one => isSought(one.text)).sort(order);
  const to = new Map(shown.map((one, i) => [one.y, places[i]]));
  const moved = records => records.filter(one => one.y === undefined || to.has(one.y)).map(one => one.y === undefined ? one : {...one, y: to.get(one.y)});
  for (const [name, records] of Object.entries(spec.datasets || {})) spec.datasets[name] = moved(records);
  for (const layer of layersOf(spec)) if (layer.data && layer.data.values) layer.data.values = moved(layer.data.values);
  return spec;
}

function isSought(text) { return text.toLowerCase().includes(sought); }

function filterControl(section) {
  const controls = make("div", "", {class: "controls"}), label = make("label", "Only changes with ");
  const input = make("input", "", {type: "search", placeholder: "stage 2", size: "14"}), said = make("span", "", {class: "small", "aria-live": "polite"});
  let waiting = 0;
  const filter = () => {
    sought = input.value.trim().toLowerCase();
    const rows = [...section.querySelectorAll("details tbody tr")];
    for (const row of rows) row.hidden = !isSought(row.cells[0].textContent);
    said.textContent = sought ? ` ${rows.filter(row => !row.hidden).length} of ${rows.length}` : "";
    for (const again of effectPlots) again();
  };
  input.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 150); });
  label.append(input);
  controls.append(label, said);
  section.querySelector(".pair").before(controls);
}

// Tables ----------------------------------------------------------------------------------------
function sortable(table) {
  const heads = [...table.querySelectorAll("thead th")], body = table.tBodies[0];
  if (!body || body.rows.length < 3 || table.classList.contains("across")) return;
  const value = (row, i) => row.cells[i] ? row.cells[i].textContent.trim() : "";
  const number = text => { const n = parseFloat(text.replace(/[,\s]/g, "").replace("\u2212", "-")); return Number.isFinite(n) ? n : null; };
  heads.forEach((head, i) => {
    const button = make("button", head.textContent, {type: "button", class: "sort"});
    let rising = false;
    button.addEventListener("click", () => {
      rising = !rising;
      for (const one of heads) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const compare = (a, b) => {
        const [x, y] = [value(a, i), value(b, i)], [m, n] = [number(x), number(y)];
        const by = head.classList.contains("n") ? (m === null) - (n === null) || m - n : x.localeCompare(y, "en", {numeric: true});
        return rising ? by : -by;
      };
      body.append(...[...body.rows].sort(compare));
    });
    head.replaceChildren(button);
  });
}

// Paper: everything that is folded is shown
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => { for (const one of folded) one.open = false; });
