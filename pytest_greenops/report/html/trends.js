"use strict";
// The chart of a trend: its runs, their intervals, the levels, and a mark for each step.

const axisChoice = find("#axis");
const byTime = () => axisChoice?.value === "time";

/** Return texts for a few places between two runs, as many as fit: the commit above the day. */
function ticks(lines, [first, last], width) {
  const from = Math.max(Math.ceil(first), 0);
  const to = Math.min(Math.floor(last), lines.length - 1);
  const apart = Math.max(1, Math.ceil((to - from) / Math.max(Math.floor(width / 95), 1)));
  const tickvals = [];
  for (let run = to; run >= from; run -= apart) tickvals.push(run);
  tickvals.reverse();
  return { tickvals, ticktext: tickvals.map((run) => `${literal(lines[run][1])}<br>${lines[run][0].slice(0, 10)}`) };
}

/** Return the texts above the marks, in rows in which none touches another; without them if there are too many. */
function labels(steps, place, width, domain) {
  const pixels = (x) => ((x - domain[0]) / (domain[1] - domain[0])) * width;
  for (const [text, rows] of [[5, 3], [4, 3]]) {
    const ends = [];
    const made = steps.map((step) => {
      const size = step[text].length * 5.8 + 10;
      const left = Math.min(Math.max(pixels(place(step)) - size / 2, 0), Math.max(width - size, 0));
      let row = ends.findIndex((end) => end <= left);
      if (row < 0) row = ends.length;
      ends[row] = left + size;
      return { step, row, middle: left + size / 2, text: step[text] };
    });
    if (ends.length <= rows) return { made, rows: ends.length };
  }
  return { made: [], rows: 0 };
}

function trendFigure(plot, test, lines) {
  const number = test.values.length;
  const width = Math.max(plot.clientWidth - 80, 150);
  const x = byTime() ? lines.map(([at]) => Date.parse(`${at.replace(" ", "T")}Z`)) : test.values.map((_, run) => run);
  const space = (x[number - 1] - x[0]) * 0.02 + (byTime() ? 3.6e6 : 0.5);
  const domain = [x[0] - space, x[number - 1] + space];
  const many = number > 200;
  const shown = [...test.values, ...test.low, ...test.high].filter((value) => value !== null);
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  const above = Math.max((most - least) * 0.08, (Math.abs(most) * 0.05 - (most - least)) / 2, Number.MIN_VALUE);
  const range = [least - above, most + above];
  const kinds = { red: new Set(test.red), saved: new Set(test.saved) };
  const kindOf = (run) => (kinds.red.has(run) ? "red" : kinds.saved.has(run) ? "saved" : "plain");
  const dots = (kind, name, symbol, size) => {
    const runs = x.map((_, run) => run).filter((run) => kindOf(run) === kind);
    return {
      x: runs.map((run) => x[run]), y: runs.map((run) => test.values[run]), mode: "markers", marker: { color: color(name), symbol, size },
      text: runs.map((run) => lines[run].join(", ")), hovertemplate: "%{text}<extra></extra>",
    };
  };
  const gaps = (pairs) => pairs.flatMap(([one, other]) => [one, other, null]);
  const known = x.map((_, run) => run).filter((run) => test.low[run] !== null && test.high[run] !== null);
  const still = { mode: "lines", hoverinfo: "skip" };
  const half = byTime() ? 0 : 0.4;
  const place = ([, at]) => (x[at - 1] + x[at]) / 2;
  const texts = labels(test.steps, place, width, domain);
  const colorOf = (step) => color(step[3] ? "amber" : "green");
  return {
    traces: [
      { ...still, x: gaps(known.map((run) => [x[run], x[run]])), y: gaps(known.map((run) => [test.low[run], test.high[run]])), line: { color: color("series"), width: many ? 1 : 2 }, opacity: 0.35 },
      dots("plain", "series", "circle", many ? 4 : 7), dots("saved", "green", "diamond", many ? 6 : 9), dots("red", "red", "x", many ? 6 : 9),
      { ...still, x: gaps(test.levels.map(([first, last]) => [x[first] - half, x[last] + half])), y: gaps(test.levels.map(([, , value]) => [value, value])), line: { color: color("fg"), width: 2 } },
      {
        x: test.steps.map(place), y: test.steps.map(() => range[1]), mode: "markers", cliponaxis: false,
        marker: { symbol: test.steps.map((step) => (step[3] ? "triangle-up" : "triangle-down")), color: test.steps.map(colorOf), size: 10 },
        text: test.steps.map((step) => step[6]), hovertemplate: "%{text}<extra></extra>",
      },
    ],
    layout: {
      height: 300 + 16 * texts.rows,
      margin: { l: 10, r: 34, t: 14 + 16 * texts.rows, b: 10 },
      shapes: test.steps.flatMap((step) => [
        { type: "rect", yref: "paper", x0: x[step[0]], x1: x[step[2]], y0: 0, y1: 1, fillcolor: colorOf(step), opacity: 0.12, line: { width: 0 }, layer: "below" },
        { type: "line", yref: "paper", x0: place(step), x1: place(step), y0: 0, y1: 1, line: { color: colorOf(step), width: test.steps.length > 30 ? 0.5 : 1.5, dash: "dash" } },
      ]),
      annotations: texts.made.map(({ step, row, middle, text }) => ({
        xref: "paper", x: middle / width, y: 1, yref: "paper", xanchor: "center", yanchor: "bottom", yshift: 8 + 16 * row, text: literal(text), showarrow: false, font: { size: 11, color: colorOf(step) },
      })),
      xaxis: byTime() ? { type: "date", range: domain } : { ...ticks(lines, domain, width), range: domain, showgrid: false, zeroline: false },
      yaxis: test.unit ? { ...units(base(test.unit), test.unit), range } : { title: { text: "weighted work" }, tickformat: "~s", range },
    },
  };
}

function addTrend(container, test) {
  const details = container.closest("details");
  const lines = all(".runs tbody tr:not([class])", details).map((row) => [...row.cells].map((cell) => cell.textContent)).reverse();
  const number = lines.length;
  const words = [`${marked(test)}a dot is a run`];
  if (test.low.some((value) => value !== null)) words.push("its bar the 95 % CI");
  words.push("a line the level");
  if (test.red.length) words.push("crosses regressed or were over budget");
  if (test.saved.length) words.push("diamonds were saved as a baseline");
  if (test.steps.length) words.push(`${test.steps.length === 1 ? "the dashed mark is the step" : `the ${test.steps.length} dashed marks are steps`}, which happened within the band`);
  const title = `${test.kind === "energy" ? "Energy" : "Weighted work"} of ${number === 1 ? "1 run" : `${number} runs`}`;
  const plot = make("div", { class: "plot", role: "img", "aria-label": `${title}: ${words.join(", ")}${test.steps.map((step) => `; ${step[5]}`).slice(-5).join("")}. The table below has each run.` });
  container.append(make("figure", {}, make("figcaption", {}, title), make("p", { class: "below" }, `${words.join(", ")}.`), plot));
  draw(plot, () => trendFigure(plot, test, lines)).then(() => plot.on("plotly_relayout", (change) => {
    const zoomed = change["xaxis.range[0]"] !== undefined || change["xaxis.autorange"];
    if (zoomed && !byTime()) {
      const { tickvals, ticktext } = ticks(lines, plot.layout.xaxis.range, plot.clientWidth - 80);
      window.Plotly.relayout(plot, { "xaxis.tickvals": tickvals, "xaxis.ticktext": ticktext });
    }
  }));
}

let resized;
axisChoice?.addEventListener("change", redraw);
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(redraw, 200); });
for (const row of rows) whenOpen(find("details", row.body), (container) => addTrend(container, row));
openTarget();
