// The boxes: what they show, and where they stand in the drawing of a neighbourhood by itself.

const SHORT = [
  ["timestamp with time zone", "timestamptz"], ["timestamp without time zone", "timestamp"],
  ["time with time zone", "timetz"], ["time without time zone", "time"],
  ["character varying", "varchar"], ["character", "char"], ["double precision", "float8"],
];
const LETTERS = 26;
function brief(type) {
  const known = SHORT.find(([long]) => type.startsWith(long));
  return known ? known[1] + type.slice(known[0].length) : type;
}
function cut(text, letters) {
  const all = [...text];
  return all.length > letters ? all.slice(0, letters - 1).join("") + "…" : text;
}
const filledWith = tables.map(() => null);

/** Writes these columns into a box, and how many more there are. */
function fill(number, columns) {
  if (filledWith[number] === columns) return;
  boxes[number].querySelector(".rows")?.remove();
  filledWith[number] = columns;
  const table = tables[number], rows = drawn("g", { class: "rows" });
  columns.forEach((column, place) => rows.append(...row(table.columns[column], place)));
  const more = table.columns.length - columns.length;
  if (more) {
    const y = sizes.header + sizes.row * (columns.length + 0.5) + 4;
    rows.append(drawn("text", { class: "more", x: 38, y }, `${more} more column${more === 1 ? "" : "s"}`));
  }
  boxes[number].append(rows);
  markColumns(number);
}
function row([name, type, marks, optional], place) {
  const y = sizes.header + sizes.row * (place + 0.5) + 4;
  const kept = cut(name, LETTERS - 7), room = LETTERS - [...kept].length;
  return [
    drawn("text", { class: "key", x: 11, y: y - 1 }, marks[0] ?? ""),
    drawn("text", { class: optional ? "name void" : "name", x: 38, y }, kept),
    drawn("text", { class: "type", x: sizes.width - 10, y }, cut(brief(type) + (optional ? "?" : ""), Math.max(room, 7))),
  ];
}
function full(number) {
  const columns = tables[number].columns;
  return columns.length === tables[number].shown.length ? tables[number].shown : [...columns.keys()];
}
function heightOf(number, columns) {
  return sizes.header + sizes.row * (columns.length + (columns.length < tables[number].columns.length)) + sizes.foot;
}
function place(number, x, y, height) {
  Object.assign(placed[number], { x, y, height });
  boxes[number].setAttribute("transform", `translate(${x} ${y})`);
  boxes[number].querySelector(".body").setAttribute("height", height);
}

// --- a neighbourhood by itself ---

const GAP = 22, CHANNEL = 110, CROWD = 14;
let isArranged = false;

/** Puts the tables that one refers to left of it and those that refer to it right, by distance. */
function arrange(levels) {
  const columnsOf = levels.size > CROWD ? (number) => tables[number].shown : full;
  const heights = new Map([...levels.keys()].map((n) => [n, heightOf(n, columnsOf(n))]));
  const total = [...heights.values()].reduce((sum, height) => sum + height + GAP, 0);
  const tallest = Math.max(...heights.values(), Math.sqrt(total * (sizes.width + CHANNEL) * map.clientHeight / map.clientWidth));
  const parts = [...new Set(levels.values())].sort((a, b) => a - b).flatMap((level) => {
    const members = [...levels.keys()].filter((n) => levels.get(n) === level);
    return wrapped(members.sort((a, b) => a - b), heights, tallest);
  });
  parts.forEach((part, index) => {
    const high = part.reduce((sum, n) => sum + heights.get(n) + GAP, -GAP);
    let y = -high / 2;
    for (const number of part) {
      place(number, index * (sizes.width + CHANNEL), y, heights.get(number));
      fill(number, columnsOf(number));
      y += heights.get(number) + GAP;
    }
  });
  references.forEach((reference, number) => {
    if (levels.has(reference.source) && levels.has(reference.target)) paths[number].setAttribute("d", curve(reference));
  });
  isArranged = true;
  bounds = extentOf([...levels.keys()]);
}
function wrapped(members, heights, tallest) {
  const total = members.reduce((sum, n) => sum + heights.get(n) + GAP, 0);
  const count = Math.ceil(total / (tallest + GAP)), parts = Array.from({ length: count }, () => []);
  let y = 0;
  for (const number of members) {
    const own = heights.get(number) + GAP;
    parts[Math.min(count - 1, Math.floor((y + own / 2) / total * count))].push(number);
    y += own;
  }
  return parts.filter((part) => part.length);
}
function extentOf(members) {
  const left = Math.min(...members.map((n) => placed[n].x)), top = Math.min(...members.map((n) => placed[n].y));
  const right = Math.max(...members.map((n) => placed[n].x + sizes.width));
  const bottom = Math.max(...members.map((n) => placed[n].y + placed[n].height));
  return { x: left - 20, y: top - 20, width: right - left + 40, height: bottom - top + 40 };
}
function curve({ source, target, columns }) {
  const from = placed[source], to = placed[target];
  const shown = filledWith[source].map((column) => tables[source].columns[column][0]);
  const index = shown.indexOf(columns[0]);
  const y1 = from.y + sizes.header + sizes.row * ((index < 0 ? shown.length : index) + 0.5);
  const y2 = to.y + sizes.header / 2;
  const side = Math.sign(to.x - from.x);
  const x1 = from.x + (side < 0 ? 0 : sizes.width), x2 = to.x + (side > 0 ? 0 : sizes.width);
  const bend = side === 0 ? 46 : Math.max(46, Math.abs(x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + (side < 0 ? -bend : bend)} ${y1} ${x2 + (side > 0 ? -bend : bend)} ${y2} ${x2} ${y2}`;
}
function restore() {
  if (!isArranged) return;
  tables.forEach((table, number) => {
    place(number, ...table.box);
    if (filledWith[number]) fill(number, table.shown);
  });
  paths.forEach((path, number) => path.setAttribute("d", ways[number]));
  bounds = { x: 0, y: 0, width: size[0], height: size[1] };
  isArranged = false;
}
