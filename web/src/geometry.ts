// Boxes and the affine between image and crop: the functions of core/geometry.py under the same names.

/** Two corners from the corner of the image: x1, y1, x2, y2. */
export type Box = readonly [number, number, number, number];
/** The origin is the centre of the top left pixel. */
export type Point = readonly [number, number];
/** The affine that scales and then shifts; nothing here turns. */
export interface Placement {
  scale: number;
  x: number;
  y: number;
}

/** The box grown to width / height = `aspect` and then by `padding`. */
export function cropBox(box: Box, padding: number, aspect: number): Box {
  const width = Math.max(box[2] - box[0], (box[3] - box[1]) * aspect);
  const halfX = (padding * width) / 2;
  const halfY = (padding * (width / aspect)) / 2;
  const x = (box[0] + box[2]) / 2;
  const y = (box[1] + box[3]) / 2;
  return [x - halfX, y - halfY, x + halfX, y + halfY];
}

/** From image pixels to the pixels of a crop that the box, of the crop's aspect, fills. */
export function cropPlacement(box: Box, width: number, height: number): Placement {
  const scale = width / (box[2] - box[0]);
  const x = (box[0] + box[2]) / 2 - 0.5; // as pixels count
  const y = (box[1] + box[3]) / 2 - 0.5;
  return { scale, x: (width - 1) / 2 - scale * x, y: (height - 1) / 2 - scale * y };
}

export function inverse({ scale, x, y }: Placement): Placement {
  const back = 1 / scale;
  return { scale: back, x: -(back * x), y: -(back * y) };
}

export function place({ scale, x, y }: Placement, point: Point): Point {
  return [scale * point[0] + x, scale * point[1] + y];
}

/** Whether a keypoint lies in an image, its edges included. */
export function inImage([x, y]: Point, width: number, height: number): boolean {
  return x + 0.5 >= 0 && y + 0.5 >= 0 && x + 0.5 <= width && y + 0.5 <= height;
}

/** The square around keypoints; its side is a pixel at least. */
export function squareAround(points: readonly Point[]): Box {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const half = Math.max(1, right - left, bottom - top) / 2;
  const [x, y] = [(left + right) / 2 + 0.5, (top + bottom) / 2 + 0.5]; // from the image's corner
  return [x - half, y - half, x + half, y + half];
}
