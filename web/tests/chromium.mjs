// What the browser tests, the measurement and the screenshots share: the built page behind a port, and Debian's Chromium.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = join(root, 'web/dist');
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.jpg': 'image/jpeg',
  '.webmanifest': 'application/manifest+json',
};
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** The page in a sub-folder, as on a project's pages; `isolated` sends the headers that threads need. */
export async function serve({ isolated = false } = {}) {
  const asked = new Set();
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://x').pathname)).replace(/^\/demo\//, '');
    const file = join(dist, path === '' ? 'index.html' : path);
    const found = file.startsWith(dist) && (await stat(file).catch(() => null));
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    asked.add(file);
    const type = types[extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': found.size, ...(isolated && isolation) });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}/demo/`, asked, close };
}

export function launch(...more) {
  const quiet = ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: [...quiet, ...more] });
}

/** Wait until the last image has been looked at, and give what the page says. */
export async function result(page, timeout = 120_000) {
  await page.waitForFunction(() => /found/.test(document.getElementById('status').textContent), undefined, { timeout });
  return page.textContent('#status');
}

export async function openFile(page, path) {
  await page.evaluate(() => (document.getElementById('status').textContent = ''));
  await page.setInputFiles('#file', path);
  return result(page);
}

/** What the button saves. */
export async function json(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  return { name: download.suggestedFilename(), content: JSON.parse(Buffer.concat(chunks).toString()) };
}
