// The built page in Chromium: what it finds beside what Python finds, and everything that people do with it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import generated from '../src/generated.json' with { type: 'json' };
import { json, launch, openFile, result, root, serve } from './chromium.mjs';

const python = process.env.PYTHON ?? join(root, '.venv/bin/python');
const MAX_DIFFERENCE = 1; // pixels
const COMPARED_SCORE = 0.5;
const MAX_DOWNLOADS = 12e6; // bytes, compressed
const folder = mkdtempSync(join(tmpdir(), 'hevitpose-web-'));

let server;
let browser;
let page;
let expected;
const requests = [];
const complaints = [];

before(async () => {
  execFileSync(python, [join(root, 'tools/web_golden.py'), folder], { stdio: 'inherit' });
  expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));
  server = await serve();
  browser = await launch(
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream',
    `--use-file-for-fake-video-capture=${join(folder, 'camera.mjpeg')}`,
  );
  page = await open(await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: 'light' }), server.url);
});

after(async () => {
  await browser?.close();
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(context, url) {
  const opened = await context.newPage();
  opened.setDefaultTimeout(120_000);
  opened.on('request', (request) => requests.push(request.url()));
  opened.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  opened.on('pageerror', (error) => complaints.push(error.message));
  await opened.goto(url);
  await opened.waitForFunction(() => document.getElementById('status').textContent === 'Ready.');
  return opened;
}

/** The largest distance between confident joints of the page's JSON and Python's; throws where people differ. */
function difference(found, wanted) {
  assert.equal(found.people.length, wanted.people.length, `${wanted.file}: people`);
  assert.deepEqual(Object.keys(found), Object.keys(wanted));
  const { width, height, model, schema, file } = wanted;
  assert.deepEqual({ ...found, people: [] }, { schema, model, file, width, height, people: [] });
  let largest = 0;
  let compared = 0;
  wanted.people.forEach((person, n) => {
    const other = found.people[n];
    assert.deepEqual(Object.keys(other.keypoints), Object.keys(person.keypoints));
    assert.ok(Math.abs(other.score - person.score) < 0.02, `${file}: scores ${other.score} and ${person.score}`);
    for (const [name, joint] of Object.entries(person.keypoints)) {
      if (joint.score < COMPARED_SCORE) continue;
      const at = other.keypoints[name];
      largest = Math.max(largest, Math.hypot(at.x - joint.x, at.y - joint.y));
      compared += 1;
    }
  });
  assert.ok(compared >= 8 * wanted.people.length, `${file}: only ${compared} joints compared`);
  return largest;
}

function compare(found, wanted) {
  const largest = difference(found, wanted);
  assert.ok(largest <= MAX_DIFFERENCE, `${wanted.file}: joints differ by ${largest} px`);
  return `${wanted.file} ${wanted.people.length} people, ${largest.toFixed(2)} px`;
}

test('finds in six images what Python finds', async (t) => {
  assert.equal(expected.length, 6);
  for (const { file, poses } of expected) {
    assert.match(await openFile(page, join(folder, file)), /found/);
    const saved = await json(page);
    assert.equal(saved.name, file.replace(/\.\w+$/, '.json'));
    t.diagnostic(compare(saved.content, poses));
  }
});

test('draws the joints in the colours of their sides, and saves the drawing', async () => {
  await openFile(page, join(folder, 'skier.jpg'));
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#picture')]);
  assert.equal(download.suggestedFilename(), 'skier.pose.png');
  const { keypoints } = expected[0].poses.people[0];
  const joints = { right: keypoints.r_knee, left: keypoints.l_knee, middle: keypoints.thorax };
  const drawing = readFileSync(await download.path(), 'base64');
  const drawn = await page.evaluate(
    async ([drawing, joints]) => {
      const bytes = Uint8Array.from(atob(drawing), (letter) => letter.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: 'none' });
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
      context.drawImage(bitmap, 0, 0);
      const color = ({ x, y }) => [...context.getImageData(Math.round(x), Math.round(y), 1, 1).data.slice(0, 3)];
      return Object.fromEntries(Object.entries(joints).map(([side, joint]) => [side, color(joint)]));
    },
    [drawing, joints],
  );
  assert.deepEqual(drawn, generated.constants.colors);
});

test('everything that was loaded fits into 12 MB, and came from the page', async (t) => {
  const bytes = [...server.asked].map((file) => gzipSync(readFileSync(file)).length).reduce((sum, size) => sum + size, 0);
  t.diagnostic(`${(bytes / 1e6).toFixed(2)} MB compressed`);
  assert.ok(bytes <= MAX_DOWNLOADS, `${bytes} bytes`);
  const foreign = requests.filter((url) => !url.startsWith(server.url) && !/^(blob|data):/.test(url));
  assert.deepEqual(foreign, []);
});

test('takes an image that is dropped or pasted, and says what it cannot read', async () => {
  const give = (name, type, event) =>
    page.evaluate(
      async ([name, type, event, path]) => {
        document.getElementById('status').textContent = '';
        const content = type.startsWith('image') ? await (await fetch(path)).blob() : 'words';
        const data = new DataTransfer();
        data.items.add(new File([content], name, { type }));
        const init = event === 'paste' ? { clipboardData: data } : { dataTransfer: data };
        const Kind = event === 'paste' ? ClipboardEvent : DragEvent;
        document.body.dispatchEvent(new Kind(event, { ...init, bubbles: true, cancelable: true }));
      },
      [name, type, event, 'examples/skier.jpg'],
    );
  for (const event of ['drop', 'paste']) {
    await give(`${event}.jpg`, 'image/jpeg', event);
    assert.match(await result(page), /1 person found/);
    assert.equal((await json(page)).content.file, `${event}.jpg`);
    await give('words.txt', 'text/plain', event);
    await page.waitForSelector('#error:not([hidden])');
    assert.equal(await page.textContent('#error'), 'words.txt: this browser cannot read this as an image');
  }
});

test('can be used with the keyboard and names everything', async () => {
  await page.reload();
  await page.waitForFunction(() => document.getElementById('status').textContent === 'Ready.');
  const focused = () =>
    page.evaluate(() => {
      const { activeElement: element } = document;
      const label = element.labels?.[0]?.innerText || element.getAttribute('aria-label') || element.innerText;
      return `${element.id || element.name || element.className}: ${label?.trim()}`;
    });
  const order = [];
  for (let n = 0; n < 12; n++) {
    await page.keyboard.press('Tab');
    order.push(await focused());
    if (order.at(-1).includes('skier')) break;
  }
  const examples = ['Example: two people in a meadow', 'Example: skier'];
  const wanted = ['skip: Skip', 'theme: Auto', 'file: Open', 'camera: Camera', ...examples];
  assert.equal(order.length, wanted.length, order.join(' | '));
  wanted.forEach((name, n) => assert.ok(order[n].includes(name), `${order[n]} instead of ${name}`));
  await page.keyboard.press('Enter');
  assert.match(await result(page), /1 person found/);
  assert.match(await page.getAttribute('#canvas', 'aria-label'), /skier.jpg: 1 person found/);
  assert.match(await page.textContent('#caption'), /Joints of person 1/);
  assert.equal(await page.locator('#joints th[scope=row]').count(), 21);
  assert.equal(await page.textContent('#joints th'), 'right ankle');
  // The person, the table, which scrolls, and the buttons that save come next.
  const further = [];
  for (let n = 0; n < 20 && !further.at(-1)?.startsWith('terms-open'); n++) {
    await page.keyboard.press('Tab');
    further.push((await focused()).split(':')[0]);
  }
  const kept = ['person', 'table', 'save', 'copy', 'picture', 'model', 'device', 'boxes', 'names', 'terms-open'];
  assert.deepEqual(further.filter((id) => kept.includes(id)), kept);
  await page.keyboard.press('Enter');
  assert.ok(await page.isVisible('#terms'));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'terms-title'); // it begins at its beginning
  assert.match(await page.textContent('#terms'), /MPII Human Pose/);
  await page.keyboard.press('Escape');
  assert.ok(!(await page.isVisible('#terms')));
  // Every control has a name, and every image a text or none to say.
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll('button, input, select')]
      .filter((one) => !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim()))
      .map((one) => one.outerHTML),
  );
  assert.deepEqual(nameless, []);
});

test('has a light and a dark theme that can be read, and stays in a narrow window', async () => {
  const contrasts = () =>
    page.evaluate(() => {
      const style = getComputedStyle(document.documentElement);
      const context = document.createElement('canvas').getContext('2d');
      const luminance = (name) => {
        context.fillStyle = style.getPropertyValue(name);
        const [r, g, b] = [1, 3, 5].map((at) => {
          const value = parseInt(context.fillStyle.slice(at, at + 2), 16) / 255;
          return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const pairs = ['ink card', 'ink page', 'soft card', 'soft page', 'soft stage', 'accent-ink accent', 'accent page', 'error error-back'];
      return pairs.map((pair) => {
        const [one, other] = pair.split(' ').map((name) => luminance(`--${name}`)).sort((a, b) => a - b);
        return [pair, (other + 0.05) / (one + 0.05)];
      });
    });
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const backgrounds = {};
  for (const theme of ['light', 'dark']) {
    await page.locator(`input[value=${theme}]`).check({ force: true });
    backgrounds[theme] = await background();
    for (const [pair, contrast] of await contrasts()) assert.ok(contrast >= 4.5, `${theme}: ${pair} ${contrast}`);
  }
  assert.notEqual(backgrounds.light, backgrounds.dark);
  await page.reload();
  assert.equal(await background(), backgrounds.dark);
  await page.locator('input[value=auto]').check({ force: true });
  assert.equal(await background(), backgrounds.light);
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.equal(await background(), backgrounds.dark);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 340, height: 400 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
  const tops = await page.locator('.examples button').evaluateAll((all) => all.map((one) => one.getBoundingClientRect().top));
  assert.equal(new Set(tops).size, 1, 'the examples lie in one row');
  await page.setInputFiles('#file', { name: 'broken.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('words') });
  await page.waitForSelector('#error:not([hidden])');
  assert.ok(await page.locator('#error').evaluate((error) => error.getBoundingClientRect().bottom <= window.innerHeight));
  await page.setViewportSize({ width: 1280, height: 860 });
});

test('finds people in the camera, and lets it go', async (t) => {
  await page.click('#camera');
  assert.match(await result(page), /1 person found/);
  await page.waitForFunction(() => Number.parseFloat(document.getElementById('rate').textContent) > 0);
  t.diagnostic(await page.textContent('#rate'));
  const { content } = await json(page);
  assert.equal(content.file, null);
  assert.equal(content.people.length, 1);
  assert.equal(await page.getAttribute('#camera', 'aria-pressed'), 'true');
  await page.click('#camera');
  assert.equal(await page.getAttribute('#camera', 'aria-pressed'), 'false');
  assert.equal(await page.textContent('#rate'), '');
});

test('says why there is no camera and why nothing was copied', async () => {
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
    Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true }); // as on http
  });
  const says = (text) => page.waitForFunction((text) => document.getElementById('error').textContent === text, text);
  await page.click('#camera');
  await says('camera: the browser was not allowed to use it');
  assert.equal(await page.getAttribute('#camera', 'aria-pressed'), 'false');
  await page.click('#copy');
  await says('copy: the browser does not allow it here');
});

test('plays a video file, pauses and goes elsewhere in it', async () => {
  await page.evaluate(async () => {
    // A second of the example, recorded here: no video lies in the repository.
    const image = await createImageBitmap(await (await fetch('examples/skier.jpg')).blob());
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 425 });
    const context = canvas.getContext('2d');
    const recorder = new MediaRecorder(canvas.captureStream(10), { mimeType: 'video/webm' });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.start();
    for (let n = 0; n < 12; n++) {
      context.drawImage(image, n, 0);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.stop();
    await stopped;
    document.getElementById('status').textContent = '';
    const data = new DataTransfer();
    data.items.add(new File(parts, 'clip.webm', { type: 'video/webm' }));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  assert.match(await result(page), /1 person found/);
  assert.equal((await json(page)).content.file, 'clip.webm');
  assert.ok(await page.isVisible('#seek'));
  await page.waitForFunction(() => document.getElementById('play').textContent === 'Play'); // its end
  await page.click('#play');
  await page.waitForFunction(() => document.getElementById('play').textContent === 'Pause');
});

test('takes the other bundled network, and an ONNX file', async () => {
  await openFile(page, join(folder, 'skier.jpg'));
  const again = async (wanted) => {
    await page.waitForFunction(() => !document.querySelector('#save').disabled && /found/.test(document.getElementById('status').textContent));
    const { content } = await json(page);
    assert.equal(content.model, wanted);
    assert.equal(content.people.length, 1);
  };
  const waitForModel = (name) => page.waitForFunction((name) => document.getElementById('engine').dataset.model === name, name);
  await page.selectOption('#model', 'hevitpose_t_people16');
  await waitForModel('hevitpose_t_people16');
  await again('hevitpose_t_people16');
  await page.setInputFiles('#own-model', join(root, 'src/hevitpose/weights/person_detector.onnx'));
  await page.waitForSelector('#error:not([hidden])');
  assert.match(await page.textContent('#error'), /person_detector: is not a network of hevitpose/);
  assert.equal(await page.inputValue('#model'), 'hevitpose_t_people16');
  await page.setInputFiles('#own-model', join(root, 'src/hevitpose/weights/hevitpose_t_fast_people21.onnx'));
  await waitForModel('hevitpose_t_fast_people21');
  await again('hevitpose_t_fast_people21');
});

test('says so where there is no graphics card, and works on', async () => {
  await page.selectOption('#device', 'webgpu');
  await page.waitForFunction(() => /grants no graphics card/.test(document.getElementById('engine').textContent));
  await openFile(page, join(folder, 'skier.jpg'));
  compare((await json(page)).content, expected[0].poses);
  assert.equal(await page.getAttribute('#engine', 'data-running'), 'WebAssembly, 1 thread');
});

test('works without a network once it was loaded', async (t) => {
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await server.close();
  await page.context().setOffline(true);
  await page.reload();
  await page.waitForFunction(() => document.getElementById('status').textContent === 'Ready.');
  await openFile(page, join(folder, 'skier.jpg'));
  t.diagnostic(compare((await json(page)).content, expected[0].poses));
  await page.context().setOffline(false);
  server = undefined;
});

test('uses threads where the server allows them', async (t) => {
  const isolated = await serve({ isolated: true });
  const other = await open(await browser.newContext(), isolated.url);
  await openFile(other, join(folder, 'skier.jpg'));
  const running = await other.getAttribute('#engine', 'data-running');
  t.diagnostic(running);
  if ((await other.evaluate(() => navigator.hardwareConcurrency)) > 1) assert.match(running, /[2-4] threads/);
  compare((await json(other)).content, expected[0].poses);
  await other.context().close();
  await isolated.close();
});

test('nothing complained', () => {
  assert.deepEqual(complaints, []);
});
