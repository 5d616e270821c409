// chart.js -- lines, points, bars and bands as SVG, with the numbers under the pointer.
//
// A chart is { title, x, y, series, marks, nearest }.  An axis is { label, log, whole, low, high },
// all optional.  A series is { name, style, points }, with the styles of charts.scm: line (its points
// marked where they are few), curve, points, reference [x, y], errors [x, y, error], band
// [x, low, high], bars [x, height, width].  A number that is null is left out.  Marks are vertical
// lines { x, kind }, and { from, to } a shaded range.

function linearTicks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(m => m * power >= rough * 0.7);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(k * step);
  return ticks.map(t => Number(t.toPrecision(12)));
}

function logTicks(low, high, most) {
  const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
  const every = Math.max(1, Math.ceil((to - from) / most));
  const decades = Math.log10(high / low), parts = decades < 1.2 ? [1, 2, 3, 5] : decades < 2.2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let k = from; k <= to; k += every) for (const p of parts) ticks.push(p * 10 ** k);
  return ticks.map(t => Number(t.toPrecision(6))).filter(t => t >= low * 0.999 && t <= high * 1.001);
}

function axisScale(axis, values, from, to) {
  const usable = values.filter(v => Number.isFinite(v) && (!axis.log || v > 0));
  let low = axis.low ?? usable.reduce((a, b) => Math.min(a, b), Infinity);
  let high = axis.high ?? usable.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!(low <= high)) [low, high] = axis.log ? [1, 10] : [0, 1];
  if (axis.log) {
    const room = high > low ? (high / low) ** 0.03 : 1.5;
    [low, high] = [low / room, high * room];
  } else {
    const room = high > low ? 0.04 * (high - low) : Math.abs(high) / 2 || 1;
    [low, high] = [axis.low ?? low - room, axis.high ?? high + room];
  }
  const rank = axis.log ? Math.log : x => x;
  const place = v => from + (to - from) * (rank(v) - rank(low)) / (rank(high) - rank(low));
  place.ticks = most => (axis.log && high / low > 4 ? logTicks : linearTicks)(low, high, most)
                          .filter(t => !axis.whole || Number.isInteger(t));
  return place;
}

function chart(spec) {
  const hidden = new Set(), readout = element("output");
  const picture = drawing("svg", { role: "img", tabindex: "0", "aria-label": spec.title + ", a chart; "
                                   + "arrow keys read its numbers", pointermove: follow,
                                   pointerdown: follow, pointerleave: leave, keydown: step });
  const legend = element("div", { class: "legend" });
  const node = element("figure", { class: "chart" },
                       element("figcaption", {}, element("h3", {}, spec.title), readout), picture, legend);
  let scales, shown = [], at = -1, width = 0;

  const plain = { band: "var(--band)", reference: "var(--soft)" };
  const coloured = () => spec.series.filter(s => !plain[s.style]);
  const hue = k => plain[spec.series[k].style] ?? `var(--series-${coloured().indexOf(spec.series[k]) % 6})`;
  // After six colours, dashes.
  const look = k => spec.series[k].style === "reference" ? ""
    : `stroke:${hue(k)};stroke-dasharray:${["none", "7 3", "2 3"][Math.floor(k / 6) % 3]}`;
  const named = () => spec.series.filter(s => s.name).length > 1;

  // A line as it is drawn; else a dot.
  const swatch = (s, k) => ["line", "curve", "reference"].includes(s.style)
    ? drawing("svg", { viewBox: "0 0 22 10", width: 22, height: 10, "aria-hidden": "true" },
              drawing("path", { class: s.style === "reference" ? "reference" : "line", style: look(k), d: "M0 5H22" }))
    : element("i", { style: `background:${hue(k)}` });

  function drawLegend() {
    legend.replaceChildren(...(named() ? spec.series : []).flatMap((s, k) => !s.name ? [] :
      element("button", { type: "button", "aria-pressed": String(!hidden.has(k)), click: () => {
        if (hidden.has(k)) hidden.delete(k); else hidden.add(k);
        drawLegend(); draw();
      } }, swatch(s, k), s.name)));
  }

  function draw() {
    width = picture.clientWidth || 480;
    const height = spec.height || clamped(Math.round(width * 0.5), 190, 300);
    const left = 54, right = width - 12, top = 8, bottom = height - (spec.x.label ? 40 : 24);
    const seen = spec.series.filter((s, k) => !hidden.has(k));
    const bars = seen.some(s => s.style === "bars");
    const x = axisScale(spec.x, seen.flatMap(s => s.points.flatMap(p =>
                          s.style === "bars" ? [p[0] - p[2] / 2, p[0] + p[2] / 2] : [p[0]])), left, right);
    const y = axisScale(bars ? { low: 0, ...spec.y } : spec.y,
                        seen.flatMap(s => s.points.flatMap(p => s.style === "bars" ? [p[1]] : s.style === "errors" ? [p[1] - p[2], p[1] + p[2]] : p.slice(1))),
                        bottom, top);
    scales = { x, y, top, bottom, left, right };
    shown = [];
    const line = (c, x1, y1, x2, y2) => drawing("line", { class: c, x1, y1, x2, y2 });
    const parts = [];
    for (const t of y.ticks(5)) parts.push(line("grid", left, y(t), right, y(t)),
      drawing("text", { x: left - 7, y: y(t) + 4, "text-anchor": "end" }, numberText(t)));
    for (const t of x.ticks(clamped(Math.floor(width / 70), 3, 9)))
      parts.push(line("axis", x(t), bottom, x(t), bottom + 4),
        drawing("text", { x: x(t), y: bottom + 17, "text-anchor": "middle" }, numberText(t)));
    parts.push(line("axis", left, bottom, right, bottom));
    if (spec.x.label) parts.push(drawing("text", { x: (left + right) / 2, y: height - 3,
                                                   "text-anchor": "middle" }, spec.x.label));
    for (const m of spec.marks || []) if ("from" in m)
      parts.push(drawing("rect", { class: "area", x: x(m.from), width: Math.max(1, x(m.to) - x(m.from)),
                                   y: top, height: bottom - top }));
    seen.forEach(s => {
      const k = spec.series.indexOf(s), stroke = `stroke:${hue(k)}`;
      const points = s.points.filter(p => p.every((v, i) => Number.isFinite(v)
        && (!spec.x.log || i > 0 || v > 0) && (!spec.y.log || i === 0 || v > 0)));
      const joined = places => places.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
      if (s.style === "band")
        parts.push(drawing("path", { class: "area", d: joined([...points.map(p => [x(p[0]), y(p[1])]),
                     ...points.slice().reverse().map(p => [x(p[0]), y(p[2])])]) }));
      else if (s.style === "bars")
        parts.push(...points.map(p => drawing("rect", { class: "bars", x: x(p[0] - p[2] / 2),
          width: Math.max(1, x(p[0] + p[2] / 2) - x(p[0] - p[2] / 2) - 1), y: y(p[1]), height: y(0) - y(p[1]) })));
      else {
        const places = points.map(p => [x(p[0]), y(p[1])]);
        if (s.style === "reference") {
          parts.push(drawing("path", { class: "reference", d: joined(places) }));
          return;
        }
        if (s.style === "errors")
          parts.push(drawing("path", { class: "line", style: stroke,
            d: points.map(p => joined([[x(p[0]), y(p[1] - p[2])], [x(p[0]), y(p[1] + p[2])]])).join("") }));
        else if (s.style !== "points")
          parts.push(drawing("path", { class: "line", style: look(k), d: joined(places) }));
        if (s.style === "points" || s.style === "errors" || (s.style === "line" && points.length < 40))
          parts.push(drawing("path", { class: points.length > 400 ? "dots many" : "dots", style: stroke,
            d: places.map(([a, b]) => `M${a.toFixed(1)} ${b.toFixed(1)}h0`).join("") }));
        if (points.length) shown.push({ series: s, k, points, places });
      }
    });
    for (const m of spec.marks || []) if ("x" in m && Number.isFinite(m.x))
      parts.push(line("mark " + m.kind, x(m.x), top, x(m.x), bottom));
    picture.setAttribute("height", height);
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.replaceChildren(...parts, drawing("g", { class: "under" }));
    readout.textContent = "";
  }

  // Show and mark the values of all series at the place of the point NEAR.
  function read(near) {
    const marks = [drawing("line", { class: "pointer", x1: near.place[0], x2: near.place[0],
                                     y1: scales.top, y2: scales.bottom })], words = [];
    for (const s of spec.nearest === "point" ? [near.of] : shown) {
      const i = s === near.of ? near.index
        : s.places.reduce((best, p, j) => Math.abs(p[0] - near.place[0]) < Math.abs(s.places[best][0] - near.place[0]) ? j : best, 0);
      if (Math.abs(s.places[i][0] - near.place[0]) > 8) continue;
      marks.push(drawing("circle", { cx: s.places[i][0], cy: s.places[i][1], r: 4.5, style: `fill:${hue(s.k)}` }));
      words.push((named() ? s.series.name + " " : "") + numberText(s.points[i][1]));
    }
    picture.querySelector(".under").replaceChildren(...marks);
    const name = spec.x.label ? spec.x.label + " " : "";
    readout.textContent = `${name}${numberText(near.of.points[near.index][0])}: ${words.slice(0, 3).join(", ")}`;
  }

  function follow(event) {
    const box = picture.getBoundingClientRect();
    const px = (event.clientX - box.left) * width / box.width, py = (event.clientY - box.top) * width / box.width;
    let near = null, least = Infinity;
    for (const of of shown) of.places.forEach((place, index) => {
      const away = Math.hypot(place[0] - px, (spec.nearest === "point" ? 1 : 0.05) * (place[1] - py));
      if (away < least) { least = away; near = { of, index, place }; }
    });
    if (near) { at = near.index; read(near); }
  }

  function leave() {
    picture.querySelector(".under")?.replaceChildren();
    readout.textContent = "";
  }

  function step(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!by || !shown.length) return;
    event.preventDefault();
    const of = shown[0];
    at = clamped(at + by, 0, of.points.length - 1);
    read({ of, index: at, place: of.places[at] });
  }

  drawLegend();
  new ResizeObserver(() => { if (picture.clientWidth && picture.clientWidth !== width) draw(); }).observe(picture);
  return { node, update(changes) { spec = { ...spec, ...changes }; drawLegend(); draw(); } };
}

// Coloured cells over two parameters: { title, x, y, z, columns, rows, values }, with a list of
// values for each row, null where one is missing.
function heatMap(spec, table) {
  const readout = element("output");
  const picture = drawing("svg", { role: "img", "aria-label": `${spec.title}: ${spec.z} over ${spec.x} and ${spec.y}` });
  const node = element("figure", { class: "chart" }, element("figcaption", {}, element("h3", {}, spec.title), readout), picture);
  const all = finite(spec.values.flat()), low = Math.min(...all), high = Math.max(...all);
  let width = 0;

  function draw() {
    width = picture.clientWidth || 480;
    const left = 70, right = width - 12, cell = (right - left) / spec.columns.length;
    const tall = clamped(cell, 22, 60), top = 20, bottom = top + tall * spec.rows.length, parts = [];
    const text = (x, y, anchor, words, attributes = {}) =>
      drawing("text", { x, y, "text-anchor": anchor, ...attributes }, String(words));
    spec.rows.forEach((row, r) => {
      parts.push(text(left - 7, top + tall * (r + 0.5) + 4, "end", label(row)));
      spec.columns.forEach((column, c) => {
        const value = spec.values[r][c];
        if (value === null) return;
        const level = high > low ? Math.round(255 * (value - low) / (high - low)) : 128;
        const word = table[level], colour = [word & 255, word >> 8 & 255, word >> 16 & 255];
        const words = `${spec.x} ${label(column)}, ${spec.y} ${label(row)}: ${numberText(value)}`;
        parts.push(drawing("rect", { x: left + cell * c + 1, y: top + tall * r + 1, width: cell - 2, height: tall - 2,
            rx: 3, fill: `rgb(${colour})`, tabindex: "0", role: "img", "aria-label": words,
            pointerenter: () => { readout.textContent = words; }, focus: () => { readout.textContent = words; } }));
        if (cell > 44) parts.push(text(left + cell * (c + 0.5), top + tall * (r + 0.5) + 4, "middle", numberText(value),
          { style: `fill:${colour[0] * 0.3 + colour[1] * 0.6 + colour[2] * 0.1 > 130 ? "#000" : "#fff"};pointer-events:none` }));
      });
    });
    spec.columns.forEach((column, c) => parts.push(text(left + cell * (c + 0.5), bottom + 17, "middle", label(column))));
    parts.push(text((left + right) / 2, bottom + 35, "middle", spec.x),
               text(left - 7, 12, "end", spec.y));
    picture.setAttribute("height", bottom + 40);
    picture.setAttribute("viewBox", `0 0 ${width} ${bottom + 40}`);
    picture.replaceChildren(...parts);
  }
  const label = v => typeof v === "number" ? numberText(v) : String(v);
  new ResizeObserver(() => { if (picture.clientWidth !== width) draw(); }).observe(picture);
  return { node };
}
