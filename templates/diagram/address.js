// What the address says of the page: #table=orders&distance=2&rest=hidden. Every change goes through it, so that
// links can be shared and Back goes back.

function address() {
  const words = new URLSearchParams(location.hash.slice(1));
  return {
    table: numbers.get(words.get("table")) ?? null,
    distance: words.get("distance") === "2" ? 2 : 1,
    isAlone: words.get("rest") === "hidden",
  };
}
function written({ table, distance, isAlone }) {
  if (table === null) return "#";
  const words = new URLSearchParams({ table: tables[table].label });
  if (distance !== 1) words.set("distance", distance);
  if (isAlone) words.set("rest", "hidden");
  return `#${words}`;
}
function go(change) {
  const next = written({ ...address(), ...change });
  if (next === "#" && !location.hash) return;
  if (next === location.hash) apply();
  else location.hash = next;
}

function apply() {
  const { table, distance, isAlone } = address();
  const levels = table === null ? new Map() : around(table, distance);
  const isNew = table !== chosen;
  chosen = table;
  map.classList.toggle("focused", table !== null);
  boxes.forEach((box, number) => {
    box.classList.toggle("near", levels.has(number));
    box.classList.toggle("chosen", number === table);
  });
  const inner = (n) => Math.abs(levels.get(n) ?? 9) < distance;
  references.forEach(({ source, target }, number) => {
    const isNear = levels.has(source) && levels.has(target) && (inner(source) || inner(target));
    paths[number].classList.toggle("near", isNear);
    if (isNear) byId("lines").append(paths[number]);
  });
  links.forEach((link, number) => {
    if (number === table) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
  roving(table ?? 0);
  describe(table, distance, isAlone, isNew);
  restore();
  map.classList.toggle("alone", table !== null && isAlone);
  if (table !== null && isAlone) arrange(levels);
  move(table, isAlone, isNew);
  wasAlone = table !== null && isAlone;
  isFirst = false;
  if (table !== null) links.get(table).scrollIntoView({ block: "nearest" });
}
function move(table, isAlone, isNew) {
  const near = table === null ? null : extentOf([...boxes.keys()].filter((n) => boxes[n].classList.contains("near")));
  if (isAlone || (table === null && wasAlone)) {
    whole();
  } else if (isFirst || wasAlone) {
    show(fitting(bounds));
    isWhole = table === null || fitting(near, 1).scale < NEAR * 0.6;
    if (!isWhole) show(fitting(near, 1));
  } else if (table !== null && table === wanted) {
    reveal(table, NEAR);
  } else if (isNew && table !== null && !isVisible(placed[table])) {
    reveal(table);
  } else {
    show(isWhole ? fitting(bounds) : view);
  }
  wanted = null;
}
