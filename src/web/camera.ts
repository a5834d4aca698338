import { element } from './elements.js';

interface CameraEvents {
  /** Shows a frame's classes; settles when the next one may come. */
  onFrame(bitmap: ImageBitmap, isLive: boolean): Promise<void>;
  onError(message: string): void;
  /** The camera gives no more pictures by itself. */
  onStill(): void;
}

/** The camera: single pictures, and one after the other while it is live. */
export class BrowserCamera {
  private readonly video = element('video', HTMLVideoElement);
  private readonly viewfinder = element('viewfinder', HTMLElement);
  private readonly toggle = element('camera', HTMLButtonElement);
  private readonly live = element('live', HTMLButtonElement);
  private isLive = false;

  constructor(private readonly events: CameraEvents) {
    this.toggle.addEventListener('click', () => (this.isOpen ? this.close() : this.open()));
    element('still', HTMLButtonElement).addEventListener('click', () => {
      this.setLive(false);
      this.grab();
    });
    this.live.addEventListener('click', () => {
      this.setLive(!this.isLive);
      this.follow();
    });
  }

  close(): void {
    this.setLive(false);
    for (const track of (this.video.srcObject as MediaStream | null)?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
    this.showOpen(false);
  }

  private get isOpen(): boolean {
    return this.video.srcObject !== null;
  }

  private async open(): Promise<void> {
    // Browsers hide it from pages from http and other machines.
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    if (devices === undefined) {
      this.events.onError('Browsers give the camera only to pages from https or from this machine.');
      return;
    }
    try {
      const stream = await devices.getUserMedia({ video: { facingMode: 'environment' } });
      this.video.srcObject = stream;
      await this.video.play();
      this.showOpen(true);
    } catch (error) {
      this.close();
      const { name, message } = error as Error;
      const isRefused = name === 'NotAllowedError';
      const isMissing = name === 'NotFoundError';
      const reason = isRefused ? 'it is not allowed' : isMissing ? 'there is none' : message;
      this.events.onError(`The camera cannot be used: ${reason}.`);
    }
  }

  private showOpen(isOpen: boolean): void {
    this.viewfinder.hidden = !isOpen;
    this.toggle.setAttribute('aria-expanded', String(isOpen));
    this.toggle.textContent = isOpen ? 'Stop the camera' : 'Use the camera';
  }

  private setLive(isLive: boolean): void {
    if (this.isLive && !isLive) this.events.onStill();
    this.isLive = isLive;
    this.live.setAttribute('aria-pressed', String(isLive));
  }

  private async grab(): Promise<void> {
    await this.events.onFrame(await createImageBitmap(this.video), this.isLive);
  }

  private async follow(): Promise<void> {
    while (this.isLive && this.isOpen) await this.grab();
  }
}
