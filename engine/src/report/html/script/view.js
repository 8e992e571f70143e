// The view: one transform of one element, at most once a frame. It is that of the whole SVG as
// a box of the page: a transform inside of it makes browsers lay out every text anew.
const view = { x: 0, y: 0, k: 1 };
let waiting = false, moving = 0, rest = 0;

function show() {
  if (waiting) return;
  waiting = true;
  // Dashes cost more to draw than all else together: while it moves, lines are whole.
  if (!rest) canvas.classList.add("moving");
  clearTimeout(rest);
  rest = setTimeout(() => {
    rest = 0;
    canvas.classList.remove("moving");
  }, 160);
  requestAnimationFrame(() => {
    waiting = false;
    world.style.transform = `translate(${view.x}px,${view.y}px) scale(${view.k})`;
    level("far", view.k < 0.5);
    level("tiny", view.k < 0.3);
  });
}

function level(name, on) {
  if (canvas.classList.contains(name) !== on) canvas.classList.toggle(name);
}

const limit = (k) => Math.min(4, Math.max(0.02, k));
const size = () => [canvas.clientWidth, canvas.clientHeight];

function zoom(by, at = size().map((side) => side / 2)) {
  moving = 0;
  const k = limit(view.k * by);
  view.x = at[0] - ((at[0] - view.x) * k) / view.k;
  view.y = at[1] - ((at[1] - view.y) * k) / view.k;
  view.k = k;
  show();
}

function pan(x, y) {
  moving = 0;
  view.x += x;
  view.y += y;
  show();
}

function glide(to) {
  const from = { ...view }, start = performance.now(), turn = ++glide.turn;
  moving = turn;
  const step = (now) => {
    if (moving !== turn) return;
    const part = still.matches ? 1 : Math.min(1, (now - start) / 220);
    const eased = 1 - (1 - part) ** 3;
    for (const name of ["x", "y", "k"]) view[name] = from[name] + (to[name] - from[name]) * eased;
    show();
    if (part < 1) requestAnimationFrame(step);
  };
  step(start);
}
glide.turn = 0;

function extent() {
  const all = boxes.filter((_, unit) => shown[unit]);
  const edge = (pick, values) => values.reduce((a, b) => pick(a, b), pick(0, 0));
  return [edge(Math.max, all.map(([x]) => x + width)), edge(Math.max, all.map(([, y, h]) => y + h))];
}

function whole() {
  const [w, h] = extent(), [W, H] = size();
  const k = limit(Math.min(1.25, (W - 48) / Math.max(w, 1), (H - 48) / Math.max(h, 1)));
  return { x: (W - w * k) / 2, y: (H - h * k) / 2, k };
}

// All of it when that can be read, else its beginning.
function beginning() {
  const all = whole(), first = boxes[firstUnit()], k = 0.8;
  if (all.k > 0.6 || !first) return all;
  return { x: 24 - first[0] * k, y: Math.min(24, size()[1] / 2 - first[1] * k), k };
}

function centre(unit) {
  const [x, y, h] = boxes[unit], [W, H] = size();
  const k = Math.max(view.k, 0.7);
  glide({ x: W / 2 - (x + width / 2) * k, y: H / 2 - (y + h / 2) * k, k });
}

function reveal(unit) {
  const [x, y, h] = boxes[unit], [W, H] = size(), room = 30;
  const left = view.x + x * view.k, top = view.y + y * view.k;
  const inside = left > room && top > room && left + width * view.k < W - room && top + h * view.k < H - room;
  if (!inside || view.k < 0.3) centre(unit);
}

// One node is a stop of the tab key; arrow keys go on from there.
let stop = 0;
const inOrder = () => boxes.map((_, unit) => unit).filter((unit) => shown[unit])
  .sort((a, b) => boxes[a][0] - boxes[b][0] || boxes[a][1] - boxes[b][1]);
const firstUnit = () => inOrder()[0] ?? 0;

function tabStop(unit) {
  shapes[stop]?.setAttribute("tabindex", "-1");
  stop = unit;
  shapes[unit]?.setAttribute("tabindex", "0");
}

function go(unit) {
  if (unit == null) return;
  tabStop(unit);
  reveal(unit);
  shapes[unit].focus({ preventScroll: true });
}

function beside(unit, key) {
  const [x, y] = boxes[unit];
  const nearest = (list) => list.reduce((best, other) =>
    (best == null || Math.abs(boxes[other][1] - y) < Math.abs(boxes[best][1] - y) ? other : best), null);
  const column = (sign) => nearest(inOrder().filter((other) =>
    Math.abs(boxes[other][0] - x) < width / 2 && (boxes[other][1] - y) * sign > 0));
  switch (key) {
    case "ArrowLeft": return nearest([...parents[unit].keys()]);
    case "ArrowRight": return nearest([...children[unit].keys()]);
    case "ArrowUp": return column(-1);
    case "ArrowDown": return column(1);
    case "Home": return inOrder()[0];
    case "End": return inOrder().at(-1);
    default: return undefined;
  }
}
