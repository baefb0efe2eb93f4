"use strict";
// How a chart is drawn, when it is opened; beside each stands a table with the same figures.

let library;
/** Run the library of charts, which stands in the page packed by gzip, once. */
function loadLibrary() {
  library ??= (async () => {
    const packed = Uint8Array.from(atob(find("#plotly").textContent), (each) => each.charCodeAt(0));
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = make("script");
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
    return window.Plotly;
  })();
  return library;
}

/** Print a number with three digits and a prefix: 0.0312 -> "31.2 mJ". */
function print(value, unit) {
  if (!value || !Number.isFinite(value)) return `${value} ${unit}`;
  const prefixes = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"]];
  const [factor, prefix] = prefixes.find(([each]) => Math.abs(value) >= each * 0.9995) ?? prefixes.at(-1);
  const scaled = value / factor;
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(scaled) * 1.0005)));
  return `${scaled.toFixed(digits)} ${prefix}${unit}`;
}

/** Return a table; columns whose heading ends in a space have numbers, which stand on the right. */
function makeTable(label, head, lines) {
  const kind = head.map((text) => (text.endsWith(" ") ? { class: "number" } : {}));
  const cells = (line) => line.map((text, i) => make(i ? "td" : "th", i ? kind[i] : { scope: "row" }, text ?? ""));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, make("table", { class: "plain" },
    make("thead", {}, make("tr", {}, ...head.map((text, i) => make("th", { scope: "col", ...kind[i] }, text.trim())))),
    make("tbody", {}, ...lines.map((line) => make("tr", {}, ...cells(line))))));
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const drawn = new Map(); // plots that are open, and how to draw them again in another theme

/** Return text so that plotly shows it as it is: it reads some tags and entities. */
function literal(text) {
  if (Array.isArray(text)) return text.map(literal);
  return typeof text === "string" ? text.replaceAll("&", "&amp;").replaceAll("<", "&lt;") : text;
}
const written = (of, keys) => ({ ...of, ...Object.fromEntries(keys.filter((key) => key in of).map((key) => [key, literal(of[key])])) });

function draw(plot, figure) {
  const { traces, layout } = figure();
  const axis = { nticks: 6, gridcolor: color("line"), zerolinecolor: color("line"), automargin: true };
  const whole = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: color("fg"), size: 12 },
    margin: { l: 10, r: 10, t: layout.showlegend ? 30 : 8, b: 10 }, showlegend: false, hovermode: "closest",
    // A finger that moves over a chart scrolls the page.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", ...layout,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", traceorder: "normal" }, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
  };
  if (layout.height) plot.style.height = `${layout.height}px`;
  drawn.set(plot, figure);
  return loadLibrary().then((charts) => charts.react(plot, traces.map((trace) => written(trace, ["x", "y", "text", "name"])), whole, { displayModeBar: false, responsive: true }));
}
function redraw() {
  for (const [plot, figure] of drawn) if (plot.isConnected) draw(plot, figure); else drawn.delete(plot);
}
document.addEventListener("themechange", redraw);

/** Add a chart with a text for those who do not see it, and its figures as a table. */
function addChart(container, title, words, figure, head, lines) {
  const plot = make("div", { class: "plot", role: "img", "aria-label": `${title}: ${words}` });
  const more = make("details", {}, make("summary", {}, "Figures as a table"), makeTable(`Table: ${title}`, head, lines));
  container.append(make("figure", {}, make("figcaption", {}, title), make("p", { class: "below" }, words), plot, more));
  draw(plot, figure);
}

function addTable(container, title, words, head, lines) {
  container.append(make("figure", {}, make("figcaption", {}, title), make("p", { class: "below" }, words), makeTable(`Table: ${title}`, head, lines)));
}

const base = (unit) => unit.split("/")[0];
const marked = (test) => (test.estimated ? "estimated ±50 %, " : "");
const units = (unit, title) => ({ title: { text: literal(title) }, tickformat: "~s", ticksuffix: literal(unit) });
const level = (y, name, dash) => ({
  type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: color(name), width: 1.5, dash },
});
const NAMES = { type: "category", dtick: 1, autorange: "reversed", tickfont: { size: 11 } };

/** Draw once, when a part of the page is open. */
function whenOpen(details, add) {
  const container = find(".charts", details);
  const begin = () => { if (details.open && !container.hasChildNodes()) add(container); };
  details.addEventListener("toggle", () => {
    // Many opened at once are drawn one after the other as they come into sight.
    if (!details.open || container.hasChildNodes()) return;
    new IntersectionObserver((seen, observer) => {
      if (seen.some((each) => each.isIntersecting)) { observer.disconnect(); begin(); }
    }, { rootMargin: "300px" }).observe(details);
  });
  if (details.open) details.dispatchEvent(new Event("toggle"));
}
addEventListener("beforeprint", () => { for (const plot of drawn.keys()) window.Plotly?.Plots.resize(plot); });
