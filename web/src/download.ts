// Large files: fetched once, kept for use without a network, with their progress.

/** The service worker serves this cache, too; its other one, for the page itself, changes with each build. */
export const FILE_CACHE = 'hevitpose-files';

/** Bytes that have come, of those that are expected. */
export type Progress = (received: number, total: number) => void;

export class Download {
  private received = 0;
  private total = 0;

  constructor(
    private readonly base: string,
    private readonly onProgress: Progress,
  ) {}

  /** The bytes of a file beside the page. `size` is its length, where it is known before. */
  async bytes(path: string, size = 0): Promise<Uint8Array<ArrayBuffer>> {
    const url = new URL(path, this.base).href;
    this.total += size;
    const cache = await openCache();
    const kept = await cache?.match(url);
    const response = kept ?? (await fetch(url));
    if (!response.ok || !response.body) throw new Error(`${path.replace(/\?.*/, '')}: cannot be loaded (${response.status})`);
    const [forUse, forCache] = kept || !cache ? [response.body, null] : response.body.tee();
    const stored = forCache && cache?.put(url, new Response(forCache, { headers: response.headers })).catch(() => {});
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const reader = forUse.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.length;
      if (size) this.onProgress((this.received += value.length), this.total);
    }
    await stored;
    if (stored) await forgetOlder(cache!, url);
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

/** None where the page is not on https or this machine, or where the browser keeps nothing. */
async function openCache(): Promise<Cache | undefined> {
  try {
    return await caches.open(FILE_CACHE);
  } catch {
    return undefined;
  }
}

/** Remove what the file replaces: the same name with another hash, in the name (WebAssembly) or behind it (networks). */
async function forgetOlder(cache: Cache, url: string): Promise<void> {
  const stem = (href: string) => href.replace(/\?.*/, '').replace(/-[\w-]{8}\.wasm$/, '.wasm');
  const older = (await cache.keys()).filter((request) => request.url !== url && stem(request.url) === stem(url));
  await Promise.all(older.map((request) => cache.delete(request)));
}
