// Pointers: one drags, two pinch.
const pointers = new Map();
let travelled = 0;
const spot = (event) => {
  const { left, top } = canvas.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
};
const span = () => {
  const [a, b] = [...pointers.values()];
  return [Math.hypot(a[0] - b[0], a[1] - b[1]), [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]];
};

canvas.addEventListener("pointerdown", (event) => {
  if (event.button > 0) return;
  if (!pointers.size) travelled = 0;
  pointers.set(event.pointerId, spot(event));
});
canvas.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = spot(event);
  travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
  if (pointers.size === 2) {
    const [was, from] = span();
    pointers.set(event.pointerId, now);
    const [is, to] = span();
    pan(to[0] - from[0], to[1] - from[1]);
    zoom(is / Math.max(was, 1), to);
  } else {
    pointers.set(event.pointerId, now);
    pan(now[0] - before[0], now[1] - before[1]);
  }
  // Until it has moved it may be a click, which belongs to what is under it.
  if (travelled > 4 && !canvas.hasPointerCapture(event.pointerId)) {
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add("drag");
  }
});
const release = (event) => {
  pointers.delete(event.pointerId);
  if (!pointers.size) canvas.classList.remove("drag");
};
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("click", (event) => {
  if (travelled > 4) return;
  const hit = event.target.closest(".n");
  if (hit) choose(Number(hit.dataset.unit));
  else if (picked != null) choose(null);
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY * lines * 0.004), spot(event));
  else pan(-event.deltaX * lines, -event.deltaY * lines);
}, { passive: false });

canvas.addEventListener("keydown", (event) => {
  const made = event.target.closest(".n");
  if (!made || event.ctrlKey || event.metaKey || event.altKey) return;
  const unit = Number(made.dataset.unit);
  if (event.key === "Enter" || event.key === " ") {
    choose(unit);
    panel.focus();
  } else {
    const next = beside(unit, event.key);
    if (next === undefined) return;
    go(next);
  }
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target === query;
  if (event.key === "Escape") escape(typing);
  else if (typing) return;
  else if (event.key === "/") query.select();
  else if (event.key === "+" || event.key === "=") zoom(1.25);
  else if (event.key === "-") zoom(0.8);
  else if (event.key === "0") glide(whole());
  else return;
  event.preventDefault();
});

function escape(typing) {
  if ($("groups").open) {
    $("groups").open = false;
    $("groups").querySelector("summary").focus();
  } else if (typing) {
    if (query.value) clearSearch();
    else shapes[stop]?.focus({ preventScroll: true });
  } else if (picked != null) unchoose();
  else clearSearch();
}

query.addEventListener("input", search);
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1);
});
$("in").onclick = () => zoom(1.25);
$("out").onclick = () => zoom(0.8);
$("fit").onclick = () => glide(whole());
$("theme").onclick = () => {
  const dark = theme ? theme === "dark" : night.matches;
  theme = dark ? "light" : "dark";
  paint();
  remember("replaceState");
  if (picked != null) fill(picked);
};
night.addEventListener("change", paint);
addEventListener("hashchange", readAddress);

groupMenu();
arrange();
Object.assign(view, beginning());
readAddress();
show();
