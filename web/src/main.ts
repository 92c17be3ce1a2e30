// The page: where images come from, and what is shown of them.

import { Engine, Stopped } from './engine';
import { default_model, detector, models } from './generated.json';
import { Live, Rate } from './live';
import type { Device, Estimated, Loaded, ModelChoice } from './messages';
import { showJoints, showPeople, sentence, type Panel } from './panel';
import { toJson } from './people';
import { draw, picture, type Look, type Shown } from './stage';
import { startThemes } from './theme';

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const OWN_FILE = 'own';
const narrow = matchMedia('(max-width: 860px)');
/** Milliseconds for the first calls of a graphics card, which compile. */
const GPU_PATIENCE = { auto: 20_000, webgpu: 300_000 };
const canvas = element<HTMLCanvasElement>('canvas');
const view = element('view');
const status = element('status');
const panel: Panel = {
  people: element<HTMLFieldSetElement>('people'),
  table: element('table'),
  caption: element('caption'),
  joints: element('joints'),
};
const look: Look = { boxes: true, names: false, person: 0, joint: undefined };

let engine: Engine;
let loaded: Loaded | undefined;
let ready: Promise<void>;
let choice: ModelChoice = { name: default_model };
let device: Device = 'auto';
let running = 'WebAssembly';
/** Why the graphics card is not tried again. */
let gpuGaveUp = '';
let live: Live | undefined;
/** What is on the stage; `file` is its name in JSON, `model` the network that found the people. */
let shown: (Shown & { file: string | null; model: string }) | undefined;
/** The image that was opened last, to be looked at again with another model. */
let lastImage: { blob: Blob; name: string } | undefined;
let turn = 0;

// ---- networks

function start(): void {
  engine?.close();
  engine = new Engine();
  ready = loadModel();
  void ready.catch(() => {}); // shown by loadModel
}

async function loadModel(): Promise<void> {
  const own = engine;
  busy('Loading the networks');
  try {
    loaded = await own.load(choice, gpuGaveUp ? 'wasm' : device, (received, total) => {
      const progress = element<HTMLProgressElement>('progress');
      progress.value = received / total;
      element('busy-text').textContent = `Loading the networks: ${mega(received)} of ${mega(total)} MB`;
    });
  } catch (error) {
    if (own === engine && !(error instanceof Stopped)) fail(error, '');
    throw error;
  } finally {
    if (own === engine) idle();
  }
  running = `WebAssembly, ${loaded.threads === 1 ? '1 thread' : `${loaded.threads} threads`}`;
  describeEngine(loaded.gpu === true ? 'trying WebGPU' : gpuGaveUp || (device === 'webgpu' ? loaded.gpu : ''));
  if (!shown) status.textContent = 'Ready.';
  if (loaded.gpu === true) void tryGraphicsCard(own);
}

async function tryGraphicsCard(own: Engine): Promise<void> {
  const auto = device === 'auto';
  // Drivers fail in silence, too. Then the processor takes over.
  const timer = setTimeout(() => {
    gpuGaveUp = 'WebGPU did not answer in time';
    start();
    void ready.then(lookAgain, () => {});
  }, GPU_PATIENCE[auto ? 'auto' : 'webgpu']);
  try {
    const { device: used, note } = await own.upgrade(auto);
    if (used === 'webgpu') running = 'WebGPU';
    describeEngine(note);
  } catch (error) {
    if (!(error instanceof Stopped)) describeEngine('WebGPU failed');
  } finally {
    clearTimeout(timer);
  }
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function describeEngine(note = '', times = ''): void {
  element('engine').textContent = [running, note, times].filter(Boolean).join(' · ');
  Object.assign(element('engine').dataset, { running, model: loaded?.model });
}

function busy(text: string): void {
  element('busy').hidden = false;
  element('busy-text').textContent = text;
  element<HTMLProgressElement>('progress').removeAttribute('value');
}

function idle(): void {
  element('busy').hidden = true;
}

function fail(error: unknown, name: string): void {
  const reason = error instanceof Error ? error.message : String(error);
  element('error').textContent = name ? `${name}: ${reason}` : reason;
  element('error').hidden = false;
  element('error').scrollIntoView({ block: 'nearest' }); // in a narrow window it is below the image
  if (!shown) status.textContent = '';
}

// ---- images

async function openImage(blob: Blob, name: string): Promise<void> {
  stopLive();
  const own = ++turn;
  element('error').hidden = true;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  } catch {
    fail('this browser cannot read this as an image', name);
    return;
  }
  if (own !== turn) return;
  lastImage = { blob, name };
  const { width, height } = bitmap;
  show({ picture: bitmap, width, height, people: [], skeleton: undefined, file: name, model: '' });
  status.textContent = 'Looking for people';
  try {
    await ready;
    if (own !== turn) return;
    busy('Looking for people');
    const found = await engine.estimate(blob);
    if (own === turn) present(bitmap, found, name);
  } catch (error) {
    if (own === turn && !(error instanceof Stopped)) fail(error, name);
  } finally {
    if (own === turn) idle();
  }
}

function present(image: CanvasImageSource, found: Estimated, name: string | null): void {
  look.person = Math.min(look.person, Math.max(0, found.people.length - 1));
  const { width, height, people } = found;
  const { model, skeleton } = loaded!;
  show({ picture: image, width, height, people, skeleton, file: name, model });
  const { detector: one, keypoints, crops } = found.times;
  const rest = crops ? `, keypoints ${crops} × ${(keypoints / crops).toFixed(0)} ms` : '';
  describeEngine('', `detector ${one.toFixed(0)} ms${rest}`);
  const text = sentence(found.people, !live);
  if (status.textContent !== text) status.textContent = text;
}

function show(next: typeof shown & object): void {
  if (shown?.picture instanceof ImageBitmap && shown.picture !== next.picture) shown.picture.close();
  shown = next;
  element('empty').hidden = true;
  canvas.hidden = false;
  view.classList.add('filled');
  redraw();
  showPeople(panel, shown.people, look.person);
  if (shown.skeleton) showJoints(panel, shown.people[look.person], shown.skeleton, look.person);
  else panel.table.hidden = true;
  const done = shown.skeleton !== undefined;
  for (const id of ['save', 'copy', 'picture']) element<HTMLButtonElement>(id).disabled = !done;
  canvas.setAttribute('aria-label', `${shown.file ?? 'Camera'}: ${done ? sentence(shown.people, !live) : 'not looked at yet'}`);
}

function redraw(): void {
  if (!shown) return;
  // In a narrow window the view is as high as the image.
  const height = narrow.matches ? 0.6 * window.innerHeight : view.clientHeight;
  draw(canvas, shown, look, { width: view.clientWidth, height });
}

// ---- camera and video

async function openLive(name: string | null, open: (live: Live) => Promise<void>): Promise<void> {
  stopLive();
  const own = ++turn;
  const rate = new Rate();
  lastImage = undefined;
  element('error').hidden = true;
  const frame = document.createElement('canvas');
  const next = new Live(
    async (bitmap) => {
      [frame.width, frame.height] = [bitmap.width, bitmap.height];
      frame.getContext('2d')!.drawImage(bitmap, 0, 0);
      const found = await engine.estimate(bitmap);
      if (own !== turn) return;
      present(frame, found, name);
      const now = rate.tick();
      element('rate').textContent = now ? `${now.toFixed(1)} frames/s` : '';
      element<HTMLInputElement>('seek').value = String(next.video.currentTime / (next.video.duration || 1));
    },
    (error) => {
      stopLive();
      fail(error, name ?? 'camera');
    },
  );
  live = next;
  try {
    await ready;
    await open(next);
    if (own !== turn) next.close();
  } catch (error) {
    next.close();
    if (own !== turn) return;
    stopLive();
    fail(cameraReason(error), name ?? 'camera');
    return;
  }
  element('camera').setAttribute('aria-pressed', String(name === null));
  element('camera').querySelector('span')!.textContent = name === null ? 'Stop camera' : 'Camera';
  element('player').hidden = name === null;
  const label = () => (element('play').textContent = next.video.paused ? 'Play' : 'Pause');
  for (const event of ['play', 'pause', 'ended']) next.video.addEventListener(event, label);
  label();
}

function cameraReason(error: unknown): unknown {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError') return 'the browser was not allowed to use it';
  if (name === 'NotFoundError') return 'there is none';
  return error;
}

function stopLive(): void {
  live?.close();
  live = undefined;
  element('player').hidden = true;
  element('rate').textContent = '';
  element('camera').setAttribute('aria-pressed', 'false');
  element('camera').querySelector('span')!.textContent = 'Camera';
}

function openFile(file: File): void {
  look.person = 0;
  if (file.type.startsWith('video/')) void openLive(file.name, (next) => next.openFile(file));
  else void openImage(file, file.name);
}

// ---- what people do

element<HTMLInputElement>('file').addEventListener('change', (event) => {
  const input = event.target as HTMLInputElement;
  if (input.files?.[0]) openFile(input.files[0]);
  input.value = ''; // so that the same file can be opened again
});

element('camera').addEventListener('click', () => {
  if (live && element('camera').getAttribute('aria-pressed') === 'true') {
    stopLive();
    turn++;
  } else if (navigator.mediaDevices) void openLive(null, (next) => next.openCamera());
  else fail('browsers give it to pages on https or on this machine only', 'camera');
});

element('play').addEventListener('click', () => {
  if (live?.video.paused) void live.video.play();
  else live?.video.pause();
});
element('seek').addEventListener('input', (event) => {
  const { video } = live ?? {};
  if (video?.duration) video.currentTime = Number((event.target as HTMLInputElement).value) * video.duration;
});

for (const button of document.querySelectorAll<HTMLButtonElement>('[data-example]')) {
  button.addEventListener('click', async () => {
    const path = button.dataset.example!;
    look.person = 0;
    const response = await fetch(path).catch(() => undefined);
    if (response?.ok) void openImage(await response.blob(), path.split('/').pop()!);
    else fail('cannot be loaded', path);
  });
}

document.addEventListener('paste', (event) => {
  const file = event.clipboardData?.files[0];
  if (file) openFile(file);
});
let inside = 0; // elements that the pointer is in: leaving one for its child is not leaving
for (const [kind, step] of [['dragenter', 1], ['dragleave', -1]] as const) {
  document.addEventListener(kind, () => view.classList.toggle('over', (inside += step) > 0));
}
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  inside = 0;
  view.classList.remove('over');
  const file = event.dataTransfer?.files[0];
  if (file) openFile(file);
});

panel.people.addEventListener('change', (event) => {
  look.person = Number((event.target as HTMLInputElement).value);
  if (shown) show(shown);
});
panel.joints.addEventListener('pointerover', (event) => {
  const row = (event.target as HTMLElement).closest('tr');
  look.joint = row ? Number(row.dataset.joint) : undefined;
  redraw();
});
panel.joints.addEventListener('pointerleave', () => {
  look.joint = undefined;
  redraw();
});
for (const name of ['boxes', 'names'] as const) {
  element<HTMLInputElement>(name).addEventListener('change', (event) => {
    look[name] = (event.target as HTMLInputElement).checked;
    redraw();
  });
}

function json(): string {
  const { file, model, width, height, people, skeleton } = shown!;
  return `${JSON.stringify(toJson(people, skeleton!, { model, file, width, height }), null, 1)}\n`;
}

function save(blob: Blob, suffix: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${(shown!.file ?? 'camera').replace(/\.\w+$/, '')}${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

element('save').addEventListener('click', () => save(new Blob([json()], { type: 'application/json' }), '.json'));
element('copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(json());
  } catch {
    fail('the browser does not allow it here', 'copy');
    return;
  }
  const button = element('copy');
  button.textContent = 'Copied';
  setTimeout(() => (button.textContent = 'Copy'), 1500);
});
element('picture').addEventListener('click', async () => {
  const blob = await picture(shown!, look);
  if (blob) save(blob, '.pose.png');
});

// ---- settings

const select = element<HTMLSelectElement>('model');
/** Opened files by name, to be chosen again. */
const ownModels = new Map<string, ModelChoice>();
for (const { name, bytes } of models) {
  const text = name === default_model ? `${name} (default)` : `${name} (${mega(bytes)} MB more)`;
  select.add(new Option(text, name, name === default_model, name === default_model));
}
select.add(new Option('open an ONNX file …', OWN_FILE));
select.addEventListener('change', () => {
  if (select.value === OWN_FILE) element('own-model').click();
  else changeModel(ownModels.get(select.value) ?? { name: select.value });
});
element('own-model').addEventListener('cancel', () => (select.value = choice.name));
element<HTMLInputElement>('own-model').addEventListener('change', async (event) => {
  const input = event.target as HTMLInputElement;
  const file = input.files?.[0];
  input.value = '';
  if (!file) return;
  const own = { name: file.name.replace(/\.onnx$/, ''), file: await file.arrayBuffer() };
  ownModels.set(own.name, own);
  changeModel(own);
});

function changeModel(next: ModelChoice): void {
  const before = choice;
  choice = next;
  element('error').hidden = true;
  if (![...select.options].some(({ value }) => value === next.name)) {
    select.add(new Option(next.name, next.name), select.options.length - 1);
  }
  select.value = next.name;
  ready = ready.catch(() => {}).then(loadModel);
  void ready.then(lookAgain, () => {
    choice = before;
    select.value = before.name;
    ready = loadedAlready();
  });
}

/** After a network that could not be loaded the one before is still there. */
async function loadedAlready(): Promise<void> {
  if (!loaded) throw new Error('no network is loaded');
}

function lookAgain(): void {
  if (lastImage) void openImage(lastImage.blob, lastImage.name);
}

element<HTMLSelectElement>('device').addEventListener('change', (event) => {
  device = (event.target as HTMLSelectElement).value as Device;
  gpuGaveUp = '';
  start();
  void ready.then(lookAgain, () => {});
});

// ---- the rest

startThemes(element('themes'));
new ResizeObserver(redraw).observe(view);
for (const { name, terms } of [...models, detector]) {
  const term = Object.assign(document.createElement('dt'), { textContent: name });
  element('terms-list').append(term, Object.assign(document.createElement('dd'), { textContent: terms }));
}
element('terms-open').addEventListener('click', () => element<HTMLDialogElement>('terms').showModal());
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  navigator.serviceWorker.register('sw.js').catch(() => {}); // without it the page needs a network, no more
}
start();
