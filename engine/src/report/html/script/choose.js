// The address holds what is chosen: #node=…&group=…&closed=…&theme=…
let picked = null, theme = null;

function address(unit) {
  const out = new URLSearchParams();
  if (unit != null) out.set(isGroup(unit) ? "group" : "node", nameOf(unit));
  for (const group of closed) out.append("closed", group);
  if (theme) out.set("theme", theme);
  return `#${out}`;
}

const remember = (way) => history[way](null, "", address(picked));

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  theme = ["dark", "light"].includes(given.get("theme")) ? given.get("theme") : null;
  paint();
  const node = named.get(given.get("node"));
  const asked = new Set(given.getAll("closed").filter((group) => unitOf.has(group)));
  if (node != null) asked.delete(items[node].group);
  const group = unitOf.get(given.get("group"));
  if (group != null) asked.add(nameOf(group));
  if (asked.size !== closed.size || [...asked].some((name) => !closed.has(name))) setClosed(asked);
  const inPanel = panel.contains(document.activeElement);
  pick(node ?? group ?? null);
  if (picked != null) centre(picked);
  if (inPanel && picked != null) panel.focus();
}

function paint() {
  const dark = theme ? theme === "dark" : night.matches;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  $("theme").textContent = dark ? "Light" : "Dark";
  $("theme").setAttribute("aria-pressed", String(dark));
  $("theme").title = dark ? "Switch to light" : "Switch to dark";
}

// Choosing a node lights what it needs and what needs it.
function reach(unit, next) {
  const met = new Set([unit]), lines = [];
  for (const at of met) {
    for (const [other, list] of next[at]) {
      met.add(other);
      lines.push(...list.map((one) => one.line));
    }
  }
  return [met, lines];
}

function pick(unit) {
  world.querySelectorAll(".on,.picked").forEach((made) => made.classList.remove("on", "picked"));
  shapes[picked]?.removeAttribute("aria-current");
  picked = unit;
  canvas.classList.toggle("sel", unit != null);
  panel.hidden = unit == null;
  if (unit == null) return;
  for (const next of [parents, children]) {
    const [met, lines] = reach(unit, next);
    for (const at of met) shapes[at].classList.add("on");
    lines.forEach(light);
  }
  shapes[unit].classList.add("picked");
  shapes[unit].setAttribute("aria-current", "true");
  tabStop(unit);
  fill(unit);
}

function choose(unit) {
  pick(unit);
  remember("pushState");
  if (unit != null) reveal(unit);
}

function unchoose() {
  const was = picked;
  const back = panel.contains(document.activeElement) || document.activeElement === document.body;
  choose(null);
  if (back && was != null) shapes[was].focus({ preventScroll: true });
}

function list(title, units, note) {
  if (!units.length) return [];
  const rows = units.map((unit) => {
    const link = element("a", { href: address(unit) }, nameOf(unit));
    return element("li", {}, link, note(unit) ? element("small", {}, ` ${note(unit)}`) : null);
  });
  return [element("h3", {}, `${title} (${units.length})`), element("ul", { className: "links" }, ...rows)];
}

const chips = (title, words) => (words?.length
  ? [element("h3", {}, title), element("ul", { className: "chips" }, ...words.map((word) => element("li", {}, word)))]
  : []);

function fill(unit) {
  const item = isGroup(unit) ? { name: nameOf(unit), kind: "group", status: statusOf(members[unit - items.length]) } : items[unit];
  const close = element("button", { type: "button", className: "close", title: "Close (Esc)", onclick: unchoose }, "×");
  close.setAttribute("aria-label", "Close");
  const facts = [["Group", item.group], ["Size", item.size], ["Last build", item.built], ["Took", item.took]]
    .filter(([, value]) => value != null)
    .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  const copied = (map) => (other) => {
    const kinds = map.get(other).map((one) => one.copy);
    return kinds.every(Boolean) ? "copied from" : kinds.some(Boolean) ? "from, copied from" : "";
  };
  const toggle = isGroup(unit) ? item.name : item.group;
  const [needs, needed] = [parents[unit], children[unit]];
  panel.replaceChildren(
    close,
    element("h2", {}, item.name),
    element("p", { className: "quiet" }, item.kind),
    ...(item.status ? [element("span", { className: `word ${item.status[0]}` }, item.status[1])] : []),
    ...(facts.length ? [element("dl", {}, ...facts)] : []),
    ...(item.reason ? [element("h3", {}, "Reason"), element("p", { className: "why" }, item.reason)] : []),
    ...chips("Platforms", item.platforms),
    ...chips("Tags", item.tags),
    ...list("Parents", [...needs.keys()], copied(needs)),
    ...list("Children", [...needed.keys()], copied(needed)),
    ...(isGroup(unit) ? list("Members", members[unit - items.length], () => "") : []),
    ...(toggle == null ? [] : [element("h3", {}, "Group"), element("button", {
      type: "button",
      id: "toggle-group",
      onclick: () => fold(toggle, !closed.has(toggle)),
    }, closed.has(toggle) ? "Expand group" : `Collapse group ${toggle}`)]),
  );
  panel.scrollTop = 0;
}
