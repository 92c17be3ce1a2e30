// From the pixels of an image to its people. The networks come as functions, so that tests can do without them.

import { cropBox, cropPlacement, inverse, place, squareAround, type Box, type Point } from './geometry';
import { betterPass, detections, lonePerson, people, sureJoints, type Joints, type Person, type Skeleton } from './people';
import { cut, inputSize, letterbox, type Pixels } from './resample';

/** `run` takes an RGB input of this height and width, and gives boxes (T, 4) in its pixels and scores (T), best first. */
export interface Detector {
  side: number;
  multiple: number;
  minScore: number;
  run(input: Uint8Array, size: [number, number]): Promise<{ boxes: ArrayLike<number>; scores: ArrayLike<number> }>;
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
  const size = inputSize(image.width / image.height, detector.side, detector.multiple);
  const { input, scales } = letterbox(image, size);
  const { boxes, scores } = await detector.run(input, size);
  const found = detections(boxes, scores, scales, image.width, image.height, detector.minScore);
  const detected = performance.now();
  const joints: Joints[] = [];
  for (const { box } of found) joints.push(await look(image, box, network, network.padding));
  let everybody = people(found, joints, network.skeleton, image.width, image.height);
  let crops = found.length;
  if (!everybody.length) {
    const whole = await look(image, [0, 0, image.width, image.height], network, 1);
    const sure = sureJoints(whole, network.skeleton);
    crops += sure ? 2 : 1;
    if (sure) {
      const box = squareAround(sure);
      const again = betterPass(whole, await look(image, box, network, network.padding));
      everybody = lonePerson(box, again, network.skeleton, image.width, image.height);
    }
  }
  const times = { detector: detected - start, keypoints: performance.now() - detected, crops };
  return { people: everybody, times };
}

/** The joints that the network sees in a box. */
async function look(image: Pixels, box: Box, network: PoseNetwork, padding: number): Promise<Joints> {
  const padded = cropBox(box, padding, network.width / network.height);
  const placement = cropPlacement(padded, network.width, network.height);
  const { keypoints, scores } = await network.run(cut(image, placement, network.width, network.height));
  const back = inverse(placement);
  const points = Array.from(scores, (_, k): Point => place(back, [keypoints[2 * k]!, keypoints[2 * k + 1]!]));
  return { points, scores: Array.from(scores) };
}
