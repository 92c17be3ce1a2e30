// Keeps the page for use without a network; it computes nothing. The build puts in the files and their version.

const SHELL = __SHELL__;
const PAGE_CACHE = 'hevitpose-page-__VERSION__';
const FILE_CACHE = 'hevitpose-files'; // filled by src/download.ts

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(PAGE_CACHE)
      .then((cache) => cache.addAll(SHELL.map((path) => new Request(path, { cache: 'reload' }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener('activate', (event) => {
  const old = (name) => name.startsWith('hevitpose-page-') && name !== PAGE_CACHE;
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  event.respondWith(request.mode === 'navigate' ? fromNetworkFirst(request) : fromCacheFirst(request));
});

/** The newest page where there is a network. */
async function fromNetworkFirst(request) {
  try {
    return await fetch(request);
  } catch {
    return (await caches.match(request, { ignoreSearch: true })) ?? (await caches.match('./')) ?? Response.error();
  }
}

/** Names of files change with their content, so what is kept is right. */
async function fromCacheFirst(request) {
  return (await caches.match(request)) ?? fetch(request);
}
