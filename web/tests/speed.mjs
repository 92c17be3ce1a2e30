// How fast the page is beside native ONNX Runtime, both on one thread, in turn: writes results/benchmark_browser.json.
//
//     make web && PYTHON=.venv/bin/python node web/tests/speed.mjs
//
// Seconds of the processor, not of the clock, so that others on the machine count less. A crop is the difference
// between an image of several people and one of nobody, by their number. Linux only: Chromium's threads are in /proc.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { gzipSync } from 'node:zlib';
import { launch, root, serve } from './chromium.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 20);
const WARM_UP = 5; // WebAssembly is compiled again, better, while it runs
const folder = mkdtempSync(join(tmpdir(), 'hevitpose-speed-'));

const python = process.env.PYTHON ?? join(root, '.venv/bin/python');
const native = spawn(python, [join(root, 'web/tests/native.py'), folder], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface({ input: native.stdout })[Symbol.asyncIterator]();
await lines.next(); // it is ready
async function nativeRun(name) {
  native.stdin.write(`${name}\n`);
  const [seconds, crops] = JSON.parse((await lines.next()).value);
  return { ms: 1000 * seconds, crops };
}

const server = await serve();
const browser = await launch();
const page = await browser.newPage();
await page.goto(server.url);
await page.waitForFunction(() => document.getElementById('status').textContent === 'Ready.', undefined, { timeout: 300_000 });
const asked = [...server.asked];
const encoded = Object.fromEntries(['six.png', 'none.png'].map((name) => [name, readFileSync(join(folder, name), 'base64')]));
/** A worker of its own, spoken to as src/engine.ts does. */
const loaded = await page.evaluate(async (images) => {
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
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  window.images = Object.fromEntries(Object.entries(images).map(([name, text]) => [name, new Blob([bytes(text)])]));
  const model = { name: document.getElementById('model').value };
  return window.ask({ kind: 'load', base: document.baseURI, model, device: 'wasm' });
}, encoded);

/** Nanoseconds that each worker's thread of Chromium has had of a processor. */
function workers() {
  const found = {};
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const path = `/proc/${pid}/task/${thread}`;
        if (!readFileSync(`${path}/comm`, 'utf8').startsWith('DedicatedWorker')) continue;
        found[path] = Number(readFileSync(`${path}/schedstat`, 'utf8').split(' ')[0]);
      }
    } catch {
      // it has ended, or is another user's
    }
  }
  return found;
}
let own; // the thread of the worker: the one that works most while it is asked
async function browserRun(name) {
  const before = workers();
  const { times } = await page.evaluate((name) => window.ask({ kind: 'estimate', image: window.images[name] }), name);
  const after = workers();
  const spent = (path) => after[path] - (before[path] ?? 0);
  own ??= Object.keys(after).sort((a, b) => spent(b) - spent(a))[0];
  return { ms: spent(own) / 1e6, crops: times.crops };
}

const runs = { browser: [], native: [] };
for (let n = -WARM_UP; n < ROUNDS; n++) {
  for (const [side, run] of [['browser', browserRun], ['native', nativeRun]]) {
    const [six, none] = [await run('six.png'), await run('none.png')];
    if (n >= 0) runs[side].push({ crop: (six.ms - none.ms) / (six.crops - none.crops), none: none.ms, crops: six.crops });
  }
}
native.stdin.end();
const version = browser.version();
await browser.close();
await server.close();
rmSync(folder, { recursive: true });

const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const rounded = (value) => Number(value.toFixed(3));
const figures = (side) => ({
  crop_ms: rounded(middle(runs[side].map(({ crop }) => crop))),
  nobody_ms: rounded(middle(runs[side].map(({ none }) => none))),
  crops: runs[side][0].crops,
});
const [browserFigures, nativeFigures] = [figures('browser'), figures('native')];
const compressed = (file) => gzipSync(readFileSync(file)).length;
const weights = join(root, 'src/hevitpose/weights');
const assets = join(root, 'web/dist/assets');
const first = asked;
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
  what: 'milliseconds of the processor, one thread: a crop (cutting, keypoints), and an image of nobody (decoded in the browser only); medians of runs in turn',
  model: loaded.model,
  threads: loaded.threads,
  rounds: ROUNDS,
  processor: cpus()[0].model,
  load: loadavg().map(rounded),
  chromium: version,
  browser: browserFigures,
  native: nativeFigures,
  crops_per_second_ratio: rounded(nativeFigures.crop_ms / browserFigures.crop_ms),
  downloads_gzip_bytes: Object.fromEntries(downloads),
};
writeFileSync(join(root, 'results/benchmark_browser.json'), `${JSON.stringify(result, null, 1)}\n`);
console.log(JSON.stringify(result, null, 1));
