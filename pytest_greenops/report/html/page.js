"use strict";
// Filter, sort, open, copy and the theme. All of it works on what the page shows without scripts.
const report = JSON.parse(document.getElementById("data").textContent);
const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Return an element with attributes and children; text is never read as HTML. */
function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

all(".js").forEach((element) => { element.hidden = false; });

// --- theme: that of the system, until somebody chooses another
const THEMES = { "": "automatic", light: "light", dark: "dark" };
const themeButton = find("#theme");
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  themeButton.textContent = `Theme: ${THEMES[theme]}`;
  document.dispatchEvent(new Event("themechange"));
}
function kept(theme) { // a browser may forbid a file to store anything
  try {
    if (theme !== undefined) localStorage.setItem("greenops-theme", theme);
    return localStorage.getItem("greenops-theme") || "";
  } catch { return ""; }
}
setTheme(kept() in THEMES ? kept() : "");
themeButton.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme || "") + 1) % names.length];
  kept(next);
  setTheme(next);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new Event("themechange"));
});

// --- rows
const table = find("#tests");
const rows = table ? [...table.tBodies].map((body, place) => ({ body, place, id: body.id, ...report.tests[place] })) : [];
const chosen = new Set();
const filter = find("#filter");

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = words.every((word) => row.text.includes(word))
      && (chosen.size === 0 || chosen.has(row.body.dataset.outcome));
    row.body.hidden = !fits;
    shown += fits;
  }
  find("#shown").textContent = shown === rows.length ? `${shown} shown` : `${shown} of ${rows.length} shown`;
  document.dispatchEvent(new Event("filterchange"));
}

if (table) {
  filter.addEventListener("input", applyFilter);
  for (const item of all("#counts > li")) {
    const button = make("button", { type: "button", "aria-pressed": "false" }, ...item.childNodes);
    item.replaceChildren(button);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", on);
      chosen[on ? "add" : "delete"](item.dataset.outcome);
      applyFilter();
    });
  }
  applyFilter();
}

// --- order: a column, and its direction; what has no value is last in both
const headers = table ? [...table.tHead.rows[0].cells] : [];
let order = { column: -1, ascending: true };

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  const sign = order.ascending ? 1 : -1;
  return sign * (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
}

function sortBy(column, ascending) {
  order = { column, ascending };
  const sorted = [...rows].sort((a, b) => compare(a.keys[column], b.keys[column]) || a.place - b.place);
  const bodies = [...table.tBodies];
  if (sorted.some((row, place) => row.body !== bodies[place])) table.append(...sorted.map((row) => row.body));
  headers.forEach((header, place) => {
    header.setAttribute("aria-sort", place !== column ? "none" : ascending ? "ascending" : "descending");
  });
  find("#order").value = column;
}

headers.forEach((header, column) => {
  const button = make("button", { type: "button" }, header.textContent.trim());
  header.replaceChildren(button);
  header.setAttribute("aria-sort", "none");
  // Words begin with the first, numbers with the largest.
  const first = column < 2;
  button.addEventListener("click", () => sortBy(column, order.column === column ? !order.ascending : first));
});
if (table) {
  find("#order").addEventListener("change", (event) => sortBy(+event.target.value, event.target.value < 2));
  find("#reverse").addEventListener("click", () => sortBy(Math.max(order.column, 0), !order.ascending));
  sortBy(0, true);
  const openAll = find("#all");
  openAll.addEventListener("click", () => {
    const open = openAll.getAttribute("aria-expanded") !== "true";
    openAll.setAttribute("aria-expanded", open);
    openAll.textContent = open ? "Close all" : "Open all";
    for (const row of rows) if (!row.body.hidden) find("details", row.body).open = open;
  });
}

// --- links to tests: opens the one that the address names, whatever the filter says
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  const row = target && rows.find((each) => each.body === target);
  if (!row) return;
  if (target.hidden) {
    filter.value = "";
    chosen.clear();
    all("#counts button").forEach((button) => button.setAttribute("aria-pressed", "false"));
    applyFilter();
  }
  find("details", target).open = true;
  target.scrollIntoView();
  find("summary", target).focus({ preventScroll: true });
}
addEventListener("hashchange", openTarget);
// A second click on the same link changes no address.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#t-"]');
  if (link && link.getAttribute("href") === location.hash) { event.preventDefault(); openTarget(); }
});

// --- copying; where a browser forbids it, the text is selected instead
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.(".copy");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling ?? button.parentElement);
    button.textContent = "Selected";
  }
  find("#announced").textContent = button.textContent;
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
