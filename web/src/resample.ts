// Pillow's resampling, number for number, so that crops are those that the networks see in Python (io/images.py).

import { inverse, place, type Placement } from './geometry';

/** RGB or RGBA, 8 bits a channel, row by row. */
export interface Pixels {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  channels: 3 | 4;
}

/** Bits behind the point of Pillow's fixed-point weights. */
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

interface Taps {
  first: Int32Array;
  count: Int32Array;
  weights: Int32Array;
  most: number;
}

/** The weights of a triangle filter that averages where it shrinks, for one axis. */
function taps(from: number, to: number): Taps {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * most);
  for (let out = 0; out < to; out++) {
    const center = (out + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const high = Math.min(from, Math.trunc(center + support + 0.5));
    const own: number[] = [];
    let sum = 0;
    for (let at = low; at < high; at++) {
      const weight = Math.max(0, 1 - Math.abs((at - center + 0.5) / support));
      own.push(weight);
      sum += weight;
    }
    first[out] = low;
    count[out] = own.length;
    own.forEach((weight, k) => {
      weights[out * most + k] = Math.trunc((weight / sum) * (1 << FRACTION_BITS) + 0.5);
    });
  }
  return { first, count, weights, most };
}

/** The whole image at another size, as RGB: bilinear, with averaging where it shrinks. */
export function resize(image: Pixels, width: number, height: number): Pixels {
  const across = image.width === width ? rgb(image) : resizeRows(image, width);
  return across.height === height ? across : resizeColumns(across, height);
}

// Integers stay integers: `Math.imul` and `| 0` are what the just-in-time compilers want to see.

function resizeRows(image: Pixels, width: number): Pixels {
  const { first, count, weights, most } = taps(image.width, width);
  const { data, channels, height } = image;
  const out = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * image.width * channels;
    for (let x = 0; x < width; x++, to += 3) {
      let from = row + first[x]! * channels;
      let r = HALF;
      let g = HALF;
      let b = HALF;
      for (let k = x * most, end = k + count[x]!; k < end; k++, from += channels) {
        const weight = weights[k]!;
        r = (r + Math.imul(data[from]!, weight)) | 0;
        g = (g + Math.imul(data[from + 1]!, weight)) | 0;
        b = (b + Math.imul(data[from + 2]!, weight)) | 0;
      }
      out[to] = r >> FRACTION_BITS; // in 0 to 255: weights are positive and their sum is 1
      out[to + 1] = g >> FRACTION_BITS;
      out[to + 2] = b >> FRACTION_BITS;
    }
  }
  return { data: out, width, height, channels: 3 };
}

function resizeColumns(image: Pixels, height: number): Pixels {
  const { first, count, weights, most } = taps(image.height, height);
  const { data } = image;
  const stride = image.width * 3;
  const out = new Uint8Array(stride * height);
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]!; k++) {
      const weight = weights[y * most + k]!;
      const row = (first[y]! + k) * stride;
      for (let x = 0; x < stride; x++) sums[x] = (sums[x]! + Math.imul(data[row + x]!, weight)) | 0;
    }
    for (let x = 0; x < stride; x++) out[y * stride + x] = sums[x]! >> FRACTION_BITS;
  }
  return { data: out, width: image.width, height, channels: 3 };
}

function rgb(image: Pixels): Pixels {
  if (image.channels === 3) return image;
  const pixels = image.width * image.height;
  const out = new Uint8Array(pixels * 3);
  for (let n = 0; n < pixels; n++) out.set(image.data.subarray(4 * n, 4 * n + 3), 3 * n);
  return { data: out, width: image.width, height: image.height, channels: 3 };
}

/** A part of an image, without a copy. */
interface Part {
  image: Pixels;
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The crop of `width` x `height` at this place (from image to crop pixels), black outside the image, as RGB.
 *
 * Bilinear; where the crop has half the image's resolution or less, whole blocks of pixels are averaged first.
 */
export function cut(image: Pixels, placement: Placement, width: number, height: number): Uint8Array {
  const toImage = inverse(placement);
  const block = Math.trunc(Math.min(Math.max(toImage.scale, 1), Math.max(image.width, image.height)));
  const first = place(toImage, [-0.5, -0.5]);
  const last = place(toImage, [width, height]);
  // A margin of two blocks keeps every pixel that bilinear interpolation looks at.
  const low = first.map((value) => Math.floor(value) - 2 * block) as [number, number];
  const high = last.map((value) => Math.ceil(value) + 2 * block + 1) as [number, number];
  const left = limited(low[0], image.width);
  const top = limited(low[1], image.height);
  const part = { image, left, top, width: limited(high[0], image.width) - left, height: limited(high[1], image.height) - top };
  if (part.width <= 0 || part.height <= 0) return new Uint8Array(width * height * 3);
  // From pixel centres of the crop to pixel edges of the part, which is how Pillow counts.
  const scale = toImage.scale / block;
  const x = (toImage.x + 0.5 - left) / block - scale / 2;
  const y = (toImage.y + 0.5 - top) / block - scale / 2;
  return bilinear(reduced(part, block), { scale, x, y }, width, height);
}

function limited(value: number, size: number): number {
  return Math.min(Math.max(value, 0), size);
}

/** The means of blocks of `block` x `block` pixels, black beyond the right and the lower edge. */
function reduced(part: Part, block: number): Part {
  if (block === 1) return part;
  const { image } = part;
  const width = Math.ceil(part.width / block);
  const height = Math.ceil(part.height / block);
  const data = new Uint8Array(width * height * 3);
  // Pillow averages what is left for the last block of a row; as a whole block that would stretch the image.
  const shares = [(part.width % block) / block, (part.height % block) / block];
  for (let y = 0; y < height; y++) {
    const y1 = Math.min((y + 1) * block, part.height);
    for (let x = 0; x < width; x++) {
      const x1 = Math.min((x + 1) * block, part.width);
      const sums = [0, 0, 0];
      for (let row = y * block; row < y1; row++) {
        let from = ((part.top + row) * image.width + part.left + x * block) * image.channels;
        for (let column = x * block; column < x1; column++, from += image.channels) {
          for (let c = 0; c < 3; c++) sums[c]! += image.data[from + c]!;
        }
      }
      const pixels = (y1 - y * block) * (x1 - x * block);
      const multiplier = Math.floor(2 ** 24 / pixels);
      for (let c = 0; c < 3; c++) {
        let mean = Math.floor(((sums[c]! + Math.trunc(pixels / 2)) * multiplier) / 2 ** 24);
        if (shares[1] && y === height - 1) mean = roundHalfEven(shares[1] * mean);
        if (shares[0] && x === width - 1) mean = roundHalfEven(shares[0] * mean);
        data[(y * width + x) * 3 + c] = mean;
      }
    }
  }
  return { image: { data, width, height, channels: 3 }, left: 0, top: 0, width, height };
}

function bilinear(part: Part, { scale, x: x0, y: y0 }: Placement, width: number, height: number): Uint8Array {
  const { image, left, top } = part;
  const { data, channels } = image;
  const out = new Uint8Array(width * height * 3);
  const columns = steps(scale, x0, width, part.width);
  const rows = steps(scale, y0, height, part.height);
  for (let row = 0; row < height; row++) {
    const dy = rows.fraction[row]!;
    if (dy < 0) continue;
    const upper = (top + rows.near[row]!) * image.width + left;
    const lower = (top + rows.far[row]!) * image.width + left;
    for (let column = 0, to = row * width * 3; column < width; column++, to += 3) {
      const dx = columns.fraction[column]!;
      if (dx < 0) continue;
      const near = columns.near[column]!;
      const far = columns.far[column]!;
      const p = (upper + near) * channels;
      const q = (upper + far) * channels;
      const r = (lower + near) * channels;
      const s = (lower + far) * channels;
      out[to] = between(data[p]!, data[q]!, data[r]!, data[s]!, dx, dy);
      out[to + 1] = between(data[p + 1]!, data[q + 1]!, data[r + 1]!, data[s + 1]!, dx, dy);
      out[to + 2] = between(data[p + 2]!, data[q + 2]!, data[r + 2]!, data[s + 2]!, dx, dy);
    }
  }
  return out;
}

function between(p: number, q: number, r: number, s: number, dx: number, dy: number): number {
  const above = p + (q - p) * dx;
  const below = r + (s - r) * dx;
  return (above + (below - above) * dy) | 0;
}

/** Between which pixels of the part the pixels of a crop lie along one axis, and where; below 0 is outside. */
function steps(scale: number, offset: number, count: number, size: number) {
  const [near, far, fraction] = [new Int32Array(count), new Int32Array(count), new Float64Array(count)];
  for (let n = 0; n < count; n++) {
    const at = scale * (n + 0.5) + offset;
    const cell = Math.floor(at - 0.5);
    near[n] = Math.max(cell, 0);
    far[n] = Math.min(cell + 1, size - 1);
    fraction[n] = at < 0 || at >= size ? -1 : at - 0.5 - cell;
  }
  return { near, far, fraction };
}

/** As Python and NumPy round: halves to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** Height and width of the input in which an image of this width / height is largest: as Python's `input_size`. */
export function inputSize(aspect: number, side: number, multiple: number): [number, number] {
  let best: [number, number] = [side, side];
  let [bestScale, bestArea] = [-1, 0];
  for (let height = multiple; height <= 2 * side; height += multiple) {
    for (let width = multiple; width <= 2 * side && height * width <= side * side; width += multiple) {
      const scale = Math.min(height, width / aspect);
      if (scale > bestScale || (scale === bestScale && height * width < bestArea)) {
        [best, bestScale, bestArea] = [[height, width], scale, height * width];
      }
    }
  }
  return best;
}

/** The image at the upper left of a black input (height, width), as large as it fits; its scales in x and y. */
export function letterbox(
  image: Pixels,
  [height, width]: [number, number],
): { input: Uint8Array; scales: [number, number] } {
  const aspect = image.width / image.height;
  const scale = Math.min(height, width / aspect);
  const columns = Math.max(1, roundHalfEven(scale * aspect));
  const rows = Math.max(1, roundHalfEven(scale));
  const scaled = resize(image, columns, rows);
  const input = new Uint8Array(height * width * 3);
  for (let y = 0; y < rows; y++) {
    input.set(scaled.data.subarray(y * columns * 3, (y + 1) * columns * 3), y * width * 3);
  }
  return { input, scales: [columns / image.width, rows / image.height] };
}
