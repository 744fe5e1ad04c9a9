// What a mark tells: beside the pointer, or beside the mark that the arrow keys went to -----------
const told = make("div", "", {id: "told", role: "status"});
document.body.append(told);

function tell(text, at) {
  told.classList.toggle("visible", Boolean(text));
  told.textContent = String(text);
  if (!text) return;
  const picture = pictureOf(String(text).split("\n"));
  if (picture) told.prepend(picture);
  told.style.left = "0"; // as wide as the window lets it be
  const room = told.getBoundingClientRect(), beyond = at.clientY + 14 + room.height > innerHeight;
  told.style.left = Math.max(4, Math.min(at.clientX + 14, innerWidth - room.width - 8)) + "px";
  told.style.top = Math.max(4, beyond ? at.clientY - 14 - room.height : at.clientY + 14) + "px";
}

// A network by its name: a bar a block, as wide as its kernel, as high as it expands.
const NETWORK = /^\d+px: /;
function blocksOf(name) {
  const number = (block, of) => { const found = of.exec(block); return found ? Number(found[1]) : null; };
  return name.replace(NETWORK, "").split(" | ").map(stage => stage.split(" ").map(
    block => ({kernel: number(block, /k(\d+)/) || 3, expand: number(block, /[ew](\d+)/) || 1})));
}
const mostExpanded = Math.max(1, ...names.filter(one => NETWORK.test(one)).flatMap(one => blocksOf(one).flat().map(block => block.expand)));
function pictureOf(lines) {
  const name = lines.find(one => NETWORK.test(one));
  if (!name) return null;
  const draw = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [of, value] of Object.entries(attributes)) made.setAttribute(of, value);
    return made;
  };
  const HEIGHT = 34, picture = draw("svg", {class: "blocks", "aria-hidden": "true"});
  let at = 0;
  for (const stage of blocksOf(name)) {
    for (const {kernel, expand} of stage) {
      const width = 2.5 * kernel, height = 4 + (HEIGHT - 4) * Math.min(1, expand / mostExpanded);
      picture.append(draw("rect", {x: at, y: (HEIGHT - height) / 2, width, height, rx: 1}));
      at += width + 2;
    }
    at += 7;
  }
  for (const [of, value] of [["width", at - 9], ["height", HEIGHT]]) picture.setAttribute(of, value);
  return picture;
}

function walk(box, event) {
  const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  if (event.key === "Escape") leave(box);
  if (event.target !== box || !step) return;
  event.preventDefault();
  const marks = [...box.querySelectorAll('.role-mark [role="graphics-symbol"][aria-label]')];
  const centre = one => { const room = one.getBoundingClientRect(); return {clientX: room.x + room.width / 2, clientY: room.y + room.height / 2}; };
  const places = new Map(marks.map(one => [one, centre(one)]));
  marks.sort((a, b) => places.get(a).clientX - places.get(b).clientX || places.get(a).clientY - places.get(b).clientY);
  const before = marks.findIndex(one => one === box.reached);
  box.reached?.classList.remove("reached");
  box.reached = marks[before < 0 ? (step > 0 ? 0 : marks.length - 1) : Math.min(Math.max(before + step, 0), marks.length - 1)];
  if (!box.reached) return;
  box.reached.classList.add("reached");
  box.reached.scrollIntoView({block: "nearest", inline: "nearest"});
  tell(box.reached.getAttribute("aria-label"), centre(box.reached));
}
function leave(box) {
  box.reached?.classList.remove("reached");
  tell("");
}
for (const box of plots) {
  box.setAttribute("aria-keyshortcuts", "ArrowRight ArrowLeft");
  box.addEventListener("keydown", event => walk(box, event));
  box.addEventListener("blur", () => leave(box));
}
