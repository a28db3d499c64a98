// The details of the chosen table.

const code = (text) => element("code", {}, text);
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
function toTable(number) {
  return element("a", { href: written({ ...address(), table: number }), "data-table": number }, tables[number].label);
}
function describe(number, distance, isAlone, isNew) {
  detail.hidden = number === null;
  if (number === null) return;
  if (!isNew) {
    byId(`distance-${distance}`).checked = true;
    byId(`rest-${isAlone ? "hidden" : "dimmed"}`).checked = true;
    return;
  }
  const table = tables[number], hue = `hue-${table.hue}`;
  const close = element("button", { type: "button", "aria-label": "Close", title: "Close ( Esc )" }, "×");
  close.addEventListener("click", () => go({ table: null }));
  const facts = [table.schema, plural(table.columns.length, "column")];
  if (table.rows !== null) facts.push(`${plural(table.rows, "row")} expected`);
  detail.replaceChildren(
    element("header", {}, element("h2", {}, table.label), close),
    element("p", { class: "facts" }, facts.join(" · ")),
    table.comment ? element("p", { class: "words" }, table.comment) : "",
    element("div", { class: "choices" },
      choice("Neighbours", "distance", [["1", "1 step"], ["2", "2 steps"]], String(distance), (v) => go({ distance: Number(v) })),
      choice("Others", "rest", [["dimmed", "dimmed"], ["hidden", "hidden"]], isAlone ? "hidden" : "dimmed", (v) => go({ isAlone: v === "hidden" }))),
    element("h3", {}, "Columns"), columnsOf(table, hue),
    ...section("Refers to", outgoing[number].map((key) => refers(references[key], "target"))),
    ...section("Referred to by", incoming[number].map((key) => refers(references[key], "source"))),
    ...section("Indexes", table.indexes.map(([name, text, comment]) => item(name, text, comment))),
    ...section("Keys and checks", table.rules.map(([name, text]) => item(name, text, ""))),
    ...section("Access patterns", table.patterns.map((n) => pattern(patterns[n]))),
  );
  detail.scrollTop = 0;
}
function choice(title, name, options, current, change) {
  const buttons = options.map(([value, text]) => {
    const input = element("input", { type: "radio", name, value, id: `${name}-${value}`, class: "radio" });
    input.checked = value === current;
    input.addEventListener("change", () => change(value));
    return element("label", { for: `${name}-${value}` }, input, ` ${text}`);
  });
  return element("fieldset", {}, element("legend", {}, title), ...buttons);
}
function columnsOf(table, hue) {
  const head = element("tr", {}, ...["key", "column", "type", "null"].map((text) => element("th", { scope: "col" }, text)));
  const rows = table.columns.map(([name, type, marks, optional, value, comment]) => element("tr", {},
    element("td", { class: hue }, ...marks.map((mark) => element("span", { class: "badge" }, mark))),
    element("td", {}, code(name), comment ? element("small", {}, comment) : ""),
    element("td", {}, code(type), value ? element("small", {}, "= ", code(value)) : ""),
    element("td", {}, optional ? "null" : "")));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}
function section(title, items) {
  if (!items.length) return [];
  return [element("h3", {}, title, " ", element("span", {}, String(items.length))), element("ul", {}, ...items)];
}
function refers(reference, other) {
  const { source, target, columns, targets, deletes, updates, optional, single } = reference;
  const actions = [`on delete ${deletes}`];
  if (updates !== "no action") actions.push(`on update ${updates}`);
  if (optional) actions.push("may be NULL");
  if (single) actions.push("at most one row");
  const columnsText = `(${columns.join(", ")})`, targetsText = `(${targets.join(", ")})`;
  const line = other === "target"
    ? [code(columnsText), " → ", toTable(target), " ", code(targetsText)]
    : [toTable(source), " ", code(columnsText), " → ", code(targetsText)];
  return element("li", {}, ...line, element("small", {}, actions.join(", ")));
}
function item(name, text, comment) {
  return element("li", {}, code(name), element("small", {}, code(text)), comment ? element("small", {}, comment) : "");
}
function pattern({ name, sql, facts }) {
  return element("li", {}, element("details", {},
    element("summary", {}, code(name), facts ? element("small", {}, facts) : ""), element("pre", {}, sql)));
}
