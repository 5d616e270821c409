// pictures.js -- the pictures of a chain, looked at together: one pixel marked in all of them.
//
// The block has the batch of samples, mean and standard deviation, truth and the image that
// chains start from where they are known, and the states of the first samples by sigma.  All pictures share the view,
// window, zoom, sample, state and pixel; `show' computes the colours, `paint' draws the
// coloured images and the mark.

const fullTurn = { low: -Math.PI, high: Math.PI };

function pictureSection(block, colours) {
  const { rows, columns, complex } = block, count = rows * columns;
  const magnitude = complex ? "magnitude" : "value";
  const samples = decoded(block.samples), states = block.states.map(s => ({ ...s, numbers: decoded(s.image) }));
  const look = { view: magnitude, colours: "grey", zoom: 1, sample: 0,
                 state: states.length - 1, row: 0, column: 0, centre: [rows / 2, columns / 2], pinned: false };
  let playing = null;

  // Each picture: its title, the view's numbers, and how they are coloured.
  const parts = [];
  const still = numbers => view => viewed(numbers, complex, view, 0, count);
  function add(name, numbers, kind) { parts.push(pictureCard(name, numbers, kind)); }
  const mean = still(decoded(block.mean)), truth = block.truth && still(decoded(block.truth));
  const traced = () => Math.min(look.sample, block.traced - 1) * count;
  if (truth) add("Truth", truth, "image");
  add("Mean", mean, "image");
  if (block.sd) {
    const sd = decoded(block.sd);
    add("Standard deviation", () => sd, "map");
  }
  if (truth) add("Error of the mean", () => {
    const a = mean(magnitude), b = truth(magnitude);
    return a.map((x, i) => Math.abs(x - b[i]));
  }, "map");
  if (block.start) add(block.startName, still(decoded(block.start)), "image");
  add("Sample", view => viewed(samples, complex, view, look.sample, count), "image");
  if (states.length > 1)
    add("On its way", () => states[look.state].numbers.subarray(traced(), traced() + count), "state");

  const named = name => parts.find(p => p.name === name);
  const reference = limits((named("Truth") || named("Mean")).numbers(magnitude), complex);
  const range = (() => {
    const ends = finite([block.samples.low, block.samples.high]);
    return complex ? { low: 0, high: Math.max(reference.high * 1.5, 1e-30) }
                   : { low: Math.min(ends[0], reference.low), high: Math.max(ends[1], reference.high) };
  })();
  Object.assign(look, reference);

  function pictureCard(name, numbers, kind) {
    const image = element("canvas", { width: columns, height: rows }), value = element("span", { class: "value" });
    const canvas = element("canvas", { tabindex: "0", role: "img", style: `aspect-ratio:${columns}/${rows}`,
      "data-name": name, "aria-label": `${name}, ${rows} by ${columns} pixels; arrow keys move the marked pixel, + and - zoom`,
      pointermove: e => { if (!look.pinned) point(canvas, e); },
      pointerdown: e => { if (e.pointerType !== "mouse") point(canvas, e); },
      click: e => { look.pinned = !look.pinned; point(canvas, e); },
      keydown: key });
    const bar = element("canvas", { width: 256, height: 1, "aria-hidden": "true" });
    const low = element("span"), high = element("span");
    const title = element("h3", {}, name);
    return { name, numbers, kind, image, canvas, value, bar, low, high, title,
             node: element("figure", { class: "picture" }, element("figcaption", {}, title, value), canvas,
                           element("div", { class: "bar" }, low, bar, high)) };
  }

  // --- The tools

  const tables = Object.fromEntries(Object.entries(colours).map(([k, hex]) => [k, colourTable(hex)]));
  const views = ["magnitude", "phase"].map(name =>
    element("button", { type: "button", "aria-pressed": String(name === look.view), click: () => {
      look.view = name;
      views.forEach(b => b.setAttribute("aria-pressed", String(b.textContent === name)));
      show();
    } }, name));
  const map = choice("Colours", Object.keys(colours).filter(n => n !== "wheel"), n => { look.colours = n; show(); });
  const place = x => Math.round(1000 * (x - range.low) / (range.high - range.low));
  const level = k => range.low + (range.high - range.low) * k / 1000;
  const low = slider("Black at", { min: 0, max: 1000, value: place(look.low) }, k => numberText(level(k)), k => {
    look.low = Math.min(level(k), level(999));
    if (look.high <= look.low) high.set(k + 1); else show();
  });
  const high = slider("White at", { min: 0, max: 1000, value: place(look.high) }, k => numberText(level(k)), k => {
    look.high = Math.max(level(k), level(1));
    if (look.low >= look.high) low.set(k - 1); else show();
  });
  const zoom = slider("Zoom", { min: 1, max: 16, step: 1, value: 1 }, k => `\u00d7 ${k}`, k => {
    look.zoom = k;
    look.centre = [look.row + 0.5, look.column + 0.5];
    paint();
  });
  const sample = slider("Sample", { min: 1, max: block.samples.count, value: 1, "data-slider": "sample" },
                        k => `${k} of ${block.total}`, k => { look.sample = k - 1; show(); });
  const state = states.length > 1 && slider("Sigma", { min: 0, max: states.length - 1, value: look.state, "data-slider": "state" },
                                            k => numberText(states[k].sigma), k => { look.state = k; show(); });
  const play = element("button", { type: "button", "aria-label": "Play the temperatures", click: () => {
    if (playing) stop();
    else {
      if (look.state === states.length - 1) state.set(0);
      play.textContent = "\u25a0";
      playing = setInterval(() => {
        if (look.state === states.length - 1) stop(); else state.set(look.state + 1);
      }, 500);
    }
  } }, "\u25b6");
  function stop() { clearInterval(playing); playing = null; play.textContent = "\u25b6"; }

  if (block.samples.count > 1) named("Sample").node.append(element("div", { class: "slider" }, sample.node));
  if (state) named("On its way").node.append(element("div", { class: "slider" }, state.node, play));
  const tools = element("div", { class: "tools" },
    ...(complex ? [element("div", { class: "tool", role: "group", "aria-label": "View" }, element("span", {}, "View"),
                           element("div", { class: "choices" }, ...views))] : []),
    map.node, low.node, high.node, zoom.node);

  // --- The pixel

  const heading = element("h3"), values = element("tbody");
  const spoken = element("p", { class: "spoken", "aria-live": "polite" });
  const histogram = chart({ title: "Over samples", x: {}, y: { whole: true }, series: [], height: 190 });
  const statistics = element("tbody"), note = element("p");
  const pixel = element("aside", { class: "pixel", "aria-label": "The marked pixel" },
    element("figure", {}, element("figcaption", {}, heading), element("table", {}, values), histogram.node,
            element("table", {}, statistics), note, spoken));
  histogram.node.style = "border:0;padding:0";
  const line = (name, text) => element("tr", {}, element("th", { scope: "row" }, name), element("td", { class: "number" }, text));

  function showPixel() {
    const at = look.row * columns + look.column;
    heading.textContent = `Row ${look.row}, column ${look.column}`;
    for (const p of parts) p.value.textContent = numberText(p.shown[at]);
    values.replaceChildren(...parts.filter(p => p.kind !== "state").map(p =>
      line(p.name === "Sample" ? `Sample ${look.sample + 1}` : p.name, numberText(p.shown[at]))));
    const raw = Array.from({ length: block.samples.count }, (_, k) =>
      complex ? viewed(samples.subarray(2 * (k * count + at), 2 * (k * count + at) + 2), true, look.view, 0, 1)[0]
              : samples[k * count + at]);
    const d = described(raw, look.view === "phase");
    const truth = named("Truth") ? d.unrolled(named("Truth").shown[at]) : NaN;
    if (d.n) histogram.update({ series: [{ style: "bars", points: bins(d.numbers, truth) }],
      marks: [{ from: d.low, to: d.high }, { x: d.mean, kind: "mean" }, { x: truth, kind: "truth" }] });
    statistics.replaceChildren(
      line("mean over samples", numberText(d.mean)),
      ...(d.n > 1 ? [line("standard deviation", numberText(d.sd)),
                     line("90 % interval", `${numberText(d.low)} to ${numberText(d.high)}`)] : []));
    note.textContent = { value: "", magnitude: "Of the magnitude; ",
                         phase: "Of the phase; deviation, error and the state on its way stay those of the magnitude; " }[look.view]
      + (named("Truth") ? "the dashed line is the truth, the shade the 90 % interval. " : "the shade is the 90 % interval. ")
      + (look.pinned ? "The pixel is held: click a picture to let it go." : "Click a picture to hold the pixel.");
  }

  // Bars over the range of the samples and the truth, as many as the samples allow.
  function bins(numbers, truth) {
    const ends = finite([...numbers, truth]);
    let from = Math.min(...ends), to = Math.max(...ends);
    if (!(to > from)) { const room = Math.abs(from) / 100 || 1; from -= room; to += room; }
    const n = clamped(Math.round(2 * Math.sqrt(numbers.length)) + 2, 5, 30), wide = (to - from) / n;
    const heights = new Array(n).fill(0);
    for (const x of numbers) heights[clamped(Math.floor((x - from) / wide), 0, n - 1)]++;
    return heights.map((h, k) => [from + (k + 0.5) * wide, h, wide]);
  }

  function mark(row, column) {
    look.row = clamped(row, 0, rows - 1);
    look.column = clamped(column, 0, columns - 1);
    const [top, left, tall, wide] = frame();
    if (look.row < top || look.row >= top + tall || look.column < left || look.column >= left + wide)
      look.centre = [look.row + 0.5, look.column + 0.5];
    paint();
  }

  function point(canvas, event) {
    const box = canvas.getBoundingClientRect(), [top, left, tall, wide] = frame();
    mark(Math.floor(top + tall * (event.clientY - box.top) / box.height),
         Math.floor(left + wide * (event.clientX - box.left) / box.width));
  }

  function key(event) {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const by = event.shiftKey ? 10 : 1;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (move) {
      mark(look.row + by * move[0], look.column + by * move[1]);
      const here = parts.find(p => p.canvas === event.target);
      spoken.textContent = `${here.name} ${here.value.textContent}, row ${look.row}, column ${look.column}`;
    } else if (event.key === "+" || event.key === "=") zoom.set(look.zoom + 1);
    else if (event.key === "-") zoom.set(look.zoom - 1);
    else if (event.key === "0") zoom.set(1);
    else return;
    event.preventDefault();
  }

  // --- Drawing

  // Top, left, height and width of the visible part, in pixels of the images.
  function frame() {
    const tall = rows / look.zoom, wide = columns / look.zoom;
    return [clamped(look.centre[0] - tall / 2, 0, rows - tall),
            clamped(look.centre[1] - wide / 2, 0, columns - wide), tall, wide];
  }

  function show() {
    const phase = look.view === "phase";
    for (const p of parts) {
      p.shown = p.numbers(look.view);
      const turn = phase && p.kind === "image";
      const window = turn ? fullTurn
        : p.kind === "map" ? limits(p.shown, true)
        : p.kind === "state" ? hotter(limits(p.shown, complex)) : look;
      const table = tables[turn ? "wheel" : p.kind === "map" ? "heat" : look.colours];
      colour(p.image, p.shown, window.low, window.high, table);
      colour(p.bar, Float32Array.from({ length: 256 }, (_, i) => i), 0, 255, table);
      p.low.textContent = numberText(window.low);
      p.high.textContent = numberText(window.high);
    }
    named("Sample").title.textContent = `Sample ${look.sample + 1}`;
    paint();
  }

  // A hot state has its own window, until that of the pictures is as wide.
  function hotter(own) {
    return own.high - own.low > 1.2 * (look.high - look.low) ? own : look;
  }

  function paint() {
    const [top, left, tall, wide] = frame(), dense = window.devicePixelRatio || 1;
    for (const p of parts) {
      const w = Math.round(p.canvas.clientWidth * dense), h = Math.round(w * rows / columns);
      if (!w) continue;
      if (p.canvas.width !== w || p.canvas.height !== h) { p.canvas.width = w; p.canvas.height = h; }
      const context = p.canvas.getContext("2d"), sx = w / wide, sy = h / tall;
      context.imageSmoothingEnabled = false;
      context.drawImage(p.image, left, top, wide, tall, 0, 0, w, h);
      const size = Math.max(sx, 7 * dense);
      const x = (look.column + 0.5 - left) * sx - size / 2, y = (look.row + 0.5 - top) * sy - size / 2;
      for (const [style, thick] of [["#000", 3], ["#ffd84d", 1.5]]) {
        context.strokeStyle = style;
        context.lineWidth = thick * dense;
        context.strokeRect(x, y, size, size);
      }
    }
    showPixel();
  }

  // Begin where the samples differ most.
  if (block.sd) {
    const sd = named("Standard deviation").numbers();
    let most = 0;
    for (let i = 0; i < count; i++) if (sd[i] > sd[most]) most = i;
    [look.row, look.column] = [Math.floor(most / columns), most % columns];
  }
  const pictures = element("div", { class: "pictures" }, ...parts.map(p => p.node));
  new ResizeObserver(() => { if (!parts[0].shown) show(); else paint(); }).observe(pictures);
  return element("div", {}, tools, element("div", { class: "explorer" }, pictures, pixel));
}
