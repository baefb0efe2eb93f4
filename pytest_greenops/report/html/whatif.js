"use strict";
// Measured joules on another grid, in another data centre or on another GPU: nothing is measured here.
(() => {
  const elsewhere = find("#elsewhere");
  if (!elsewhere) return;
  const MOST = 100;
  const [region, pue, gpu] = ["#region", "#pue", "#gpu"].map((selector) => find(selector));
  const number = (input, least, most) => (input && input.checkValidity() && +input.value >= least && +input.value <= most ? +input.value : null);

  function suppose() {
    if (!elsewhere.open) return;
    const grid = region.value === "" ? null : report.regions[+region.value];
    const factor = number(pue, 1, 9.99);
    const efficiency = gpu ? number(gpu, 0.01, 1000) : 1;
    const body = find("#supposed tbody");
    if (factor === null || efficiency === null) {
      find("#assumed").textContent = "Enter a PUE from 1 to below 10, and a relative efficiency above 0.";
      body.replaceChildren();
      return;
    }
    const fits = rows.filter((row) => row.kinds && !row.body.hidden);
    find("#assumed").textContent = `Hypothetical, not measured: the same work ${grid ? `at ${grid[2]}` : "on an unknown grid, so without CO2e"}, PUE ${factor}${efficiency === 1 ? "" : `, a GPU with ${efficiency} times as many operations per joule`}; ${fits.length > MOST ? `the first ${MOST} of ${fits.length} tests, by the filter and order of the table above` : "the tests that the filter shows"}.`;
    const placed = new Map(fits.map((row) => [row.body, row]));
    const inOrder = [...table.tBodies].map((each) => placed.get(each)).filter(Boolean).slice(0, MOST);
    body.replaceChildren(...inOrder.map((row) => {
      const here = Object.values(row.kinds).reduce((sum, joules) => sum + joules, 0);
      const there = Object.entries(row.kinds).reduce((sum, [kind, joules]) => sum + (kind === "gpu" ? joules / efficiency : joules), 0) * factor;
      const mark = row.estimated ? "~" : "";
      const of = row.domain ? ` (${row.domain})` : "";
      const link = find("a", row.body).cloneNode(true);
      return make("tr", {},
        make("th", { scope: "row" }, link), make("td", {}, `${mark}${print(here, "J")}${of}`),
        make("td", { class: "supposed" }, `${mark}${print(there, "J")}${of}`),
        make("td", { class: "supposed" }, grid ? `${mark}${print((there / 3.6e6) * grid[1], "g")} CO2e` : "grid unknown"));
    }));
  }

  find("form", elsewhere).addEventListener("submit", (event) => event.preventDefault());
  elsewhere.addEventListener("toggle", suppose);
  elsewhere.addEventListener("input", suppose);
  document.addEventListener("filterchange", suppose);
})();
