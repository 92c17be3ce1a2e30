// What page and worker say to each other.

import type { Estimate } from './estimate';
import type { Skeleton } from './people';

export type Device = 'auto' | 'wasm' | 'webgpu';
/** A bundled network by name, or the bytes of a file that `hevitpose export` wrote. */
export type ModelChoice = { name: string; file?: ArrayBuffer };

export interface Loaded {
  model: string;
  skeleton: Skeleton;
  threads: number;
  /** Whether `upgrade` may go over to the graphics card; else why not. */
  gpu: true | string;
}

/** What the networks run on now, and why not on the graphics card. */
export interface Upgraded {
  device: 'wasm' | 'webgpu';
  note: string;
}

export interface Estimated extends Estimate {
  width: number;
  height: number;
}

export type Request =
  | { kind: 'load'; base: string; model: ModelChoice; device: Device }
  | { kind: 'upgrade'; onlyIfFaster: boolean }
  | { kind: 'estimate'; image: Blob | ImageBitmap };

export type Answer =
  | { id: number; kind: 'progress'; received: number; total: number }
  | { id: number; kind: 'done'; result: unknown }
  | { id: number; kind: 'failed'; reason: string };
