"use strict";
// Charts of a test.

const sessionName = (number) => (number ? `fresh process ${number}` : "this run's process");

function addRounds(container, test) {
  const { unit, sessions, baseline, limit, low, high, budget, of } = test.rounds;
  const printed = (value) => print(value, unit);
  const words = [`${marked(test)}${of}`];
  if (baseline !== undefined) words.push(`baseline ${printed(baseline)} (solid), limit ${printed(limit)} (dashed), 95 % CI of the change ${printed(low)} to ${printed(high)} (band)`);
  if (budget !== undefined) words.push(`budget ${printed(budget)} (dotted)`);
  addChart(container, "Rounds by session", words.join("; "), () => {
    const traces = [];
    let from = 1;
    sessions.forEach((values, number) => {
      traces.push({
        x: values.map((_, i) => from + i), y: values, mode: "markers", name: sessionName(number),
        marker: { color: color(number % 2 ? "other" : "series"), size: 7, symbol: number % 2 ? "diamond" : "circle" },
        hovertemplate: `%{text}<extra>${sessionName(number)}</extra>`, text: values.map(printed),
      });
      from += values.length;
    });
    const shapes = [];
    if (baseline !== undefined) {
      shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, y0: low, y1: high, fillcolor: color("series"), opacity: 0.15, line: { width: 0 } });
      shapes.push(level(baseline, "dim", "solid"), level(limit, "red", "dash"));
    }
    if (budget !== undefined) shapes.push(level(budget, "red", "dot"));
    const shown = [...sessions.flat(), ...[baseline, limit, low, high, budget].filter((each) => each !== undefined)];
    const space = (Math.max(...shown) - Math.min(...shown)) * 0.08 || Math.abs(shown[0]) * 0.05 || 1;
    const range = [Math.min(...shown) - space, Math.max(...shown) + space];
    return { traces, layout: { shapes, showlegend: sessions.length > 1, xaxis: { title: { text: "round" } }, yaxis: { ...units(base(unit), unit), range } } };
  }, ["session", "round ", "energy "], sessions.flatMap((values, number) => values.map((value, i) => [sessionName(number), `${i + 1}`, printed(value)])));
}

const begun = (points) => (points.length ? [[0, points[0][1]], ...points] : []);
function addPower(container, test) {
  addChart(container, "Power by round", `${marked(test)}mean of each round over the measured time; the time between rounds is left out`, () => ({
    traces: test.power.map((points, number) => ({
      x: begun(points).map((point) => point[0]), y: begun(points).map((point) => point[1]), mode: "lines", name: sessionName(number),
      line: { color: color(number % 2 ? "other" : "series"), shape: "vh", dash: number % 2 ? "dot" : "solid" },
      hovertemplate: "%{text}<extra></extra>", text: begun(points).map((point) => print(point[1], "W")),
    })),
    layout: { showlegend: test.power.length > 1, xaxis: units("s", "measured time"), yaxis: { ...units("W", "W"), rangemode: "tozero" } },
  }), ["session", "until ", "power "], test.power.flatMap((points, number) => points.map(([s, w]) => [sessionName(number), print(s, "s"), print(w, "W")])));
}

/** Draw the power of counters that were read while windows were open: means of consecutive parts. */
function addRead(container, test) {
  const { words, curves } = test.read;
  const name = ([counter, session]) => (test.rounds.sessions.length > 1 ? `${counter}, ${sessionName(session)}` : counter);
  const dashes = ["solid", "dot", "dash", "dashdot"];
  addChart(container, "Power over the measured time, as it was read", words, () => ({
    traces: curves.map((curve, place) => {
      const points = begun(curve[2].map((until, i) => [until, curve[3][i]]));
      return {
        x: points.map((point) => point[0]), y: points.map((point) => point[1]), mode: "lines", name: name(curve),
        line: { color: color(place % 2 ? "other" : "series"), shape: "vh", width: 1.5, dash: dashes[place % dashes.length] },
        hovertemplate: "%{text}<extra></extra>", text: points.map((point) => `${name(curve)}: ${print(point[1], "W")}`),
      };
    }),
    layout: { showlegend: curves.length > 1, xaxis: units("s", "measured time"), yaxis: { ...units("W", "W"), rangemode: "tozero" } },
  }), ["counter", "process", "until ", "mean power "], curves.flatMap(([counter, session, until, watts]) => until.map((s, i) => [counter, sessionName(session), print(s, "s"), print(watts[i], "W")])));
}

function addPairs(container, test) {
  const { words, ref, pairs, change, low, high, margin } = test.pairs;
  const { unit } = test.rounds;
  const percent = (share) => `${share < 0 ? "" : "+"}${(share * 100).toFixed(Math.abs(share) < 0.0995 ? 1 : 0)} %`;
  const rows = pairs.map(([relative, mine, theirs, second, start, process, counts], i) => [
    `${i + 1}`, percent(relative), print(mine, unit), print(theirs, unit), second ? "ref" : "working\u00a0tree", `${start}`, `${process}`, counts ? "yes" : "no",
  ]);
  const marks = [["working tree first", "circle", "series"], ["ref first", "diamond", "other"], ["does not count", "x", "dim"]];
  addChart(container, "A/B pairs", words, () => {
    const shapes = [];
    if (low !== undefined && high !== undefined) shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, y0: low * 100, y1: high * 100, fillcolor: color("series"), opacity: 0.15, line: { width: 0 } });
    if (change !== undefined) shapes.push(level(change * 100, "dim", "solid"));
    shapes.push(level(margin * 100, "red", "dash"));
    const traces = marks.map(([name, symbol, tone], kind) => {
      const shown = [...pairs.keys()].filter((place) => (pairs[place][6] ? pairs[place][3] : 2) === kind);
      return {
        x: shown.map((place) => place + 1), y: shown.map((place) => pairs[place][0] * 100), mode: "markers", name,
        marker: { color: color(tone), size: 8, symbol }, hovertemplate: "%{text}<extra></extra>",
        text: shown.map((place) => `pair ${rows[place][0]}: ${rows[place][1]}, ${rows[place][2]} after ${rows[place][3]}`),
      };
    }).filter((trace) => trace.x.length);
    const every = [...pairs.map((pair) => pair[0]), margin, 0, low ?? 0, high ?? 0].map((each) => each * 100);
    const space = (Math.max(...every) - Math.min(...every)) * 0.08 || 1;
    return { traces, layout: { shapes, showlegend: true, xaxis: { title: { text: "pair" } }, yaxis: { ticksuffix: " %", zerolinewidth: 2, range: [Math.min(...every) - space, Math.max(...every) + space] } } };
  }, ["pair", "change ", "working tree ", `${ref} `, "first", "start ", "processes ", "counts"], rows);
}

/** Draw by how much each operator, or module, changed the weighted sum of the counted work. */
function addDifference(container, { title, words, head, rows, shares }) {
  if (shares.includes(null)) { addTable(container, title, words, head, rows); return; }
  addChart(container, title, `${words}; bars to the right are more work`, () => ({
    traces: [{
      type: "bar", orientation: "h", y: rows.map((row) => row[0]), x: shares.map((share) => share * 100),
      marker: { color: shares.map((share) => color(share > 0 ? "red" : "green")) },
      hovertemplate: "%{text}<extra></extra>", text: rows.map((row) => row.filter(Boolean).join(", ")), textposition: "none",
    }],
    layout: { height: 80 + 24 * rows.length, xaxis: { ticksuffix: " %", zerolinewidth: 2 }, yaxis: NAMES },
  }), head, rows);
}

const PATTERNS = { cpu: "", dram: "/", gpu: "x", psys: "." };
function addStacks(container, title, words, names, stacks) {
  const kinds = [...new Set(stacks.flatMap(Object.keys))];
  const height = 60 + 34 * names.length;
  addChart(container, title, words, () => ({
    traces: kinds.map((kind, place) => ({
      type: "bar", orientation: "h", name: kind, y: names, x: stacks.map((stack) => stack[kind] ?? 0),
      marker: { color: color(place % 2 ? "other" : "series"), opacity: place > 1 ? 0.6 : 1, pattern: { shape: PATTERNS[kind] ?? "" } },
      hovertemplate: "%{text}<extra></extra>", text: stacks.map((stack) => `${kind} ${print(stack[kind] ?? 0, "J")}`), textposition: "none",
    })),
    layout: { barmode: "stack", bargap: 0.3, height: Math.max(height, 150), showlegend: true, xaxis: units("J", "joules of a call"), yaxis: NAMES },
  }), ["", ...kinds.map((kind) => `${kind} `)], names.map((name, i) => [name, ...kinds.map((kind) => (kind in stacks[i] ? print(stacks[i][kind], "J") : "–"))]));
}

function addChanges(container, test) {
  const names = test.changes.map((each) => each[0][0]);
  const words = test.changes.map(([cells]) => `${cells[0]}: ${cells[1]} (95 % CI ${cells[2]}), limit ${cells[3]}${cells[4] && ", decides"}`);
  addChart(container, "Change, with its interval and the limit", `${words.join("; ")}; the limit is dashed`, () => ({
    traces: [{
      x: test.changes.map((each) => each[1] * 100), y: names, mode: "markers", marker: { color: color("series"), size: 10 },
      error_x: {
        type: "data", symmetric: false, color: color("series"), thickness: 2,
        array: test.changes.map((each) => (each[3] - each[1]) * 100), arrayminus: test.changes.map((each) => (each[1] - each[2]) * 100),
      },
      hovertemplate: "%{text}<extra></extra>", text: words,
    }],
    layout: {
      height: 90 + 45 * names.length,
      shapes: test.changes.map((each, i) => ({ type: "line", x0: each[4] * 100, x1: each[4] * 100, y0: i - 0.4, y1: i + 0.4, line: { color: color("red"), dash: "dash" } })),
      xaxis: { ticksuffix: " %", rangemode: "tozero", zerolinewidth: 2 }, yaxis: { type: "category", range: [-0.6, names.length - 0.4], tickfont: { size: 11 } },
    },
  }), ["compared with", "change ", "95 % CI ", "limit ", ""], test.changes.map(([cells]) => cells));
}

function addLayers(container, test) {
  const lines = test.layers.map(([name, kind, joules, before, share, change]) => [name, kind, print(joules, "J"), share, before === null ? "–" : `${print(before, "J")} (${change})`]);
  addChart(container, "Joules by layer", `${marked(test)}each layer replayed on its own input; share of the models' joules`, () => ({
    traces: [{
      type: "bar", orientation: "h", y: test.layers.map((each) => each[0]), x: test.layers.map((each) => each[2]),
      marker: { color: color("series") }, hovertemplate: "%{text}<extra></extra>", text: lines.map((line) => line.join(", ")), textposition: "none",
    }],
    layout: { height: 80 + 24 * lines.length, xaxis: units("J", "joules of a call"), yaxis: NAMES },
  }), ["layer", "class", "energy ", "share ", "baseline "], lines);
}

function addWork(container, test) {
  const head = ["calls ", "FLOP ", "read ", "written "];
  const caption = (what, { rows, of }) => `counted, not measured; ${rows.length < of ? `the ${rows.length} largest of ${of} ${what}` : `${of} ${what}`}`;
  for (const each of test.differences ?? []) addDifference(container, each);
  for (const [key, title, what] of [["work_changes", "What changed, by operator", "operator"], ["module_changes", "What changed, by module", "module"]]) {
    if (test[key]) addTable(container, title, "counted work against what was accepted, the largest change first", [what], test[key].map((line) => [line]));
  }
  if (test.operators) addTable(container, "Counted work by operator", caption("operators", test.operators), ["operator", ...head], test.operators.rows);
  if (test.modules) addTable(container, "Counted work by module", caption("modules, each without the modules inside it", test.modules), ["module", ...head], test.modules.rows);
}

function addCharts(container, place) {
  const test = report.tests[place];
  if (test.changes) addChanges(container, test);
  if (test.pairs) addPairs(container, test);
  if (test.rounds) addRounds(container, test);
  if (test.power) addPower(container, test);
  if (test.read) addRead(container, test);
  const windows = report.windows.find((places) => places.includes(place));
  if (test.domains && !windows) addStacks(container, "Joules by domain", `${marked(test)}of one call`, ["call"], [test.domains]);
  if (windows) {
    const names = windows.map((each) => find("a", rows[each].body).textContent.split(" · ")[1] ?? "call");
    addStacks(container, "Joules by named window of this test", `${marked(test)}of one call each; a window may lie within another`, names, windows.map((each) => report.tests[each].domains ?? { all: report.tests[each].joules }));
  }
  if (test.layers) addLayers(container, test);
  addWork(container, test);
}

function addFront(container, front) {
  const point = ([name, quality, joules]) => [`${name}: ${front.quality} ${quality}, ${print(joules, front.unit)}`, quality, joules];
  const best = front.front.map(point);
  const beaten = front.dominated.map(point);
  const trace = (points, name, more) => ({
    x: points.map((each) => each[2]), y: points.map((each) => each[1]), name, text: points.map((each) => each[0]), hovertemplate: "%{text}<extra></extra>", ...more,
  });
  const words = `${front.estimated ? "estimated ±50 %, " : ""}${best.length} on the front (circles), ${beaten.length} dominated (crosses); the table below has each`;
  const plot = make("div", { class: "plot", role: "img", "aria-label": `${front.quality} over ${front.unit} of ${front.title}: ${words}` });
  container.append(make("figure", {}, make("figcaption", {}, `${front.quality} over ${front.unit}`), make("p", { class: "below" }, words), plot));
  draw(plot, () => ({
    traces: [
      trace(best, "front", { mode: "lines+markers", line: { shape: "hv", color: color("series") }, marker: { size: 9, color: color("series") } }),
      trace(beaten, "dominated", { mode: "markers", marker: { size: 9, symbol: "x", color: color("dim") } }),
    ],
    layout: { showlegend: true, xaxis: units(base(front.unit), front.unit), yaxis: { title: { text: literal(front.quality) } } },
  }));
}

for (const row of rows) whenOpen(find("details", row.body), (container) => addCharts(container, row.place));
for (const details of all("details[data-front]")) whenOpen(details, (container) => addFront(container, report.fronts[details.dataset.front]));
openTarget();
