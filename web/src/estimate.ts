// From the pixels of an image to its people. The networks come as functions, so that tests can do without them.

import { cropBox, cropPlacement, inverse, place, type Point } from './geometry';
import { detections, people, type Person, type Skeleton } from './people';
import { cut, letterbox, type Pixels } from './resample';

/** Crops of one call: more use memory and are hardly faster. */
export const BATCH_SIZE = 8;

/** `run` takes one square image, RGB, and gives boxes (T, 4) in its pixels and scores (T), best first. */
export interface Detector {
  side: number;
  minScore: number;
  run(square: Uint8Array): Promise<{ boxes: ArrayLike<number>; scores: ArrayLike<number> }>;
}

/** `run` takes crops (N, height, width, 3) and gives keypoints (N, K, 2) in their pixels and scores (N, K). */
export interface PoseNetwork {
  name: string;
  skeleton: Skeleton;
  width: number;
  height: number;
  padding: number;
  run(crops: Uint8Array, count: number): Promise<{ keypoints: ArrayLike<number>; scores: ArrayLike<number> }>;
}

export interface Estimate {
  people: Person[];
  /** Milliseconds, and how many crops they were spent on. */
  times: { detector: number; keypoints: number; crops: number };
}

/** The people of an image: `PoseEstimator` with the bundled detector and default options. */
export async function estimate(image: Pixels, detector: Detector, network: PoseNetwork): Promise<Estimate> {
  const start = performance.now();
  const { square, scales } = letterbox(image, detector.side);
  const { boxes, scores } = await detector.run(square);
  const found = detections(boxes, scores, scales, image.width, image.height, detector.minScore);
  const detected = performance.now();
  const points: Point[][] = [];
  const pointScores: number[][] = [];
  for (let first = 0; first < found.length; first += BATCH_SIZE) {
    const batch = found.slice(first, first + BATCH_SIZE);
    const crops = new Uint8Array(batch.length * network.height * network.width * 3);
    const backs = batch.map(({ box }, n) => {
      const padded = cropBox(box, network.padding, network.width / network.height);
      const placement = cropPlacement(padded, network.width, network.height);
      crops.set(cut(image, placement, network.width, network.height), n * network.width * network.height * 3);
      return inverse(placement);
    });
    const output = await network.run(crops, batch.length);
    const joints = network.skeleton.keypoints.length;
    backs.forEach((back, n) => {
      const index = Array.from({ length: joints }, (_, k) => n * joints + k);
      points.push(index.map((k) => place(back, [output.keypoints[2 * k]!, output.keypoints[2 * k + 1]!])));
      pointScores.push(index.map((k) => output.scores[k]!));
    });
  }
  const times = { detector: detected - start, keypoints: performance.now() - detected, crops: found.length };
  return { people: people(found, points, pointScores, network.skeleton, image.width, image.height), times };
}
