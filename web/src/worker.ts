// Where images are decoded and networks run, beside the page.

import { agree } from './agree';
import { estimate, type Detector, type PoseNetwork } from './estimate';
import { detector as bundledDetector, models } from './generated.json';
import { Download, type Progress } from './download';
import type { Answer, Device, Estimated, Loaded, ModelChoice, Request, Upgraded } from './messages';
import { cpuRuntime, gpuRuntime, openDetector, openNetwork, type Runtime } from './networks';
import type { Person } from './people';
import type { Pixels } from './resample';

const MAX_MEGAPIXELS = 100;

interface Networks {
  detector: Detector;
  network: PoseNetwork;
}

let current: Networks | undefined;
/** What `upgrade` opens again on the graphics card. */
let upgradable: { runtime: Runtime; download: Download; detectorFile: Uint8Array; networkFile: Uint8Array } | undefined;
let queue: Promise<unknown> = Promise.resolve();

self.onmessage = (event: MessageEvent<Request & { id: number }>) => {
  const { id, ...request } = event.data;
  const answer = (message: Answer) => self.postMessage(message);
  queue = queue.then(async () => {
    try {
      const onProgress: Progress = (received, total) => answer({ id, kind: 'progress', received, total });
      answer({ id, kind: 'done', result: await handle(request, onProgress) });
    } catch (error) {
      answer({ id, kind: 'failed', reason: firstLine(error) });
    }
  });
};

function handle(request: Request, onProgress: Progress): Promise<unknown> {
  if (request.kind === 'load') return load(request.base, request.model, request.device, onProgress);
  if (request.kind === 'upgrade') return upgrade(request.onlyIfFaster);
  return estimateImage(request.image);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}

async function load(base: string, model: ModelChoice, device: Device, onProgress: Progress): Promise<Loaded> {
  const download = new Download(base, onProgress);
  const bundled = models.find(({ name }) => name === model.name);
  if (!bundled && !model.file) throw new Error(`${model.name}: no such network`);
  const gpu = device === 'wasm' ? 'not asked for' : await gpuRuntime(download, device === 'webgpu');
  const file = ({ name, sha256, bytes }: { name: string; sha256: string; bytes: number }) =>
    download.bytes(`models/${name}.onnx?${sha256.slice(0, 8)}`, bytes);
  const [runtime, detectorFile, networkFile] = await Promise.all([
    typeof gpu === 'string' ? cpuRuntime(download) : gpu,
    file(bundledDetector),
    model.file ? new Uint8Array(model.file) : file(bundled!),
  ]);
  current = {
    network: await openNetwork(runtime, networkFile, model.name, 'wasm'),
    detector: await openDetector(runtime, detectorFile, 'wasm'),
  };
  upgradable = typeof gpu === 'string' ? undefined : { runtime, download, detectorFile, networkFile };
  const { name, skeleton } = current.network;
  return { model: name, skeleton, threads: runtime.threads, gpu: typeof gpu === 'string' ? gpu : true };
}

async function upgrade(onlyIfFaster: boolean): Promise<Upgraded> {
  const stay = (note: string): Upgraded => ({ device: 'wasm', note });
  if (!current || !upgradable) return stay('no graphics card');
  const { runtime, download, detectorFile, networkFile } = upgradable;
  try {
    const stored = await decode(new Blob([await download.bytes('examples/skier.jpg')]));
    const onCard = {
      detector: await openDetector(runtime, detectorFile, 'webgpu'),
      network: await openNetwork(runtime, networkFile, current.network.name, 'webgpu'),
    };
    const cpu = await timed(stored, current);
    const gpu = await timed(stored, onCard);
    if (!agree(cpu.people, gpu.people)) return stay('WebGPU found other joints in a test image');
    if (onlyIfFaster && gpu.milliseconds > cpu.milliseconds) return stay('WebGPU is slower here');
    current = onCard;
    return { device: 'webgpu', note: '' };
  } catch (error) {
    return stay(`WebGPU failed: ${firstLine(error)}`);
  }
}

async function timed(image: Pixels, { detector, network }: Networks): Promise<{ people: Person[]; milliseconds: number }> {
  await estimate(image, detector, network); // the first call compiles
  const start = performance.now();
  const { people } = await estimate(image, detector, network);
  return { people, milliseconds: performance.now() - start };
}

async function estimateImage(image: Blob | ImageBitmap): Promise<Estimated> {
  if (!current) throw new Error('no network is loaded');
  const pixels = await decode(image);
  return { ...(await estimate(pixels, current.detector, current.network)), width: pixels.width, height: pixels.height };
}

/** Upright pixels without colour management, as Pillow gives them; what is transparent becomes white. */
async function decode(image: Blob | ImageBitmap): Promise<Pixels> {
  const bitmap =
    image instanceof Blob
      ? await createImageBitmap(image, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' })
      : image;
  const { width, height } = bitmap;
  try {
    if (width * height > MAX_MEGAPIXELS * 1e6) throw new Error(`more than ${MAX_MEGAPIXELS} megapixels`);
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    return { data: context.getImageData(0, 0, width, height).data, width, height, channels: 4 };
  } finally {
    bitmap.close();
  }
}

