// What the page is made of: the data, units, and the shapes of closed groups.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { items, edges, pieces, width } = data;
const root = document.documentElement;
const canvas = $("canvas"), world = $("world"), panel = $("panel"), query = $("query");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const night = matchMedia("(prefers-color-scheme: dark)");
const WORD = { bad: "refused", work: "build", maybe: "maybe", good: "keep" };

// A unit is what stands in one box: an item by its number, or after all items a closed group.
const groups = [...new Set(items.map((item) => item.group).filter((group) => group != null))];
const unitOf = new Map(groups.map((group, at) => [group, items.length + at]));
const members = groups.map((group) => items.flatMap((item, at) => (item.group === group ? [at] : [])));
const named = new Map(items.map((item, at) => [item.id, at]));
const isGroup = (unit) => unit >= items.length;
const nameOf = (unit) => (isGroup(unit) ? groups[unit - items.length] : items[unit].id);

const groupHeight = items.some((item) => item.status) ? 60 : 46;

const SVG = "http://www.w3.org/2000/svg";
const shape = (tag, attributes, ...inside) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
};
const element = (tag, properties, ...inside) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside.filter((part) => part != null));
  return made;
};

const [edgeLayer, nodeLayer] = [world.querySelector(".edges"), world.querySelector(".nodes")];
const paths = [...edgeLayer.children];
const ways = paths.map((path) => path.getAttribute("d"));
const shapes = [...nodeLayer.children];
const frames = [...world.querySelectorAll(".f")];
const framed = frames.map((frame) => {
  const [box, text] = [frame.querySelector("rect"), frame.querySelector("text")];
  const at = (of, name) => Number(of.getAttribute(name));
  const [x, y] = [at(box, "x"), at(box, "y")];
  return { box, text, x, y, w: at(box, "width"), h: at(box, "height"), tx: at(text, "x") - x, ty: at(text, "y") - y };
});
const joined = edgeLayer.appendChild(shape("g", {}));
groups.forEach((group, at) => shapes.push(nodeLayer.appendChild(groupShape(group, members[at]))));
shapes.forEach((made, unit) => {
  made.dataset.unit = unit;
  made.setAttribute("role", "button");
  made.setAttribute("tabindex", "-1");
});

function statusOf(list) {
  const count = {};
  for (const at of list) {
    const tone = items[at].status?.[0];
    if (tone in WORD) count[tone] = (count[tone] ?? 0) + 1;
  }
  const tones = Object.keys(WORD).filter((tone) => count[tone]);
  return tones.length ? [tones[0], tones.map((tone) => `${count[tone]} ${WORD[tone]}`).join(" · ")] : null;
}

function cut(text, most) {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}

function groupShape(group, list) {
  const status = statusOf(list);
  const say = `${list.length} ${list.length === 1 ? "image" : "images"}`;
  const half = width / 2, room = (wide) => Math.floor((width - 24) / wide);
  const box = (by) => shape("rect", { class: "b", x: by - half, y: by, width, height: groupHeight, rx: 9 });
  return shape("g", { class: `n group gone${status ? ` s-${status[0]}` : ""}` },
    shape("title", {}, `group ${group}: ${say}${status ? `; ${status[1]}` : ""}`),
    box(5), box(0),
    shape("text", { class: "t", y: 21 }, cut(group, room(8))),
    shape("text", { class: "p", y: 36 }, say),
    shape("text", { class: "s", y: 50 }, status ? cut(status[1], room(6.5)) : ""));
}
