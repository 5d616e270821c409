// images.js -- images of the report: decoding, magnitude and phase, statistics, colours.

// An IMAGE is { data, bits, low, high }: data names the element that has its whole numbers,
// 8 or 16 bit and little-endian, in base64; 0 is low, the last but one is high, and the
// last is a number that was not finite.
function decoded(image) {
  const text = atob(document.getElementById(image.data).textContent);
  const wide = image.bits === 16, n = wide ? text.length / 2 : text.length;
  const none = wide ? 65535 : 255, step = (image.high - image.low) / (none - 1);
  const numbers = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const q = wide ? text.charCodeAt(2 * i) | text.charCodeAt(2 * i + 1) << 8 : text.charCodeAt(i);
    numbers[i] = q === none ? NaN : image.low + q * step;
  }
  return numbers;
}

// The COUNT numbers of image K of a batch; complex ones as VIEW (magnitude or phase).
function viewed(numbers, complex, view, k, count) {
  if (!complex) return numbers.subarray(k * count, (k + 1) * count);
  const result = new Float32Array(count);
  for (let i = 0, j = 2 * k * count; i < count; i++, j += 2)
    result[i] = view === "phase" ? Math.atan2(numbers[j + 1], numbers[j])
                                 : Math.hypot(numbers[j], numbers[j + 1]);
  return result;
}

const finite = numbers => Array.from(numbers).filter(Number.isFinite);
const ascending = numbers => finite(numbers).sort((a, b) => a - b);

// The Q-quantile of sorted numbers, interpolated linearly.
function quantile(sorted, q) {
  if (!sorted.length) return NaN;
  const at = q * (sorted.length - 1), below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

// Limits for display: a thousandth of the numbers may lie outside.
function limits(numbers, fromZero) {
  const sorted = Float32Array.from(numbers).filter(Number.isFinite).sort();
  const low = fromZero ? 0 : quantile(sorted, 0.001), high = quantile(sorted, 0.999);
  return Number.isFinite(high) && high > low ? { low, high } : { low: low || 0, high: (low || 0) + 1 };
}

// Mean, standard deviation and 90 % interval; ANGLES are unrolled about their mean direction, by
// what the result has as unrolled.
function described(values, angles) {
  const raw = finite(values);
  const about = Math.atan2(raw.reduce((s, x) => s + Math.sin(x), 0), raw.reduce((s, x) => s + Math.cos(x), 0));
  const unrolled = x => angles ? about + Math.atan2(Math.sin(x - about), Math.cos(x - about)) : x;
  const numbers = raw.map(unrolled), n = numbers.length;
  const mean = numbers.reduce((s, x) => s + x, 0) / n, sorted = ascending(numbers);
  return { numbers, unrolled, n, mean, low: quantile(sorted, 0.05), high: quantile(sorted, 0.95),
           sd: n > 1 ? Math.sqrt(numbers.reduce((s, x) => s + (x - mean) ** 2, 0) / (n - 1)) : NaN };
}

// A colour map, 256 times rrggbb, as pixels in the byte order of a canvas.
function colourTable(hex) {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const word = parseInt(hex.substr(6 * i, 6), 16);
    table[i] = 0xff000000 | (word & 0xff) << 16 | word & 0xff00 | word >> 16;
  }
  return table;
}

function colour(canvas, numbers, low, high, table) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  const words = new Uint32Array(pixels.data.buffer), scale = 255 / (high - low);
  for (let i = 0; i < words.length; i++)
    words[i] = Number.isFinite(numbers[i])
      ? table[clamped(Math.round((numbers[i] - low) * scale), 0, 255)]
      : 0xff00ff00;             // green is in no map
  context.putImageData(pixels, 0, 0);
}
