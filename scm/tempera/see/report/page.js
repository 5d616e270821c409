// page.js -- builds the sections of the page from the report's data; switches its theme.

const report = JSON.parse(document.getElementById("report").textContent);

const builders = {
  pictures: block => pictureSection(block, report.colours),
  plane: planeSection,
  charts: block => element("div", { class: "charts" }, ...block.charts.map(c => chart(c).node)),
  table: sortedTable,
  sweep: sweepSection,
  facts: block => element("dl", {}, ...block.rows.flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, value)])),
  notes: block => element("ul", { class: block.good ? "notes good" : "notes" },
                          ...block.items.map(text => element("li", {}, text))),
  text: block => element("p", {}, block.text),
  log: block => element("pre", { tabindex: "0" }, block.text),
  command: commandBlock,
  images: block => element("div", { class: "images" }, ...block.images.map(i =>
    element("figure", {}, element("figcaption", {}, element("h3", {}, i.name)),
            element("img", { alt: i.name, src: `data:${i.type};base64,${document.getElementById(i.data).textContent}`,
                             load: e => e.target.classList.toggle("small", e.target.naturalWidth < 256) })))),
};

function commandBlock(block) {
  const copy = element("button", { type: "button", click: async () => {
    try { await navigator.clipboard.writeText(block.text); copy.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(text); copy.textContent = "Selected"; }
  } }, "Copy");
  const text = element("pre", { tabindex: "0" }, block.text);
  return element("div", { class: "command" }, text, copy);
}

// Samples that are vectors: the first two components, at each sigma; a histogram if there is one.
function planeSection(block) {
  const states = block.states.map(s => ({ sigma: s.sigma, parts: s.parts.map(decoded) }));
  const line = states[0].parts.length < 2;
  const spec = k => {
    const [x, y] = states[k].parts;
    if (!line) return { series: [{ style: "points", points: Array.from(x, (v, i) => [v, y[i]]) }] };
    const sorted = ascending(x), from = sorted[0], wide = (sorted[sorted.length - 1] - from) / 30 || 1;
    const heights = new Array(30).fill(0);
    for (const v of sorted) heights[clamped(Math.floor((v - from) / wide), 0, 29)]++;
    return { series: [{ style: "bars", points: heights.map((h, i) => [from + (i + 0.5) * wide, h, wide]) }] };
  };
  const last = states.length - 1;
  const picture = chart({ title: line ? "Samples" : "Samples, second number over first", x: { label: "first number" }, y: { whole: line }, nearest: "point", height: 420, ...spec(last) });
  const at = slider("Sigma", { min: 0, max: last, value: last, "data-slider": "state" }, k => numberText(states[k].sigma),
                    k => picture.update(spec(k)));
  if (last > 0) picture.node.append(element("div", { class: "slider" }, at.node));
  return picture.node;
}

// Results over one parameter, a line for each value of another, and a heat map over both.
function sweepSection(block) {
  const { columns, rows, parameters, results } = block, none = "nothing";
  const charts = element("div", { class: "charts" });
  const x = choice("Over", parameters, show), y = choice("Show", results, show);
  const by = choice("Lines by", [none, ...parameters], show);
  if (parameters.length > 1) by.select.value = parameters[1];
  const index = name => columns.indexOf(name), label = v => typeof v === "number" ? numberText(v) : String(v);
  const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en");
  const different = name => [...new Set(rows.map(r => r[index(name)]))].filter(v => v !== null).sort(order);
  const mean = list => list.reduce((s, v) => s + v, 0) / list.length;

  function show() {
    const [i, j, k] = [x.select.value, y.select.value, by.select.value].map(index);
    const positions = different(columns[i]), words = positions.some(v => typeof v !== "number");
    const place = v => words ? positions.indexOf(v) : v;
    const spread = !words && positions[0] > 0 && positions[positions.length - 1] / positions[0] >= 30;
    const lines = (k < 0 || k === i ? [null] : different(columns[k])).map(value => {
      const mine = rows.filter(r => (value === null || r[k] === value) && typeof r[j] === "number");
      return { name: value === null ? "" : `${columns[k]} ${label(value)}`, style: "line",
               points: positions.map(p => [place(p), mine.filter(r => r[i] === p).map(r => r[j])])
                                .filter(p => p[1].length).map(p => [p[0], mean(p[1])]) };
    });
    const title = `${columns[j]} over ${columns[i]}`;
    const axis = { label: words ? `${columns[i]} (${positions.map((p, n) => `${n}: ${label(p)}`).join(", ")})` : columns[i], log: spread };
    const made = [chart({ title, x: axis, y: {}, series: lines }).node];
    if (k >= 0 && k !== i) made.push(heatMap({
      title: `${columns[j]} over both`, x: columns[i], y: columns[k], z: columns[j],
      columns: positions, rows: different(columns[k]).reverse(),
      values: different(columns[k]).reverse().map(b => positions.map(a => {
        const here = rows.filter(r => r[i] === a && r[k] === b && typeof r[j] === "number").map(r => r[j]);
        return here.length ? mean(here) : null;
      })) }, colourTable(report.colours.heat)).node);
    charts.replaceChildren(...made);
  }

  if (!parameters.length || !results.length) return element("p", {}, "No numbers to draw.");
  show();
  return element("div", {}, element("div", { class: "tools" }, y.node, x.node, by.node), charts);
}

// --- The theme: the browser's, until the button is pressed

const dark = matchMedia("(prefers-color-scheme: dark)"), themeButton = document.getElementById("theme");
function remembered(theme) {
  try {
    if (theme) localStorage.setItem("tempera-theme", theme);
    return localStorage.getItem("tempera-theme");
  } catch { return null; }      // a page from a file may not be allowed to remember
}
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  themeButton.setAttribute("aria-pressed", String(theme === "dark"));
}
setTheme(remembered() || (dark.matches ? "dark" : "light"));
dark.addEventListener("change", () => { if (!remembered()) setTheme(dark.matches ? "dark" : "light"); });
themeButton.addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  remembered(theme);
  setTheme(theme);
});

report.sections.forEach((section, k) => {
  document.querySelector("nav").append(element("a", { href: `#section-${k}` }, section.title));
  document.getElementById("contents").append(
    element("section", { id: `section-${k}`, "aria-labelledby": `title-${k}` },
            element("h2", { id: `title-${k}` }, section.title),
            ...section.blocks.map(block => builders[block.type](block))));
});
