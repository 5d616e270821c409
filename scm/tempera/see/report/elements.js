// elements.js -- making HTML and SVG elements; numbers as text.

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);     // strings become text: nothing in the data is ever markup
  return node;
}

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

// X in four digits.
function numberText(x) {
  if (typeof x !== "number" || Number.isNaN(x)) return "not finite";
  const size = Math.abs(x);
  if (size === 0) return "0";
  if (size >= 1e6 || size < 1e-4) return Number(x.toPrecision(3)).toExponential();
  return String(Number(x.toPrecision(4)));
}

const clamped = (x, low, high) => Math.min(high, Math.max(low, x));

// A slider with its label and value; CHANGED is called with the new number.
function slider(label, attributes, text, changed) {
  const value = element("output");
  const input = element("input", { type: "range", ...attributes, input: () => show(true) });
  function show(tell) {
    value.textContent = text(Number(input.value));
    input.setAttribute("aria-valuetext", value.textContent);
    if (tell) changed(Number(input.value));
  }
  show(false);
  return { input, show,
           node: element("label", { class: "tool" }, element("span", {}, label, value), input),
           set(x) { input.value = x; show(true); } };
}

function choice(label, options, changed) {
  const select = element("select", { change: () => changed(select.value) },
                         ...options.map(o => element("option", { value: o }, o)));
  return { select, node: element("label", { class: "tool" }, element("span", {}, label), select) };
}
