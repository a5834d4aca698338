import type { ImageView } from '../../data/image.js';
import type { EngineName } from '../../engines/engine.js';
import type { SharedWeights } from '../../network/inference.js';
import type { ModelRecipe } from '../../recipe/experiment.js';
import type { Strip } from '../inference.js';
import type { Window } from '../windows.js';

/** What a worker thread starts with. */
export interface CopySettings {
  readonly engine: EngineName;
}

/** Makes the network, before all other tasks. Its weights are in memory that all threads see. */
export interface NetworkTask {
  readonly kind: 'network';
  readonly model: ModelRecipe;
  readonly weights: SharedWeights;
}

/** Values in memory that all threads see: they are sent without a copy. */
export type SharedFloats = Float32Array<SharedArrayBuffer>;

/** The network's logits of a window, before any resize, mirrored back if its view is mirrored. */
export interface SharedLogits {
  /** [height, width, classes]. */
  readonly shape: readonly [number, number, number];
  readonly values: SharedFloats;
}

/** Runs the network over a window of a view. */
export interface LogitsTask {
  readonly kind: 'logits';
  /** Normalised pixels, [height, width, 3], not mirrored. */
  readonly view: { readonly height: number; readonly width: number; readonly image: SharedFloats };
  readonly flip: boolean;
  /** In the view, or if `flip` in the mirrored one. */
  readonly window: Window;
}

/** The logits of all windows of a view. */
export interface ViewLogits {
  readonly view: Pick<ImageView, 'height' | 'width'>;
  readonly flip: boolean;
  readonly windows: readonly { readonly window: Window; readonly logits: SharedLogits }[];
}

/** Makes classes of an image's logits, in some strips of its rows that follow each other. */
export interface ClassesTask {
  readonly kind: 'classes';
  /** The image's [height, width]. */
  readonly size: readonly [number, number];
  /** In the order in which their probabilities are added. */
  readonly views: readonly ViewLogits[];
  readonly strips: readonly Strip[];
}

export type CopyTask = NetworkTask | LogitsTask | ClassesTask;

export type CopyAnswer =
  /** The network is being made: the first prediction says if that fails. */
  | { readonly kind: 'begun' }
  | { readonly kind: 'logits'; readonly logits: SharedLogits }
  /** Of the task's strips: [rows, width]. */
  | { readonly kind: 'classes'; readonly classes: Uint8Array }
  /** A `NonFiniteOutputError`, whose class does not survive the way between threads. */
  | { readonly kind: 'overflow'; readonly what: string; readonly fault: string };
