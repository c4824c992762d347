"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const plots = [...document.querySelectorAll(".plot")];
  const config = { responsive: true, displayModeBar: false, displaylogo: false };
  let chosen = "all";

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  // Every figure takes the page's own colours, so that it follows the theme.
  function dress(figure) {
    const layout = structuredClone(figure.layout);
    const text = colour("--text");
    const line = colour("--line");
    layout.font = { color: text, family: "system-ui, sans-serif", size: 12 };
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: colour("--ground"), font: { color: text } };
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis/.test(name)) {
        layout[name] = { gridcolor: line, zerolinecolor: line, linecolor: line, ...layout[name] };
      }
    }
    return { data: structuredClone(figure.data), layout };
  }

  function figureOf(chart) {
    return chart.variants[chosen] || chart.figure;
  }

  function say(name, chart) {
    const place = document.querySelector(`.shown[data-chart="${name}"]`);
    if (!place) return;
    if (chosen === "all") place.textContent = "";
    else if (chart.variants[chosen]) place.textContent = `– ${chosen.slice(chosen.indexOf(":") + 1)}`;
    else place.textContent = "– everybody";
  }

  function draw(place) {
    const name = place.dataset.chart;
    const chart = charts[name];
    const { data, layout } = dress(figureOf(chart));
    say(name, chart);
    return Plotly.react(place, data, layout, config);
  }

  async function drawAll() {
    for (const place of plots) {
      await draw(place);
      // The page stays usable meanwhile.
      await new Promise((done) => setTimeout(done));
    }
    root.dataset.drawn = chosen;
  }

  function setTheme(name) {
    root.dataset.theme = name;
    button.setAttribute("aria-pressed", String(name === "dark"));
  }

  button.addEventListener("click", () => {
    setTheme(root.dataset.theme === "dark" ? "light" : "dark");
    drawAll();
  });
  dark.addEventListener("change", () => {
    setTheme(dark.matches ? "dark" : "light");
    drawAll();
  });

  const selects = [...document.querySelectorAll("#filters select")];
  const filtered = document.getElementById("filtered");
  for (const select of selects) {
    select.addEventListener("change", () => {
      // A mart parts customers in one way at a time.
      for (const other of selects) if (other !== select) other.value = "all";
      chosen = select.value;
      delete root.dataset.drawn;
      const segment = chosen.startsWith("segment:") ? chosen.slice(8) : null;
      for (const card of document.querySelectorAll(".card")) {
        card.classList.toggle("pale", segment !== null && card.dataset.segment !== segment);
      }
      const count = Object.values(charts).filter((chart) => chart.variants[chosen]).length;
      filtered.textContent = chosen === "all" ? "" : `${count} charts show it; the others show everybody.`;
      search();
      drawAll();
    });
  }
  const form = document.getElementById("filters");
  if (form) form.addEventListener("submit", (event) => event.preventDefault());

  const field = document.getElementById("search");
  const found = document.getElementById("found");
  const rules = [...document.querySelectorAll("#rules-table tbody tr")];
  const texts = rules.map((row) => `${row.cells[0].textContent} ${row.cells[1].textContent}`.toLowerCase());

  function search() {
    if (!field) return;
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const segment = chosen.startsWith("segment:") ? chosen.slice(8) : "";
    let shown = 0;
    rules.forEach((row, place) => {
      const fits = row.dataset.segment === segment && words.every((word) => texts[place].includes(word));
      row.hidden = !fits;
      if (fits) shown += 1;
    });
    found.textContent = `${shown.toLocaleString("en")} ${shown === 1 ? "rule" : "rules"}`;
  }
  if (field) field.addEventListener("input", search);

  // On paper the ground is white and the page narrower.
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    setTheme("light");
    for (const place of plots) {
      const { data, layout } = dress(figureOf(charts[place.dataset.chart]));
      Plotly.react(place, data, { ...layout, width: 660 }, { ...config, responsive: false });
    }
  });
  window.addEventListener("afterprint", () => {
    setTheme(before || "light");
    drawAll();
  });

  setTheme(dark.matches ? "dark" : "light");
  search();
  drawAll();
})();
