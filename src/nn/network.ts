import type { Tensor4D } from '@tensorflow/tfjs-core';

/** A network ready for inference. */
export interface InferenceNetwork {
  readonly classes: number;
  /** Of the decode head: how its logits are resized. */
  readonly alignCorners: boolean;
  /** Decode-head logits of normalised RGB images, before any resize: [N,H,W,3] → [N,h,w,classes]. The caller owns the result. */
  logits(images: Tensor4D): Tensor4D;
  dispose(): void;
}
