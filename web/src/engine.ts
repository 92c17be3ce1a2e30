// The worker as an object: one call at a time, in the order in which they were made.

import type { Answer, Device, Estimated, Loaded, ModelChoice, Request, Upgraded } from './messages';

interface Call {
  resolve(result: unknown): void;
  reject(error: Error): void;
  onProgress?: (received: number, total: number) => void;
}

/** Of calls that were under way when the engine was closed. */
export class Stopped extends Error {}

export class Engine {
  private readonly worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'hevitpose' });
  private readonly calls = new Map<number, Call>();
  private count = 0;

  constructor() {
    this.worker.onmessage = (event: MessageEvent<Answer>) => this.receive(event.data);
    this.worker.onerror = (event) => {
      for (const call of this.calls.values()) call.reject(new Error(event.message || 'the worker could not start'));
      this.calls.clear();
    };
  }

  load(model: ModelChoice, device: Device, onProgress: Call['onProgress']): Promise<Loaded> {
    return this.ask({ kind: 'load', base: document.baseURI, model, device }, [], onProgress) as Promise<Loaded>;
  }

  /** Go over to the graphics card if it finds the same joints in a stored image, and if it must, faster. */
  upgrade(onlyIfFaster: boolean): Promise<Upgraded> {
    return this.ask({ kind: 'upgrade', onlyIfFaster }) as Promise<Upgraded>;
  }

  close(): void {
    this.worker.terminate();
    for (const call of this.calls.values()) call.reject(new Stopped());
    this.calls.clear();
  }

  /** The people of an image; a bitmap is handed over and empty afterwards. */
  estimate(image: Blob | ImageBitmap): Promise<Estimated> {
    return this.ask({ kind: 'estimate', image }, image instanceof ImageBitmap ? [image] : []) as Promise<Estimated>;
  }

  private ask(request: Request, transfer: Transferable[] = [], onProgress?: Call['onProgress']): Promise<unknown> {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject, ...(onProgress && { onProgress }) });
      this.worker.postMessage({ id, ...request }, transfer);
    });
  }

  private receive(answer: Answer): void {
    const call = this.calls.get(answer.id);
    if (answer.kind === 'progress') {
      call?.onProgress?.(answer.received, answer.total);
      return;
    }
    this.calls.delete(answer.id);
    if (answer.kind === 'done') call?.resolve(answer.result);
    else call?.reject(new Error(answer.reason));
  }
}
