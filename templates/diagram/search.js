// Search in the names of tables and columns.

let found = null, sought = "";

function find() {
  sought = search.value.trim().toLowerCase();
  found = sought ? new Map() : null;
  tables.forEach((table, number) => {
    const isNamed = table.label.toLowerCase().includes(sought);
    const columns = table.columns.map(([name]) => name).filter((name) => name.toLowerCase().includes(sought));
    if (sought && (isNamed || columns.length)) found.set(number, { isNamed, columns });
  });
  showFound();
}
function showFound() {
  map.classList.toggle("searching", found !== null);
  links.forEach((link, number) => {
    const hit = found?.get(number);
    link.parentElement.hidden = found !== null && !hit;
    link.replaceChildren(...marked(tables[number].name), hit && hit.columns.length ? columnsFound(hit.columns) : "");
    boxes[number].classList.toggle("hit", Boolean(hit));
    markColumns(number);
  });
  list.querySelectorAll("section").forEach((part) => {
    part.hidden = !part.querySelector("li:not([hidden])");
  });
  byId("found").textContent = found === null ? "" : `${plural(found.size, "table")} of ${tables.length.toLocaleString("en")}`;
}
function columnsFound(columns) {
  const more = columns.length > 3 ? `, ${columns.length - 3} more` : "";
  const names = columns.slice(0, 3).flatMap((name, place) => [place ? ", " : "", ...marked(name)]);
  return element("small", {}, ...names.filter((part) => part !== ""), more);
}
/** The text with what was searched for in a mark. */
function marked(text) {
  const start = sought ? text.toLowerCase().indexOf(sought) : -1;
  if (start < 0) return [text];
  const end = start + sought.length;
  return [text.slice(0, start), element("mark", {}, text.slice(start, end)), text.slice(end)];
}
function markColumns(number) {
  const rows = boxes[number].querySelector(".rows");
  if (!rows) return;
  rows.querySelectorAll("rect").forEach((old) => old.remove());
  filledWith[number].forEach((column, place) => {
    if (!found || !tables[number].columns[column][0].toLowerCase().includes(sought)) return;
    const y = sizes.header + sizes.row * place + 1;
    rows.prepend(drawn("rect", { x: 4, y, width: sizes.width - 8, height: sizes.row - 1, rx: 3 }));
  });
}
search.addEventListener("input", find);
const shownLinks = () => [...links.values()].filter((link) => !link.closest("[hidden]"));
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { search.value = ""; find(); search.blur(); event.stopPropagation(); }
  if (event.key === "ArrowDown") { shownLinks()[0]?.focus(); event.preventDefault(); }
  if (event.key === "Enter") {
    const exact = shownLinks().find((link) => tables[link.dataset.table].label.toLowerCase() === sought);
    const named = shownLinks().find((link) => found?.get(Number(link.dataset.table))?.isNamed);
    (exact ?? named ?? shownLinks()[0])?.click();
  }
});
list.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const all = shownLinks(), next = all.indexOf(document.activeElement) + step;
  (next < 0 ? search : all[next])?.focus();
  event.preventDefault();
});
