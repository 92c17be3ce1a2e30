// Frames of a camera or of a video file, one after the other: the newest when the last one is done.

import { Stopped } from './engine';

export type OnFrame = (frame: ImageBitmap) => Promise<void>;

/** Milliseconds without a frame after which there will be none. */
const PATIENCE = 10_000;
/** Chromium shows a camera that has not begun as black, 2 pixels wide. */
const SMALLEST = 16;

export class Live {
  readonly video = document.createElement('video');
  private running = false;
  private url = '';

  constructor(
    private readonly onFrame: OnFrame,
    private readonly onError: (error: unknown) => void,
  ) {
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.className = 'hidden';
    this.video.setAttribute('aria-hidden', 'true');
    document.body.append(this.video); // some browsers decode only what is in the page
    this.video.addEventListener('seeked', () => {
      if (this.video.paused) void this.one();
    });
    this.video.addEventListener('play', () => void this.run());
  }

  async openCamera(): Promise<void> {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 960 } }, audio: false });
    this.video.srcObject = stream;
    await this.video.play();
  }

  async openFile(file: File): Promise<void> {
    this.url = URL.createObjectURL(file);
    this.video.src = this.url;
    await new Promise<void>((resolve, reject) => {
      this.video.addEventListener('loadeddata', () => resolve(), { once: true });
      this.video.addEventListener('error', () => reject(new Error('this browser cannot play this video')), { once: true });
    });
    if (!this.video.videoWidth) throw new Error('holds no pictures');
    await this.video.play();
  }

  close(): void {
    this.running = false;
    this.video.pause();
    this.video.remove();
    if (this.video.srcObject instanceof MediaStream) {
      for (const track of this.video.srcObject.getTracks()) track.stop();
    }
    this.video.srcObject = null;
    this.video.removeAttribute('src');
    if (this.url) URL.revokeObjectURL(this.url);
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    let last = performance.now();
    while (this.running && !this.video.paused && !this.video.ended) {
      if (await this.one()) last = performance.now();
      else if (performance.now() - last > PATIENCE) this.fail(new Error('gives no images'));
      // A turn for events; the next frame of the screen may never come in a hidden tab.
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    this.running = false;
  }

  /** The frame that is shown now; whether there was one. */
  private async one(): Promise<boolean> {
    // A video that has just begun, or a camera, may say that it has a frame before it has.
    const bitmap = await createImageBitmap(this.video, { colorSpaceConversion: 'none' }).catch(() => undefined);
    if (!bitmap || bitmap.width < SMALLEST) return false;
    try {
      await this.onFrame(bitmap);
    } catch (error) {
      if (!(error instanceof Stopped)) this.fail(error); // another engine looks at the next frame
    }
    return true;
  }

  private fail(error: unknown): void {
    this.close();
    this.onError(error);
  }
}

/** Frames a second over the last seconds; 0 before the second frame. */
export class Rate {
  private readonly times: number[] = [];

  tick(now = performance.now()): number {
    this.times.push(now);
    while (this.times.length > 2 && now - this.times[0]! > 2500) this.times.shift();
    const span = now - this.times[0]!;
    return span > 0 ? ((this.times.length - 1) * 1000) / span : 0;
  }
}
