// Draws a raw anomaly map over its photo: heat as in the overlay, the whole map, and the contour of the limit.

const LONGEST_SIDE = 2048;

/** A map over its photo: `values` float32, row by row; values lie at the middles of equal cells. */
export class HeatMap {
  constructor(values, width, height) {
    Object.assign(this, { values, width, height });
  }

  static async load(address, { width, height }) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`the map was answered with ${answer.status}`);
    const values = new Float32Array(await answer.arrayBuffer());
    if (values.length !== width * height) throw new Error(`the map has ${values.length} values`);
    return new HeatMap(values, width, height);
  }

  /** The value at a place of the photo given in shares of its width and height, between its neighbours linearly. */
  at(shareX, shareY) {
    return this.sample(axis(shareX, this.width), axis(shareY, this.height));
  }

  sample([left, right, x], [top, bottom, y]) {
    const { values, width } = this;
    const upper = values[top * width + left] * (1 - x) + values[top * width + right] * x;
    const lower = values[bottom * width + left] * (1 - x) + values[bottom * width + right] * x;
    return upper * (1 - y) + lower * y;
  }

  /** Draw into a canvas at the photo's own size; `colour` gives [red, green, blue, alpha], each 0..255, of a value. */
  draw(canvas, photoWidth, photoHeight, colour) {
    const shrink = Math.min(1, LONGEST_SIDE / Math.max(photoWidth, photoHeight));
    canvas.width = Math.max(1, Math.round(photoWidth * shrink));
    canvas.height = Math.max(1, Math.round(photoHeight * shrink));
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const columns = Array.from({ length: canvas.width }, (_, x) => axis((x + 0.5) / canvas.width, this.width));
    for (let y = 0, at = 0; y < canvas.height; y++) {
      const row = axis((y + 0.5) / canvas.height, this.height);
      for (const column of columns) {
        image.data.set(colour(this.sample(column, row)), at);
        at += 4;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** The lines along which the map crosses `level` (marching squares), as an SVG path in pixels of the photo. */
  contour(level, photoWidth, photoHeight) {
    const { values, width, height } = this;
    const [stepX, stepY] = [photoWidth / width, photoHeight / height];
    const place = (x, y) => `${((x + 0.5) * stepX).toFixed(2)} ${((y + 0.5) * stepY).toFixed(2)}`;
    const share = (a, b) => (level - a) / (b - a);
    const pieces = [];
    for (let y = 0; y + 1 < height; y++) {
      for (let x = 0; x + 1 < width; x++) {
        const [a, b] = [values[y * width + x], values[y * width + x + 1]];
        const [d, c] = [values[(y + 1) * width + x], values[(y + 1) * width + x + 1]];
        const kind = (a >= level) | ((b >= level) << 1) | ((c >= level) << 2) | ((d >= level) << 3);
        if (kind === 0 || kind === 15) continue;
        const top = () => place(x + share(a, b), y);
        const right = () => place(x + 1, y + share(b, c));
        const bottom = () => place(x + share(d, c), y + 1);
        const left = () => place(x, y + share(a, d));
        for (const [from, to] of LINES[kind]({ top, right, bottom, left })) pieces.push(`M${from()}L${to()}`);
      }
    }
    return pieces.join("");
  }
}

// Which edges of a cell a line joins, by which of its corners are above: 1 top left, 2 top right, 4 bottom right, 8 bottom left.
const LINES = [
  () => [],
  (e) => [[e.left, e.top]],
  (e) => [[e.top, e.right]],
  (e) => [[e.left, e.right]],
  (e) => [[e.right, e.bottom]],
  (e) => [[e.left, e.top], [e.right, e.bottom]],
  (e) => [[e.top, e.bottom]],
  (e) => [[e.left, e.bottom]],
  (e) => [[e.bottom, e.left]],
  (e) => [[e.top, e.bottom]],
  (e) => [[e.top, e.right], [e.bottom, e.left]],
  (e) => [[e.right, e.bottom]],
  (e) => [[e.left, e.right]],
  (e) => [[e.top, e.right]],
  (e) => [[e.left, e.top]],
  () => [],
];

/** The colours of the overlay: they fade in from `start` to `limit` and run through the colour map up to `top`. */
export function heatColour({ start, limit, top }, colours) {
  const palette = colours.map(rgb);
  return (value) => {
    if (value < start) return [0, 0, 0, 0];
    const fade = clamp((value - start) / Math.max(limit - start, 1e-9));
    const level = clamp((value - start) / Math.max(top - start, 1e-9));
    return [...palette[Math.round(level * (palette.length - 1))], 255 * fade * (0.5 + 0.5 * level)];
  };
}

/** The whole map from 0 to `top`: grey below `start`, the overlay's colours from there. */
export function mapColour({ start, top }, colours) {
  const palette = colours.map(rgb);
  return (value) => {
    if (value < start) {
      const grey = 20 + 110 * clamp(value / Math.max(start, 1e-9));
      return [grey, grey, grey, 255];
    }
    const level = clamp((value - start) / Math.max(top - start, 1e-9));
    return [...palette[Math.round(level * (palette.length - 1))], 255];
  };
}

const clamp = (value) => Math.min(1, Math.max(0, value));

const rgb = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** The two cells that a place lies between, and how far it is from the first to the second. */
function axis(share, cells) {
  const place = Math.min(cells - 1, Math.max(0, share * cells - 0.5));
  const first = Math.min(Math.floor(place), Math.max(0, cells - 2));
  return [first, Math.min(first + 1, cells - 1), place - first];
}
