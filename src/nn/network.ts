import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Pause } from '../support/pauses.js';

/** A network ready for inference. */
export interface InferenceNetwork {
  readonly classes: number;
  /** Of the decode head: how its logits are resized. */
  readonly alignCorners: boolean;
  /**
   * Decode-head logits of normalised RGB images, before any resize: [N,H,W,3] → [N,h,w,classes]. The caller owns the result.
   * `pause` is awaited between modules; where it throws, nothing is left.
   */
  logits(images: Tensor4D, pause?: Pause): Promise<Tensor4D>;
  dispose(): void;
}
