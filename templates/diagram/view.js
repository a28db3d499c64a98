// The view: which part of the drawing is seen, and how large.

const NEAR = 0.5, SMALL = 0.36, CLOSEST = 4, MARGIN = 24, BELOW = 44; // the legend and the buttons stand below
let view = { x: 0, y: 0, scale: 1 };
let bounds = { x: 0, y: 0, width: size[0], height: size[1] };
let flight = 0, isWhole = false, frame = [0, 0];
const placed = tables.map((table) => ({ x: table.box[0], y: table.box[1], height: table.box[2] }));

function show(next) {
  view = next;
  frame = [map.clientWidth, map.clientHeight];
  const width = map.clientWidth / view.scale, height = map.clientHeight / view.scale;
  map.setAttribute("viewBox", `${view.x} ${view.y} ${width} ${height}`);
  map.dataset.level = view.scale >= NEAR ? "near" : "far";
  map.toggleAttribute("data-small", view.scale < SMALL);
  if (view.scale >= NEAR) fillVisible({ x: view.x, y: view.y, width, height });
}
function fillVisible(area) {
  placed.forEach((place, number) => {
    const outside = place.x > area.x + area.width || place.x + sizes.width < area.x
      || place.y > area.y + area.height || place.y + place.height < area.y;
    if (!outside && !map.classList.contains("alone")) fill(number, tables[number].shown);
  });
}
function fitting(area, closest = 1.25) {
  const width = map.clientWidth - 2 * MARGIN, height = map.clientHeight - MARGIN - BELOW;
  const scale = Math.max(0.01, Math.min(width / area.width, height / area.height, closest));
  return {
    scale,
    x: area.x + area.width / 2 - map.clientWidth / 2 / scale,
    y: area.y + area.height / 2 - (map.clientHeight + MARGIN - BELOW) / 2 / scale,
  };
}
function fly(goal) {
  stop();
  if (calm.matches || document.hidden || isFirst) return show(goal);
  const from = view, start = performance.now(), span = 260;
  const centre = (v) => [v.x + map.clientWidth / 2 / v.scale, v.y + map.clientHeight / 2 / v.scale];
  const [fromX, fromY] = centre(from), [goalX, goalY] = centre(goal);
  const advance = (now) => {
    const part = Math.min(1, Math.max(0, (now - start) / span)), eased = 1 - (1 - part) ** 3;
    const scale = from.scale * (goal.scale / from.scale) ** eased;
    const x = fromX + (goalX - fromX) * eased, y = fromY + (goalY - fromY) * eased;
    show({ scale, x: x - map.clientWidth / 2 / scale, y: y - map.clientHeight / 2 / scale });
    if (part < 1) flight = requestAnimationFrame(advance);
  };
  flight = requestAnimationFrame(advance);
}
function stop() {
  cancelAnimationFrame(flight);
  isWhole = false;
}
function zoom(factor, x = map.clientWidth / 2, y = map.clientHeight / 2) {
  stop();
  const least = Math.min(fitting(bounds).scale * 0.6, 1);
  const scale = Math.min(CLOSEST, Math.max(least, view.scale * factor));
  show({ scale, x: view.x + x / view.scale - x / scale, y: view.y + y / view.scale - y / scale });
}
function pan(x, y) {
  stop();
  show({ ...view, x: view.x + x / view.scale, y: view.y + y / view.scale });
}
function whole() {
  fly(fitting(bounds));
  isWhole = true;
}
function isVisible(place) {
  const right = view.x + map.clientWidth / view.scale, bottom = view.y + map.clientHeight / view.scale;
  return place.x >= view.x && place.x + sizes.width <= right && place.y >= view.y && place.y + 40 <= bottom;
}
function reveal(number, least = 0) {
  const place = placed[number], scale = Math.max(view.scale, least);
  fly({
    scale,
    x: place.x + sizes.width / 2 - map.clientWidth / 2 / scale,
    y: place.y + Math.min(place.height, map.clientHeight / scale * 0.8) / 2 - map.clientHeight / 2 / scale,
  });
}
