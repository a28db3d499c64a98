// What the script of a diagram works on. Text from the database goes into the page as text nodes and attributes only,
// never as markup. Jinja reads these files: no opening brace next to a brace, hash or percent.

const byId = (id) => document.getElementById(id);
const { tables, references, patterns, sizes, size } = JSON.parse(byId("data").textContent);
const map = byId("map"), list = byId("list"), detail = byId("detail"), tip = byId("tip"), search = byId("search");
const paths = [...byId("lines").children];
const boxes = [...byId("boxes").children];
const links = new Map([...list.querySelectorAll("a")].map((link) => [Number(link.dataset.table), link]));
const numbers = new Map(tables.map((table, number) => [table.label, number]));
const ways = paths.map((path) => path.getAttribute("d"));
let chosen = null, wasAlone = false, isFirst = true, isPrinting = false;
let wanted = null; // the table that a link asked for, which is brought close
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}
function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}
function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// --- neighbours ---

const outgoing = tables.map(() => []), incoming = tables.map(() => []);
references.forEach((reference, number) => {
  outgoing[reference.source].push(number);
  incoming[reference.target].push(number);
});

/** Tables by their distance from one: 0 itself, positive those that refer to it, negative those it refers to. */
function around(start, distance) {
  const levels = new Map([[start, 0]]);
  let edge = [start];
  for (let step = 1; step <= distance; step += 1) {
    const next = [];
    for (const from of edge) {
      const side = levels.get(from);
      for (const [keys, end, sign] of [[outgoing, "target", -1], [incoming, "source", 1]]) {
        for (const key of keys[from]) {
          const other = references[key][end];
          if (levels.has(other)) continue;
          levels.set(other, step * (side === 0 ? sign : Math.sign(side)));
          next.push(other);
        }
      }
    }
    edge = next;
  }
  return levels;
}
