// Groups are closed and opened here and in the menu.
function setClosed(names) {
  closed.clear();
  for (const name of names) closed.add(name);
  arrange();
  for (const box of $("group-list").querySelectorAll("input")) box.checked = !closed.has(box.value);
  search();
}

function fold(group, shut) {
  const names = new Set(closed);
  if (shut) names.add(group);
  else names.delete(group);
  const inPanel = panel.contains(document.activeElement);
  setClosed(names);
  const unit = shut ? unitOf.get(group) : members[unitOf.get(group) - items.length][0];
  pick(picked == null ? null : unit);
  remember("replaceState");
  centre(unit);
  if (inPanel) panel.focus();
}

function foldAll(names) {
  setClosed(new Set(names));
  pick(null);
  remember("replaceState");
  glide(whole());
}

function groupMenu() {
  $("groups").hidden = !groups.length;
  const all = (text, names) => element("button", { type: "button", onclick: () => foldAll(names) }, text);
  $("group-list").append(
    element("div", { className: "all" }, all("Collapse all", groups), all("Expand all", [])),
    ...groups.map((group, at) => {
      const box = element("input", { type: "checkbox", value: group, checked: true });
      box.onchange = () => fold(group, !box.checked);
      return element("label", {}, box, `${cut(group, 40)} (${members[at].length})`);
    }),
  );
}

// Searching dims what does not match; Enter goes from match to match.
const texts = items.map((item) =>
  [item.id, item.group, ...(item.tags ?? []), ...item.platforms].filter(Boolean).join("\n").toLowerCase());
let hits = [], turn = -1;

function search() {
  const wanted = query.value.trim().toLowerCase();
  shapes[hits[turn]]?.classList.remove("at");
  world.querySelectorAll(".hit,.at").forEach((made) => made.classList.remove("hit", "at"));
  hits = wanted ? items.flatMap((_, at) => (texts[at].includes(wanted) ? [at] : [])) : [];
  turn = -1;
  canvas.classList.toggle("finding", wanted !== "");
  for (const at of hits) shapes[standsFor(at)].classList.add("hit");
  $("found").textContent = wanted ? `${hits.length} found` : "";
}

function nextHit(by) {
  if (!hits.length) return;
  world.querySelectorAll(".at").forEach((made) => made.classList.remove("at"));
  turn = turn < 0 && by < 0 ? hits.length - 1 : (turn + by + hits.length) % hits.length;
  const unit = standsFor(hits[turn]);
  shapes[unit].classList.add("at");
  tabStop(unit);
  centre(unit);
  $("found").textContent = `${turn + 1} of ${hits.length}`;
}

function clearSearch() {
  query.value = "";
  search();
}
