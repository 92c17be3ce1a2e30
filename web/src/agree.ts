// Whether a graphics card may be trusted: WebGPU can give wrong numbers, zeros or NaN without an error.

import type { Person } from './people';

/** What its keypoints may differ by from the processor's, in pixels of the image. */
const MAX_DIFFERENCE = 1;
const COMPARED_SCORE = 0.5;

/** Whether both found the same people, and their confident joints at the same places; not where there are none. */
export function agree(cpu: readonly Person[], gpu: readonly Person[]): boolean {
  if (cpu.length !== gpu.length) return false;
  const distances = cpu.flatMap((person, n) =>
    person.points
      .map(([x, y], k) => Math.hypot(x - gpu[n]!.points[k]![0], y - gpu[n]!.points[k]![1]))
      .filter((_, k) => person.scores[k]! >= COMPARED_SCORE),
  );
  return distances.length > 0 && distances.every((distance) => distance <= MAX_DIFFERENCE); // NaN is not
}
