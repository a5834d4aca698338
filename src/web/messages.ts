import type { WebModel } from '../export/web-model.js';

/** What computes: a GPU through WebGPU, or the processor through WebAssembly. */
export type BackendChoice = 'auto' | 'webgpu' | 'wasm';

/** From the page to the worker. */
export type Request =
  | { readonly kind: 'start'; readonly backend: BackendChoice; readonly model: WebModel }
  /** The newest image ends work on older ones. The worker owns the bitmap. */
  | { readonly kind: 'predict'; readonly id: number; readonly bitmap: ImageBitmap };

/** From the worker to the page. */
export type Reply =
  | { readonly kind: 'loading'; readonly bytes: number; readonly total: number }
  | {
      readonly kind: 'ready';
      /** What computes, for people: "WebGPU (NVIDIA …)". */
      readonly backend: string;
      /** Why it is not a GPU, if one would have been taken; else null. */
      readonly reason: string | null;
    }
  | {
      readonly kind: 'labels';
      readonly id: number;
      /** [height, width]: the class of each pixel. */
      readonly labels: Uint8Array<ArrayBuffer>;
      /** From the pixels to the classes. */
      readonly seconds: number;
    }
  /** `id`: of the image; null if nothing can be computed at all. */
  | { readonly kind: 'error'; readonly id: number | null; readonly message: string };
