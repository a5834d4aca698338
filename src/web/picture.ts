import type { Palette } from '../data/image.js';
import { contextOf, element } from './elements.js';

/** An image with its classes. */
export interface Segmented {
  readonly width: number;
  readonly height: number;
  /** [height, width]. */
  readonly labels: Uint8Array<ArrayBuffer>;
}

const STEP_KEYS: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
/** Steps of the arrow keys across the longer side of an image. */
const STEPS = 100;

/** The image under its classes, and the point whose class is told. */
export class Picture {
  private readonly frame = element('picture', HTMLElement);
  private readonly image = element('image', HTMLCanvasElement);
  private readonly overlay = element('overlay', HTMLCanvasElement);
  private readonly cross = element('cross', HTMLElement);
  private readonly point = element('point', HTMLElement);
  private shown: Segmented | null = null;
  private at: { x: number; y: number } | null = null;

  constructor(
    private readonly classes: readonly string[],
    private readonly palette: Palette,
  ) {
    const { frame } = this;
    frame.tabIndex = 0;
    frame.addEventListener('pointermove', (event) => this.followPointer(event));
    frame.addEventListener('pointerdown', (event) => this.followPointer(event));
    frame.addEventListener('keydown', (event) => this.followKey(event));
    const opacity = element('opacity', HTMLInputElement);
    const value = element('opacity-value', HTMLOutputElement);
    const apply = () => {
      this.overlay.style.opacity = String(opacity.valueAsNumber / 100);
      value.textContent = `${opacity.value} %`;
    };
    opacity.addEventListener('input', apply);
    apply();
  }

  show(bitmap: ImageBitmap, segmented: Segmented): void {
    const { width, height } = segmented;
    const isOtherSize = this.shown?.width !== width || this.shown.height !== height;
    if (isOtherSize) this.at = null;
    this.shown = segmented;
    for (const canvas of [this.image, this.overlay]) {
      canvas.width = width;
      canvas.height = height;
    }
    contextOf(this.image).drawImage(bitmap, 0, 0);
    contextOf(this.overlay).putImageData(colours(segmented, this.palette), 0, 0);
    this.tell();
  }

  private followPointer({ clientX, clientY }: PointerEvent): void {
    if (this.shown === null) return;
    const box = this.image.getBoundingClientRect();
    const { width, height } = this.shown;
    this.moveTo(((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height);
    this.cross.hidden = true;
  }

  private followKey(event: KeyboardEvent): void {
    const step = STEP_KEYS[event.key];
    if (step === undefined || this.shown === null) return;
    event.preventDefault();
    const { width, height } = this.shown;
    const length = Math.max(1, Math.round(Math.max(width, height) / STEPS)) * (event.shiftKey ? 10 : 1);
    const from = this.at ?? { x: width / 2, y: height / 2 };
    this.moveTo(from.x + step[0] * length, from.y + step[1] * length);
    this.cross.hidden = false;
  }

  private moveTo(x: number, y: number): void {
    const { width, height } = this.shown!;
    const within = (position: number, size: number) => Math.min(Math.max(Math.floor(position), 0), size - 1);
    this.at = { x: within(x, width), y: within(y, height) };
    this.tell();
  }

  /** Says the class at the point. */
  private tell(): void {
    if (this.at === null || this.shown === null) {
      this.cross.hidden = true;
      this.point.textContent = 'Point at the image to see a class.';
      return;
    }
    const { x, y } = this.at;
    const { width, height, labels } = this.shown;
    this.cross.style.left = `${((x + 0.5) / width) * 100}%`;
    this.cross.style.top = `${((y + 0.5) / height) * 100}%`;
    this.point.textContent = `${this.classes[labels[y * width + x]!]} at column ${x}, row ${y}`;
  }
}

/** The colours of the classes, [height, width, 4]. */
function colours({ width, height, labels }: Segmented, palette: Palette): ImageData {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  // Bytes red, green, blue, opacity, of which the first is the lowest.
  const table = Uint32Array.from(palette, ([red, green, blue]) => 0xff000000 + (blue << 16) + (green << 8) + red);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[labels[i]!]!;
  return image;
}
