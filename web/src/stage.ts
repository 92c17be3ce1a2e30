// The image with its people, drawn at the resolution of the screen.

import { constants } from './generated.json';
import { readable, side, type Person, type Skeleton } from './people';

export interface Shown {
  picture: CanvasImageSource;
  width: number;
  height: number;
  people: readonly Person[];
  skeleton: Skeleton | undefined;
}

export interface Look {
  boxes: boolean;
  names: boolean;
  /** The person and the joint that are picked in the table. */
  person: number;
  joint: number | undefined;
}

const FADED = 0.55;
const colors = constants.colors as Record<string, number[]>;

/** Draw as large as fits into `room` (CSS pixels), and not larger than three times the image. */
export function draw(canvas: HTMLCanvasElement, shown: Shown, look: Look, room: { width: number; height: number }): void {
  const fit = Math.min(room.width / shown.width, room.height / shown.height, 3);
  canvas.style.width = `${Math.round(shown.width * fit)}px`;
  canvas.style.height = `${Math.round(shown.height * fit)}px`;
  const scale = fit * Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(shown.width * scale));
  canvas.height = Math.max(1, Math.round(shown.height * scale));
  paint(canvas.getContext('2d')!, shown, look, scale);
}

/** The drawing at the image's own size, to be saved. */
export function picture(shown: Shown, look: Look): Promise<Blob | null> {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [shown.width, shown.height];
  paint(canvas.getContext('2d')!, shown, { ...look, joint: undefined }, 1);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}

function paint(context: CanvasRenderingContext2D, shown: Shown, look: Look, scale: number): void {
  context.imageSmoothingQuality = 'high';
  context.drawImage(shown.picture, 0, 0, shown.width * scale, shown.height * scale);
  const { skeleton } = shown;
  if (!skeleton) return;
  context.lineCap = 'round';
  shown.people.forEach((person, n) => {
    const picked = n === look.person;
    context.globalAlpha = picked || shown.people.length === 1 ? 1 : FADED;
    paintPerson(context, person, skeleton, look, picked, scale);
  });
  context.globalAlpha = 1;
}

/** Where a name begins that reaches from `x` outwards, inside of the image. */
export function nameLeft(x: number, outwards: number, width: number, room: number): number {
  return Math.max(0, Math.min(outwards < 0 ? x - width : x, room - width));
}

function paintPerson(
  context: CanvasRenderingContext2D,
  person: Person,
  skeleton: Skeleton,
  look: Look,
  picked: boolean,
  scale: number,
): void {
  // Keypoints count from the centre of a pixel, a canvas from its corner.
  const at = person.points.map(([x, y]) => [(x + 0.5) * scale, (y + 0.5) * scale] as const);
  const extent = Math.max(person.box[2] - person.box[0], person.box[3] - person.box[1]);
  const width = Math.max(1.5 * Math.min(2, devicePixelRatio || 1), extent * constants.line_share * 0.8 * scale);
  // As in Python's view/draw.py: keypoints of the face are drawn smaller.
  const share = (k: number) => Math.min(1, (skeleton.sigmas?.[k] ?? 1) / constants.full_sigma);
  const color = (...joints: number[]) => {
    const sides = new Set(joints.map((k) => side(skeleton, k)).filter((each) => each !== 'middle'));
    return `rgb(${colors[sides.size === 1 ? [...sides][0]! : 'middle']!.join(' ')})`;
  };
  if (look.boxes) {
    const [x1, y1, x2, y2] = person.box.map((value) => value * scale) as [number, number, number, number];
    context.lineWidth = Math.max(1, width / 3);
    context.strokeStyle = picked ? '#fff' : 'rgb(255 255 255 / 70%)';
    context.shadowColor = 'rgb(0 0 0 / 60%)';
    context.shadowBlur = 3;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.shadowBlur = 0;
  }
  for (const [a, b] of skeleton.limbs) {
    if (!person.present[a] || !person.present[b]) continue;
    context.lineWidth = width * Math.min(share(a), share(b));
    context.strokeStyle = color(a, b);
    context.beginPath();
    context.moveTo(...at[a]!);
    context.lineTo(...at[b]!);
    context.stroke();
  }
  at.forEach(([x, y], k) => {
    if (!person.present[k]) return;
    context.fillStyle = color(k);
    context.beginPath();
    context.arc(x, y, width * 0.95 * share(k), 0, 2 * Math.PI);
    context.fill();
    if (picked && look.joint === k) {
      context.lineWidth = Math.max(2, width / 2);
      context.strokeStyle = '#fff';
      context.beginPath();
      context.arc(x, y, width * 2.2, 0, 2 * Math.PI);
      context.stroke();
    }
  });
  if (!look.names || !picked) return;
  const size = Math.max(11 * Math.min(2, devicePixelRatio || 1), width * 2);
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.lineWidth = size / 4;
  context.lineJoin = 'round';
  context.strokeStyle = 'rgb(0 0 0 / 75%)';
  context.fillStyle = '#fff';
  const middle = ((person.box[0] + person.box[2]) / 2) * scale;
  at.forEach(([x, y], k) => {
    if (!person.present[k]) return;
    const name = readable(skeleton.keypoints[k]!);
    const outwards = x < middle ? -1 : 1; // names of left and right joints are apart then
    const left = nameLeft(x + outwards * width * 1.5, outwards, context.measureText(name).width, context.canvas.width);
    context.strokeText(name, left, y + size / 3);
    context.fillText(name, left, y + size / 3);
  });
}
