// What is shown where. Closing a group hides its members, puts one box where one of them was,
// and takes out the bands of the drawing that became empty.
const closed = new Set();
let boxes = [], shown = [], parents = [], children = [], joinedPaths = new Map();

const standsFor = (at) => (closed.has(items[at].group) ? unitOf.get(items[at].group) : at);

function slot(group) {
  const list = members[unitOf.get(group) - items.length];
  const mean = (axis) => list.reduce((sum, at) => sum + items[at].at[axis], 0) / list.length;
  const [x, y] = [mean(0), mean(1)];
  const far = (at) => Math.abs(items[at].at[0] - x) + Math.abs(items[at].at[1] - y);
  return items[list.reduce((best, at) => (far(at) < far(best) ? at : best))].at;
}

// A map of one axis that shortens every gap between intervals to `most`, and keeps the rest.
function squeeze(intervals, most) {
  if (!closed.size) return (value) => value;
  const knots = [[0, 0]];
  let end = 0, to = 0;
  for (const [from, until] of intervals.sort((a, b) => a[0] - b[0])) {
    if (from > end) {
      to += Math.min(from - end, most);
      knots.push([from, to]);
      end = from;
    }
    if (until > end) {
      to += until - end;
      knots.push([until, to]);
      end = until;
    }
  }
  return (value) => {
    let low = 0, high = knots.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (knots[middle][0] < value) low = middle + 1;
      else high = middle;
    }
    const after = knots[low], before = knots[Math.max(low - 1, 0)];
    if (value >= after[0] || after === before) return after[1] + Math.max(value - after[0], 0);
    return before[1] + ((value - before[0]) * (after[1] - before[1])) / (after[0] - before[0]);
  };
}

function arrange() {
  const raw = items.map((item) => item.at);
  groups.forEach((group, at) => { raw[items.length + at] = [...slot(group).slice(0, 2), groupHeight]; });
  shown = raw.map((_, unit) => (isGroup(unit) ? closed.has(nameOf(unit)) : standsFor(unit) === unit));
  const seen = raw.filter((_, unit) => shown[unit]);
  const mapX = squeeze(seen.map(([x]) => [x, x + width]), 130);
  const mapY = squeeze(seen.map(([, y, h]) => [y, y + h]), 78);
  boxes = raw.map(([x, y, h]) => [mapX(x), mapY(y), h]);
  shapes.forEach((made, unit) => {
    made.classList.toggle("gone", !shown[unit]);
    const [x, y] = boxes[unit];
    made.setAttribute("transform", `translate(${x + Math.floor(width / 2)},${y})`);
  });
  framed.forEach(({ box, text, x, y, w, h, tx, ty }, at) => {
    frames[at].classList.toggle("gone", closed.has(groups[at]));
    const [left, top, right, low] = [mapX(x), mapY(y), mapX(x + w), mapY(y + h)];
    const set = (of, values) => Object.entries(values).forEach(([name, value]) => of.setAttribute(name, value));
    set(box, { x: left, y: top, width: right - left, height: low - top });
    set(text, { x: left + tx, y: top + ty });
  });
  connect((d) => d.replace(/(-?\d+),(-?\d+)/g, (_, x, y) => `${mapX(Number(x))},${mapY(Number(y))}`));
  tabStop(shown[stop] ? stop : firstUnit());
}

function connect(mapped) {
  parents = boxes.map(() => new Map());
  children = boxes.map(() => new Map());
  const ends = new Map(), taken = new Set();
  for (const [from, to, copy, last] of edges) {
    const [up, down] = [standsFor(from), standsFor(to)];
    if (up === down) continue;
    const own = up === from && down === to;
    const line = own ? last : `${up} ${down} ${copy}`;
    if (own) wayOf(last, (piece) => !taken.has(piece) && taken.add(piece));
    else ends.set(line, [up, down, copy]);
    const add = (of, other) => of.set(other, [...(of.get(other) ?? []), { copy, line }]);
    add(parents[down], up);
    add(children[up], down);
  }
  paths.forEach((path, piece) => {
    path.classList.toggle("gone", !taken.has(piece));
    if (taken.has(piece)) path.setAttribute("d", closed.size ? mapped(ways[piece]) : ways[piece]);
  });
  joinedPaths = new Map([...ends].map(([line, [up, down, copy]]) => {
    const [x, y, h] = boxes[up], [toX, toY, toH] = boxes[down];
    const start = [x + width, y + h / 2], end = [toX, toY + toH / 2];
    const swing = Math.max(40, Math.abs(end[0] - start[0]) / 2);
    const d = `M${start}C${start[0] + swing},${start[1]} ${end[0] - swing},${end[1]} ${end}`;
    return [line, shape("path", { class: copy ? "e copy" : "e", d })];
  }));
  joined.replaceChildren(...joinedPaths.values());
}

// Goes from the last piece of a way to its first, as long as `go` is true.
function wayOf(last, go) {
  for (let piece = last; piece != null && go(piece); piece = pieces[piece]);
}

// What is lit lies over what is not.
function light(line) {
  const raise = (path) => {
    if (path.classList.contains("on")) return false;
    path.classList.add("on");
    path.parentNode.append(path);
    return true;
  };
  if (joinedPaths.has(line)) raise(joinedPaths.get(line));
  else wayOf(line, (piece) => raise(paths[piece]));
}
