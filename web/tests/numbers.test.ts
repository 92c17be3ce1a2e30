// The numbers of the page beside those of Python, in golden.json (tools/web_golden.py).

import { expect, test } from 'vitest';
import { agree } from '../src/agree';
import { estimate, type Detector, type PoseNetwork } from '../src/estimate';
import { cropBox, cropPlacement, type Box } from '../src/geometry';
import { metadata } from '../src/onnx-metadata';
import { readable, side, toJson, type Person, type Skeleton } from '../src/people';
import { cut, inputSize, letterbox, roundHalfEven, type Pixels } from '../src/resample';
import { nameLeft } from '../src/stage';
import golden from './golden.json';

function pattern(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) data[(y * width + x) * 4 + c] = ((x * 7 + y * 13 + c * 50) ^ (x * y)) & 255;
    }
  }
  return { data, width, height, channels: 4 };
}

function bytes(base64: string): number[] {
  return Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

test.each(golden.letterbox)('letterbox of $width x $height in $input_hw', (vector) => {
  const { input, scales } = letterbox(pattern(vector.width, vector.height), vector.input_hw as [number, number]);
  expect(scales).toEqual(vector.scales);
  expect(Array.from(input)).toEqual(bytes(vector.input));
});

test.each(golden.input_sizes)('input for $width x $height', (vector) => {
  expect(inputSize(vector.width / vector.height, vector.side, vector.multiple)).toEqual(vector.input_hw);
});

test.each(golden.cut)('crop of $box of $width x $height', (vector) => {
  const [height, width] = vector.crop_hw as [number, number];
  const place = cropPlacement(cropBox(vector.box as unknown as Box, vector.padding, width / height), width, height);
  const [x, y] = vector.offset as [number, number];
  [place.scale - vector.scale, place.x - x, place.y - y].forEach((error) => expect(error).toBeCloseTo(0, 9));
  const crop = cut(pattern(vector.width, vector.height), { scale: vector.scale, x, y }, width, height);
  expect(Array.from(crop)).toEqual(bytes(vector.crop));
});

test.each(golden.estimates)('people of given boxes and joints', async (given) => {
  const skeleton = given.skeleton as unknown as Skeleton;
  const detector: Detector = {
    side: given.side,
    multiple: given.multiple,
    minScore: given.min_score,
    run: async () => ({ boxes: given.boxes, scores: given.box_scores }),
  };
  let crop = 0;
  const network: PoseNetwork = {
    ...{ name: 'golden', skeleton, width: 192, height: 192, padding: given.padding },
    run: async () => {
      const [from, to] = [crop * 16, ++crop * 16];
      return { keypoints: given.joints.slice(2 * from, 2 * to), scores: given.scores.slice(from, to) };
    },
  };
  const { width, height } = given;
  const found = await estimate(pattern(width, height), detector, network);
  const written = toJson(found.people, skeleton, { model: 'golden', file: null, width, height });
  expect(written).toEqual(given.poses);
  expect(Object.keys(written)).toEqual(Object.keys(given.poses));
});

test('sides of keypoints', () => {
  for (const { keypoints, mirror, sides } of golden.sides) {
    const skeleton: Skeleton = { keypoints, mirror, limbs: [], sigmas: null };
    expect(keypoints.map((_, k) => side(skeleton, k))).toEqual(sides);
  }
});

test('names to read', () => {
  expect(['r_ankle', 'left_eye', 'head_top', 'LKnee'].map(readable)).toEqual([
    ...['right ankle', 'left eye', 'head top', 'lknee'],
  ]);
});

test('a graphics card that gives other joints, NaN or nobody is not trusted', () => {
  const at = (x: number, score = 0.9): Person[] => [
    { box: [0, 0, 9, 9], score: 1, points: [[x, 5]], scores: [score], present: [true] },
  ];
  expect(agree(at(3), at(3.9))).toBe(true);
  for (const wrong of [at(4.1), at(Number.NaN), [], [...at(3), ...at(3)]]) expect(agree(at(3), wrong)).toBe(false);
  expect(agree([], [])).toBe(false);
  expect(agree(at(3, 0.4), at(3))).toBe(false); // nothing to compare
});

test('names of joints stay in the image', () => {
  expect([nameLeft(50, 1, 30, 100), nameLeft(90, 1, 30, 100)]).toEqual([50, 70]);
  expect([nameLeft(50, -1, 30, 100), nameLeft(10, -1, 30, 100)]).toEqual([20, 0]);
});

test('halves are rounded to the even neighbour', () => {
  expect([0.5, 1.5, 2.5, 2.4, 2.6].map(roundHalfEven)).toEqual([0, 2, 2, 2, 3]);
});

test('metadata of an ONNX file', () => {
  const entry = [10, 1, 97, 18, 2, 98, 99]; // "a": "bc"
  const file = new Uint8Array([8, 7, 0x72, entry.length, ...entry]);
  expect([...metadata(file)]).toEqual([['a', 'bc']]);
  expect(() => metadata(file.subarray(0, 8))).toThrow('not all of it');
  expect(() => metadata(new TextEncoder().encode('\x89PNG....'))).toThrow('not an ONNX file');
});
