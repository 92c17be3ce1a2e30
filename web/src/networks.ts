// ONNX Runtime for the web: which build is loaded, and sessions as the functions that `estimate` wants.

import type { InferenceSession } from 'onnxruntime-web/wasm';
import cpuModule from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import cpuWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import gpuModule from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url';
import gpuWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url';
import type { Download } from './download';
import type { Detector, PoseNetwork } from './estimate';
import { metadata } from './onnx-metadata';
import { readable, type Skeleton } from './people';

declare const __CPU_WASM_BYTES__: number;
declare const __GPU_WASM_BYTES__: number;
/** More threads than this gain little for networks as small as these. */
const MAX_THREADS = 4;

export interface Runtime {
  ort: typeof import('onnxruntime-web/wasm');
  threads: number;
}

/** Threads need shared memory, which a page has only where its server sends two headers (docs/web.md). */
function threads(): number {
  return self.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1) : 1;
}

/** WebAssembly on the processor, for every browser. */
export async function cpuRuntime(download: Download): Promise<Runtime> {
  const ort = await import('onnxruntime-web/wasm');
  return started(ort, cpuModule, await download.bytes(new URL(cpuWasm, self.location.href).href, __CPU_WASM_BYTES__));
}

/** The build that has WebGPU, and runs on the processor as well; or why there is none. */
export async function gpuRuntime(download: Download, softwareToo: boolean): Promise<Runtime | string> {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!adapter) return 'this browser grants no graphics card (WebGPU)';
  if (adapter.info.isFallbackAdapter && !softwareToo) return 'there is no graphics card';
  if (!('Suspending' in WebAssembly)) return 'this browser cannot wait for a graphics card in WebAssembly (JSPI)';
  try {
    const ort = await import('onnxruntime-web/jspi');
    return started(ort, gpuModule, await download.bytes(new URL(gpuWasm, self.location.href).href, __GPU_WASM_BYTES__));
  } catch {
    return 'the files for WebGPU are not on this server';
  }
}

function started(ort: Runtime['ort'], module: string, wasm: Uint8Array<ArrayBuffer>): Runtime {
  ort.env.wasm.wasmPaths = { mjs: new URL(module, self.location.href).href };
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = threads();
  ort.env.logLevel = 'error';
  return { ort, threads: threads() };
}

export async function openDetector(runtime: Runtime, file: Uint8Array, device: 'wasm' | 'webgpu'): Promise<Detector> {
  const config = JSON.parse(metadata(file).get('hevitpose.detector') ?? 'null');
  if (!config) throw new Error('the detector is not one of hevitpose');
  const session = await open(runtime, file, device);
  const side: number = config.input_size[0];
  return {
    side,
    multiple: config.input_multiple ?? side,
    minScore: config.min_score,
    async run(input, size) {
      const { boxes, scores } = await call(runtime, session, input, [1, ...size, 3]);
      return { boxes: boxes!, scores: scores! };
    },
  };
}

/** The network of a file that `hevitpose export` wrote. Throws where it is another, or not for people. */
export async function openNetwork(
  runtime: Runtime,
  file: Uint8Array,
  name: string,
  device: 'wasm' | 'webgpu',
): Promise<PoseNetwork> {
  const config = JSON.parse(metadata(file).get('hevitpose') ?? 'null');
  if (!config) throw new Error(`${name}: is not a network of hevitpose`);
  const skeleton: Skeleton = config.skeleton;
  const names = new Set(skeleton.keypoints.map(readable));
  const ofPeople = ['left shoulder', 'right shoulder', 'left hip', 'right hip'].every((joint) => names.has(joint));
  if (!ofPeople) throw new Error(`${name}: its keypoints are not those of people, whom the detector finds`);
  const [height, width] = config.input_size as [number, number];
  const session = await open(runtime, file, device, { height, width });
  return {
    ...{ name, skeleton, width, height, padding: config.padding },
    async run(crop) {
      const { keypoints, scores } = await call(runtime, session, crop, [1, height, width, 3]);
      return { keypoints: keypoints!, scores: scores! };
    },
  };
}

/** Shapes that are known when a graph is loaded save about a tenth of the time; larger batches save nothing here. */
function open(
  { ort }: Runtime,
  file: Uint8Array,
  device: 'wasm' | 'webgpu',
  shape: Record<string, number> = {},
): Promise<InferenceSession> {
  const freeDimensionOverrides = { batch: 1, ...shape };
  return ort.InferenceSession.create(file, { executionProviders: [device], logSeverityLevel: 3, freeDimensionOverrides });
}

/** The outputs of a session, but for heatmaps and classes, which nobody here needs. */
async function call(
  { ort }: Runtime,
  session: InferenceSession,
  pixels: Uint8Array,
  shape: number[],
): Promise<Record<string, Float32Array>> {
  const wanted = session.outputNames.filter((name) => ['boxes', 'keypoints', 'scores'].includes(name));
  const outputs = await session.run({ [session.inputNames[0]!]: new ort.Tensor('uint8', pixels, shape) }, wanted);
  return Object.fromEntries(wanted.map((name) => [name, outputs[name]!.data as Float32Array]));
}
