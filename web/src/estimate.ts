// From the pixels of an image to its people. The networks come as functions, so that tests can do without them.

import { cropBox, cropPlacement, inverse, place, type Point } from './geometry';
import { detections, people, type Person, type Skeleton } from './people';
import { cut, letterbox, type Pixels } from './resample';

/** `run` takes one square image, RGB, and gives boxes (T, 4) in its pixels and scores (T), best first. */
export interface Detector {
  side: number;
  minScore: number;
  run(square: Uint8Array): Promise<{ boxes: ArrayLike<number>; scores: ArrayLike<number> }>;
}

/** `run` takes a crop, RGB, and gives keypoints (K, 2) in its pixels and scores (K). */
export interface PoseNetwork {
  name: string;
  skeleton: Skeleton;
  width: number;
  height: number;
  padding: number;
  run(crop: Uint8Array): Promise<{ keypoints: ArrayLike<number>; scores: ArrayLike<number> }>;
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
  for (const { box } of found) {
    const padded = cropBox(box, network.padding, network.width / network.height);
    const placement = cropPlacement(padded, network.width, network.height);
    const { keypoints, scores: own } = await network.run(cut(image, placement, network.width, network.height));
    const back = inverse(placement);
    points.push(Array.from(own, (_, k) => place(back, [keypoints[2 * k]!, keypoints[2 * k + 1]!])));
    pointScores.push(Array.from(own));
  }
  const times = { detector: detected - start, keypoints: performance.now() - detected, crops: found.length };
  return { people: people(found, points, pointScores, network.skeleton, image.width, image.height), times };
}
