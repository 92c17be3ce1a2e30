// From boxes and raw keypoints to the people of an image: what PoseEstimator does behind the networks.

import { inImage, type Box, type Point } from './geometry';
import { constants } from './generated.json';

export interface Skeleton {
  keypoints: string[];
  mirror: number[];
  limbs: [number, number][];
  sigmas: number[] | null;
}

export interface Detection {
  box: Box;
  score: number;
}

/** What the network says of one crop, for every keypoint; `points` in the pixels of the image. */
export interface Joints {
  points: Point[];
  scores: number[];
}

/** One person; `points` and `scores` have an entry for every keypoint, `present` says which of them count. */
export interface Person extends Joints {
  box: Box;
  score: number;
  present: boolean[];
}

/** The detector's boxes in the pixels of the image, cut at its edges; without those below `minScore` or without area. */
export function detections(
  boxes: ArrayLike<number>,
  scores: ArrayLike<number>,
  scales: readonly [number, number],
  width: number,
  height: number,
  minScore: number,
): Detection[] {
  const found: Detection[] = [];
  for (let n = 0; n < scores.length; n++) {
    if (!(scores[n]! >= minScore)) continue;
    const side = (k: number) => Math.min(Math.max(boxes[4 * n + k]! / scales[k % 2]!, 0), k % 2 ? height : width);
    const box: Box = [side(0), side(1), side(2), side(3)];
    if (box[2] - box[0] >= 1 && box[3] - box[1] >= 1) found.push({ box, score: scores[n]! });
  }
  return found;
}

/** The people, best first: scored, calibrated, each once. */
export function people(
  found: readonly Detection[],
  joints: readonly Joints[],
  skeleton: Skeleton,
  width: number,
  height: number,
): Person[] {
  const all = found.map(({ box, score }, n): Person => {
    const present = presentOf(joints[n]!, skeleton, width, height);
    const better = boxWithKeypoints(box, joints[n]!.points, present, skeleton, width, height);
    return { box: better, score: calibrated(meanWhere(joints[n]!.scores, present) * score), ...joints[n]!, present };
  });
  const sure = all.filter((person) => person.score >= constants.min_person_score);
  return withoutDuplicates(
    sure.sort((one, other) => other.score - one.score),
    skeleton,
  );
}

/** The points of an image taken as a whole that make it worth a second look: enough of them, or a sure head. */
export function sureJoints({ points, scores }: Joints, skeleton: Skeleton): Point[] | null {
  const sure = points.filter((_, k) => scores[k]! >= constants.min_score);
  const { min_keypoints: least, min_keypoint_share: share } = constants;
  if (sure.length >= Math.min(scores.length, Math.max(least, Math.floor(share * scores.length)))) return sure;
  const head = headOf(skeleton).map((of, k) => of && scores[k]! >= constants.min_score);
  const enough = head.filter(Boolean).length >= constants.min_head_keypoints;
  return enough && meanWhere(scores, head) >= constants.sure_head ? sure : null;
}

/** The second look, or the first where the second is clearly less sure. */
export function betterPass(first: Joints, second: Joints): Joints {
  const everywhere = first.scores.map(() => true);
  const worse = meanWhere(first.scores, everywhere) - meanWhere(second.scores, everywhere);
  return worse > constants.second_pass_tolerance ? first : second;
}

/** The one person of an image in which the detector found nobody, if the keypoints are sure. */
export function lonePerson(box: Box, joints: Joints, skeleton: Skeleton, width: number, height: number): Person[] {
  const present = presentOf(joints, skeleton, width, height);
  const score = meanWhere(joints.scores, present);
  return sureJoints(joints, skeleton) && score >= constants.lone_person_score ? [{ box, score, ...joints, present }] : [];
}

/** Which keypoints are sure and in the image; those of the head alone where nothing else is visible. */
function presentOf({ points, scores }: Joints, skeleton: Skeleton, width: number, height: number): boolean[] {
  const head = headOf(skeleton);
  const headAlone = showsOnlyHead(scores, head);
  return scores.map(
    (value, k) => value >= constants.min_score && inImage(points[k]!, width, height) && (head[k]! || !headAlone),
  );
}

/** The box, moved half way to what the present keypoints say; a side at the edge of the image does not move inwards. */
function boxWithKeypoints(
  box: Box,
  points: readonly Point[],
  present: readonly boolean[],
  skeleton: Skeleton,
  width: number,
  height: number,
): Box {
  const head = headOf(skeleton);
  if (present.filter((here, k) => here && !head[k]).length < constants.min_body_keypoints) return box;
  const margins = [...constants.box_margins];
  if (!skeleton.keypoints.map(readable).includes('head top')) margins[1] = constants.margin_above_face;
  const seen = points.filter((_, k) => present[k]);
  const side = (n: 0 | 1 | 2 | 3): number => {
    const axis = n === 1 || n === 3 ? 1 : 0;
    const last = n > 1;
    const limit = axis ? height : width;
    const atEdge = Math.abs(box[n] - (last ? limit : 0)) < constants.at_edge * limit;
    const along = seen.map((point) => point[axis] + 0.5);
    const extent = last ? Math.max(...along) : Math.min(...along);
    const margin = margins[n]! * (axis ? box[3] - box[1] : box[2] - box[0]);
    const moved = (box[n] + extent + (last ? margin : -margin)) / 2;
    const outer = last ? Math.max(box[n], moved) : Math.min(box[n], moved);
    return Math.min(Math.max(atEdge ? outer : moved, 0), limit);
  };
  return [side(0), side(1), side(2), side(3)];
}

/** Which keypoints are of the head, for people; none for other skeletons. */
function headOf({ keypoints }: Skeleton): boolean[] {
  const names = keypoints.map(readable);
  const torso = ['left shoulder', 'right shoulder', 'left hip', 'right hip'];
  const human = torso.every((name) => names.includes(name));
  return names.map((name) => human && constants.head.includes(name.replace(/^(left|right) /, '')));
}

/** Whether the head is sure and all other keypoints score far lower. */
function showsOnlyHead(scores: readonly number[], head: readonly boolean[]): boolean {
  const ofHead = scores.filter((_, k) => head[k]).sort((one, other) => other - one);
  const others = scores.filter((_, k) => !head[k]);
  const best = ofHead.slice(0, constants.min_head_keypoints);
  if (best.length < constants.min_head_keypoints || !others.length) return false;
  const sure = best.reduce((sum, value) => sum + value, 0) / best.length;
  return sure >= constants.sure_head && Math.max(...others) < constants.body_of_head * sure;
}

function meanWhere(values: readonly number[], counted: readonly boolean[]): number {
  let sum = 0;
  let count = 0;
  values.forEach((value, k) => {
    if (counted[k]) {
      sum += value;
      count += 1;
    }
  });
  return sum / Math.max(count, 1);
}

/** The product of detector's and keypoints' scores as the probability that there is a person. */
export function calibrated(score: number): number {
  const power = score ** constants.calibration_slope;
  return power / (power + constants.calibration_half ** constants.calibration_slope);
}

/** Of two poses that are alike by OKS the better one stays; `sorted` by score. */
function withoutDuplicates(sorted: readonly Person[], skeleton: Skeleton): Person[] {
  const sigmas = skeleton.sigmas ?? skeleton.keypoints.map(() => constants.default_sigma);
  const kept: Person[] = [];
  for (const person of sorted) {
    if (kept.every((better) => similarity(better, person, sigmas) <= constants.same_pose)) kept.push(person);
  }
  return kept;
}

function area({ box }: Person): number {
  return (box[2] - box[0]) * (box[3] - box[1]);
}

/** OKS of two people, by the mean of their boxes' areas. */
function similarity(one: Person, other: Person, sigmas: readonly number[]): number {
  const mean = (area(one) + area(other)) / 2 + Number.EPSILON;
  const alike = sigmas.map((sigma, k) => {
    const [dx, dy] = [one.points[k]![0] - other.points[k]![0], one.points[k]![1] - other.points[k]![1]];
    return Math.exp(-(dx * dx + dy * dy) / (2 * sigma) ** 2 / mean / 2);
  });
  return alike.reduce((sum, value) => sum + value, 0) / alike.length;
}

export interface PoseFile {
  schema: string;
  model: string;
  file: string | null;
  width: number;
  height: number;
  people: {
    score: number;
    box: number[];
    keypoints: Record<string, { x: number | null; y: number | null; score: number }>;
  }[];
}

/** The people as `hevitpose predict` writes them (docs/results.md). */
export function toJson(
  everybody: readonly Person[],
  skeleton: Skeleton,
  image: { model: string; file: string | null; width: number; height: number },
): PoseFile {
  return {
    schema: constants.schema,
    ...image,
    people: everybody.map(({ box, score, points, scores, present }) => ({
      score: rounded(score, 4),
      box: [box[0], box[1], box[2] - box[0], box[3] - box[1]].map((value) => rounded(value, 2)),
      keypoints: Object.fromEntries(
        skeleton.keypoints.map((name, k) => [
          name,
          {
            x: present[k] ? rounded(points[k]![0], 2) : null,
            y: present[k] ? rounded(points[k]![1], 2) : null,
            score: rounded(scores[k]!, 4),
          },
        ]),
      ),
    })),
  };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The side of the person that a keypoint is on: by its name, or of an unnamed pair the first is left. */
export function side(skeleton: Skeleton, keypoint: number): 'left' | 'right' | 'middle' {
  const partner = skeleton.mirror[keypoint]!;
  if (partner === keypoint) return 'middle';
  const first = skeleton.keypoints[keypoint]!.toLowerCase();
  if (/^(l|left)(?=[^a-z]|$)|^left/.test(first)) return 'left';
  if (/^(r|right)(?=[^a-z]|$)|^right/.test(first)) return 'right';
  return keypoint < partner ? 'left' : 'right';
}

/** A keypoint's name to read: "r_ankle" is "right ankle". */
export function readable(name: string): string {
  const words = name.replace(/_/g, ' ').replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return words.replace(/^l /, 'left ').replace(/^r /, 'right ');
}
