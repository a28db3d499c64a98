// Pointer, wheel and keys; what a line under the pointer is; window and paper.

const pointers = new Map();
let travelled = 0, spread = 0;
const local = (event) => {
  const corner = map.getBoundingClientRect();
  return [event.clientX - corner.left, event.clientY - corner.top];
};
map.addEventListener("wheel", (event) => {
  event.preventDefault();
  const unit = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 400 : 1;
  const strength = event.ctrlKey ? 0.01 : 0.0016;
  zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * unit)) * strength), ...local(event));
}, { passive: false });
map.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  if (!pointers.size) travelled = 0;
  pointers.set(event.pointerId, local(event));
  spread = distanceOfTwo();
});
addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId)) return;
  const [x, y] = local(event), [oldX, oldY] = pointers.get(event.pointerId);
  pointers.set(event.pointerId, [x, y]);
  travelled += Math.abs(x - oldX) + Math.abs(y - oldY);
  if (travelled < 5) return;
  map.classList.add("dragging");
  pan((oldX - x) / pointers.size, (oldY - y) / pointers.size);
  const now = distanceOfTwo();
  if (now && spread) zoom(now / spread, ...middle());
  spread = now;
});
const lift = (event) => {
  pointers.delete(event.pointerId);
  spread = distanceOfTwo();
  if (!pointers.size) map.classList.remove("dragging");
};
addEventListener("pointerup", lift);
addEventListener("pointercancel", lift);
function distanceOfTwo() {
  if (pointers.size !== 2) return 0;
  const [[x1, y1], [x2, y2]] = [...pointers.values()];
  return Math.hypot(x1 - x2, y1 - y2);
}
function middle() {
  const [[x1, y1], [x2, y2]] = [...pointers.values()];
  return [(x1 + x2) / 2, (y1 + y2) / 2];
}
map.addEventListener("dragstart", (event) => event.preventDefault());
map.addEventListener("dblclick", (event) => zoom(1.8, ...local(event)));
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-table]");
  const isDrag = travelled >= 5 && map.contains(event.target) && event.detail > 0;
  if (link && isDrag) return event.preventDefault();
  if (link && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
    event.preventDefault();
    const number = Number(link.dataset.table);
    if (!map.contains(link)) wanted = number;
    go({ table: number });
  } else if (map.contains(event.target) && !isDrag && !link && chosen !== null) {
    go({ table: null });
  }
});

function roving(number) {
  boxes.forEach((box, other) => box.setAttribute("tabindex", other === number ? "0" : "-1"));
}
/** Focus on the nearest box in a direction. */
function step(from, x, y) {
  let best = null, least = Infinity;
  placed.forEach((place, number) => {
    if (number === from || (map.classList.contains("alone") && !boxes[number].classList.contains("near"))) return;
    const dx = place.x - placed[from].x, dy = place.y + place.height / 2 - placed[from].y - placed[from].height / 2;
    const along = dx * x + dy * y, across = Math.abs(dx * y) + Math.abs(dy * x);
    if (along > 1 && along + 2 * across < least) { best = number; least = along + 2 * across; }
  });
  if (best === null) return;
  roving(best);
  boxes[best].focus({ preventScroll: true });
  if (!isVisible(placed[best])) reveal(best);
}
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
map.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  if (!arrow) return;
  event.preventDefault();
  const box = event.target.closest(".box");
  if (box) step(Number(box.dataset.table), ...arrow);
  else pan(arrow[0] * 90, arrow[1] * 90);
});
map.addEventListener("focusin", (event) => {
  const box = event.target.closest(".box");
  if (box && box.matches(":focus-visible") && !isVisible(placed[box.dataset.table])) reveal(Number(box.dataset.table));
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=search]")) return;
  const action = {
    "/": () => { search.focus(); search.select(); },
    "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": whole,
    Escape: () => chosen !== null && go({ table: null }),
  }[event.key];
  if (action) { event.preventDefault(); action(); }
});
byId("closer").addEventListener("click", () => zoom(1.4));
byId("farther").addEventListener("click", () => zoom(1 / 1.4));
byId("fit").addEventListener("click", whole);

// --- what a line is ---

map.addEventListener("pointermove", (event) => {
  if (pointers.size) return hint([]);
  const seen = new Set();
  if (!event.target.closest(".box")) {
    for (const [x, y] of [[0, 0], [3, 0], [-3, 0], [0, 3], [0, -3]]) {
      for (const element of document.elementsFromPoint(event.clientX + x, event.clientY + y)) {
        const number = paths.indexOf(element);
        if (number >= 0 && (chosen === null || element.classList.contains("near"))) seen.add(number);
      }
      if (seen.size) break;
    }
  }
  hint([...seen], ...local(event));
});
map.addEventListener("pointerleave", () => hint([]));
let lit = [];
function hint(keys, x, y) {
  lit.forEach((number) => paths[number].classList.remove("lit"));
  lit = keys;
  lit.forEach((number) => paths[number].classList.add("lit"));
  tip.hidden = !keys.length;
  if (!keys.length) return;
  const [{ source, target, columns, targets, deletes }] = keys.map((number) => references[number]);
  const ends = new Set(keys.map((number) => references[number].target));
  tip.textContent = keys.length === 1
    ? `${tables[source].label} (${columns.join(", ")}) → ${tables[target].label} (${targets.join(", ")}), on delete ${deletes}`
    : `${keys.length} foreign keys to ${[...ends].slice(0, 4).map((n) => tables[n].label).join(", ")}`;
  tip.style.left = `${Math.max(4, Math.min(x + 14, map.clientWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 14, map.clientHeight - tip.offsetHeight - 8))}px`;
}

// --- the window and paper ---

new ResizeObserver(() => {
  const [width, height] = frame;
  if (!map.clientWidth || isPrinting || (width === map.clientWidth && height === map.clientHeight)) return;
  if (isWhole) show(fitting(bounds));
  else show({ ...view, x: view.x + (width - map.clientWidth) / 2 / view.scale, y: view.y + (height - map.clientHeight) / 2 / view.scale });
}).observe(map);
const FEW = 100;
addEventListener("beforeprint", () => {
  isPrinting = true;
  if (tables.length <= FEW && !isArranged) tables.forEach((table, number) => fill(number, table.shown));
  map.dataset.level = tables.length <= FEW || isArranged ? "near" : "far";
  map.setAttribute("viewBox", `${bounds.x} ${bounds.y} ${bounds.width} ${bounds.height}`);
});
addEventListener("afterprint", () => { isPrinting = false; show(view); });
addEventListener("hashchange", apply);
apply();
