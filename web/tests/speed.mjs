// How fast the page is beside native ONNX Runtime, both on one thread, in turn: writes results/benchmark_browser.json.
//
//     make web && PYTHON=.venv/bin/python node web/tests/speed.mjs

import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { gzipSync } from 'node:zlib';
import { launch, root, serve } from './chromium.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 40);
const WARM_UP = 15; // WebAssembly is compiled again, better, while it runs
const image = join(root, 'examples/skier.jpg');

const python = process.env.PYTHON ?? join(root, '.venv/bin/python');
const native = spawn(python, [join(root, 'web/tests/native.py'), image], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface({ input: native.stdout })[Symbol.asyncIterator]();
async function nativeRun() {
  native.stdin.write('\n');
  return JSON.parse((await lines.next()).value);
}

const server = await serve();
const browser = await launch();
const page = await browser.newPage();
await page.goto(server.url);
await page.waitForFunction(() => document.getElementById('status').textContent === 'Ready.', undefined, { timeout: 300_000 });
/** A worker of its own, spoken to as src/engine.ts does. */
await page.evaluate(async () => {
  const { name } = performance.getEntriesByType('resource').find(({ name }) => name.includes('/worker-'));
  const worker = new Worker(name, { type: 'module' });
  window.ask = (message) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.kind === 'done') resolve(data.result);
        if (data.kind === 'failed') reject(new Error(data.reason));
      };
      worker.postMessage({ id: 1, ...message });
    });
  window.image = await (await fetch('examples/skier.jpg')).blob();
  const model = { name: document.getElementById('model').value };
  window.loaded = await window.ask({ kind: 'load', base: document.baseURI, model, device: 'wasm' });
});
const browserRun = () =>
  page.evaluate(async () => {
    const { times } = await window.ask({ kind: 'estimate', image: window.image });
    return [times.detector, times.keypoints / times.crops];
  });

const runs = { browser: [], native: [] };
for (let n = -WARM_UP; n < ROUNDS; n++) {
  const pair = { browser: await browserRun(), native: await nativeRun() };
  if (n >= 0) for (const side of ['browser', 'native']) runs[side].push(pair[side]);
}
native.stdin.end();
const { model, threads } = await page.evaluate(() => window.loaded);
const version = browser.version();
await browser.close();
await server.close();

const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const rounded = (value) => Number(value.toFixed(3));
const figures = (side) => ({
  detector_ms: rounded(middle(runs[side].map(([detector]) => detector))),
  crop_ms: rounded(middle(runs[side].map(([, crop]) => crop))),
  fastest_crop_ms: rounded(Math.min(...runs[side].map(([, crop]) => crop))),
});
const [browserFigures, nativeFigures] = [figures('browser'), figures('native')];
const compressed = (file) => gzipSync(readFileSync(file)).length;
const weights = join(root, 'src/hevitpose/weights');
const assets = join(root, 'web/dist/assets');
const first = [...server.asked];
const sizes = (title, files) => [title, files.reduce((sum, file) => sum + compressed(file), 0)];
const downloads = [
  sizes('page and examples', first.filter((file) => !/\.(wasm|onnx)$/.test(file))),
  sizes('ONNX Runtime', first.filter((file) => file.endsWith('.wasm'))),
  sizes('detector and default network', first.filter((file) => file.endsWith('.onnx'))),
  sizes('**at first, together**', first),
  sizes(
    'ONNX Runtime with WebGPU, in place of the other',
    readdirSync(assets).filter((name) => /jspi-.*wasm/.test(name)).map((name) => join(assets, name)),
  ),
  ...readdirSync(weights)
    .map((name) => join(weights, name))
    .filter((file) => file.endsWith('.onnx') && !first.some((asked) => asked.endsWith(basename(file))))
    .map((file) => sizes(`\`${basename(file, '.onnx')}\`, if it is chosen`, [file])),
];
const result = {
  what: 'time of the detector and of a crop (cutting and keypoints) of examples/skier.jpg, in turn; medians',
  model,
  threads,
  rounds: ROUNDS,
  processor: cpus()[0].model,
  load: loadavg().map((value) => rounded(value)),
  disturbed: 'trainings and tests of others ran at the same time: only the ratios say something',
  chromium: version,
  browser: browserFigures,
  native: nativeFigures,
  crops_per_second_ratio: rounded(nativeFigures.crop_ms / browserFigures.crop_ms),
  crops_per_second_ratio_fastest: rounded(nativeFigures.fastest_crop_ms / browserFigures.fastest_crop_ms),
  detector_ratio: rounded(nativeFigures.detector_ms / browserFigures.detector_ms),
  downloads_gzip_bytes: Object.fromEntries(downloads),
};
writeFileSync(join(root, 'results/benchmark_browser.json'), `${JSON.stringify(result, null, 1)}\n`);
console.log(JSON.stringify(result, null, 1));
