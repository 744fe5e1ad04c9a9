// Vega is in the page, deflated. The policy lets it run by its hash, whoever puts it there.
async function unpackVega() {
  const packed = Uint8Array.from(atob(document.getElementById("vega").textContent), one => one.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  document.head.append(make("script", await new Response(unpacked).text()));
}

async function start() {
  await unpackVega();
  for (const box of plots) {
    const name = box.querySelector(".plot-specification").dataset.name || "";
    try { await draw(box); } catch (problem) { console.error(problem); continue; }
    if (name === "tradeoff" || name === "frontiers") axisControl(box, name === "tradeoff" && facts !== null);
    if (name.endsWith("-effects") && !name.startsWith("compared")) orderControl(box);
  }
  if (effectPlots.length) filterControl(document.getElementById("choices"));
  startNetwork();
  startBudget();
  for (const table of document.querySelectorAll("table")) sortable(table);
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const box of plots) {
        const view = views.get(box.querySelector(".plot-specification").dataset.name);
        if (view) view.width(Math.max(LEAST_WIDTH, Math.floor(box.clientWidth))).runAsync();
      }
    }, 150);
  });
  document.documentElement.dataset.drawn = "yes";
}
start();
