import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import { type Kernels, thenDispose } from '../kernels/kernels.js';
import type { ModelRecipe } from '../recipe/experiment.js';
import { type Architecture, architecture, type HeadSpec } from './architecture.js';
import { initialValue, Parameters, parameterSpecs } from './parameters.js';
import { convolutionUnit, resnet } from './resnet.js';
import type { TrainingPass, Value } from './tape.js';

/**
 * FCN head (Long et al., CVPR 2015) in training mode: convolutions → [concatenation with the input → convolution] →
 * channel dropout → 1×1 classifier. Returns the logits [N,h,w,classes].
 * @param place Identifies the head's dropout.
 */
async function fcnHead(pass: TrainingPass, spec: HeadSpec, input: Value, place: number): Promise<Value> {
  let x = input;
  // Its readers are the first convolution and the last: between their backward steps, it takes as much memory as they do.
  if (spec.concatenation !== null) input.restsBetweenReaders = pass.holdsGradients;
  for (const unit of spec.convolutions) {
    const y = await convolutionUnit(pass, unit, x);
    if (x !== input) x.rest();
    x = y;
    await pass.pause();
  }
  if (spec.concatenation !== null) {
    const joined = concatenate(pass, input, x);
    x.rest();
    x = await convolutionUnit(pass, spec.concatenation, joined);
    joined.rest();
    await pass.pause();
  }
  if (spec.dropout > 0) {
    const dropped = channelDropout(pass, spec.dropout, x, place);
    x.rest();
    x = dropped;
  }
  const logits = classifier(pass, spec, x);
  x.rest();
  input.rest();
  return logits;
}

/** Concatenates along the channels, `a` first. */
function concatenate({ kernels, tape }: TrainingPass, a: Value, b: Value): Value {
  const join = () => kernels.concatenateChannels(a.tensor(), b.tensor());
  const value = tape.value(join(), join, { isReadByConsumersOnly: true });
  tape.push(() => {
    const gradient = value.takeGradient();
    value.release();
    a.consumed();
    const gradientA = kernels.sliceChannels(gradient, 0, a.shape[3]);
    const gradientB = kernels.sliceChannels(gradient, a.shape[3], b.shape[3]);
    gradient.dispose();
    a.addGradient(gradientA);
    b.addGradient(gradientB);
  });
  return value;
}

/** Dropout2d: drops whole channels of single images and scales the others by 1/(1 − rate). */
function channelDropout(pass: TrainingPass, rate: number, x: Value, place: number): Value {
  const { tf, kernels, tape } = pass;
  const [count, , , channels] = x.shape;
  const factors = tf.tensor4d(pass.dropoutFactors(place, count, channels, rate), [count, 1, 1, channels]);
  const scale = () => kernels.scaleChannels(x.tensor(), factors);
  const value = tape.value(scale(), scale);
  tape.push(() => {
    const gradient = value.takeGradient();
    value.release();
    x.addGradient(kernels.scaleChannels(gradient, factors));
    gradient.dispose();
    factors.dispose();
  });
  return value;
}

function classifier({ tf, kernels, tape, parameters, update }: TrainingPass, spec: HeadSpec, x: Value): Value {
  const { path, geometry } = spec.classifier;
  const filter = () => parameters.get<Tensor4D>(`${path}.weight`);
  const bias = parameters.get<Tensor1D>(`${path}.bias`);
  const value = tape.value(kernels.convolutionBias(x.tensor(), filter(), bias, geometry, false));
  tape.push(() => {
    const gradient = value.takeGradient();
    value.release();
    x.addGradient(kernels.convolutionInputGradient(gradient, filter(), x.shape, geometry));
    const filterGradient = kernels.convolutionFilterGradient(gradient, x.tensor(), filter().shape, geometry);
    const full = kernels.cast(gradient, 'fp32');
    const biasGradient = thenDispose(tf.sum(full, [0, 1, 2]), full, gradient);
    update(`${path}.weight`, filterGradient);
    update(`${path}.bias`, biasGradient);
  });
  return value;
}

/** A head's loss and number of right pixels, which the engine may not have computed yet. */
interface PendingLoss {
  readonly loss: Tensor;
  readonly correct: Tensor;
}

interface HeadLoss {
  /** Mean over all pixels of the pass, where ignored ones count as 0, times the head's weight. */
  readonly loss: number;
  /** Percent of all pixels, ignored ones included. */
  readonly accuracy: number;
}

/**
 * Cross-entropy of a head's logits, resized to the labels' size. Adds the logits' gradient to `logits` at once, so that no
 * full-size tensor outlives this call. The caller owns the result.
 * @param labels [N,H,W] int32.
 */
function headLoss(
  { tf, kernels, precision, lossScale, shards }: TrainingPass,
  logits: Value,
  weight: number,
  { labels, ignoreIndex, alignCorners }: { labels: Tensor3D; ignoreIndex: number; alignCorners: boolean },
): PendingLoss {
  const [, height, width] = labels.shape;
  const resized = kernels.resizeBilinear(logits.tensor(), [height, width], alignCorners);
  const { loss, correct, gradient } = thenDispose(kernels.crossEntropy(resized, labels, ignoreIndex), resized);
  const size = [logits.shape[1], logits.shape[2]] as const;
  const inputGradient = thenDispose(kernels.resizeBilinearGradient(gradient, size, alignCorners), gradient);
  const scaled = thenDispose(tf.mul<Tensor4D>(inputGradient, (weight * lossScale) / shards), inputGradient);
  logits.addGradient(kernels.cast(scaled, precision));
  scaled.dispose();
  return { loss, correct };
}

/** The losses of one forward pass, as logged. */
export interface ForwardLosses {
  readonly decode: HeadLoss;
  readonly auxiliary: HeadLoss;
}

/** The losses of a forward pass. Reading them waits until the engine has computed them; call `read` or `dispose` once. */
export interface PendingLosses {
  read(): ForwardLosses;
  dispose(): void;
}

/** ResNet backbone with an FCN decode head and an auxiliary head, in training mode. Owns its parameters. */
export class Segmentor {
  readonly architecture: Architecture;
  readonly parameters: Parameters;

  constructor(
    private readonly tf: typeof tfjs,
    readonly kernels: Kernels,
    recipe: ModelRecipe,
  ) {
    this.architecture = architecture(recipe);
    this.parameters = new Parameters(parameterSpecs(this.architecture));
  }

  /** Gives every parameter its starting value (see `initialValue`). `pretrained`: whether a backbone is loaded afterwards. */
  initialise(seed: number, pretrained: boolean): void {
    const lastGammas = new Set(
      this.architecture.stages.flat().map((block) => `${block.units.at(-1)!.normPath}.weight`),
    );
    const zeroLastGamma = (path: string) => !pretrained && lastGammas.has(path);
    this.parameters.specs.forEach((spec, index) => {
      const values = initialValue(spec, index, { seed, zeroLastGamma });
      this.parameters.set(spec.path, this.tf.tensor(values, [...spec.shape], 'float32'));
    });
  }

  /** Both heads' logits of a batch of images [N,H,W,3], in training mode. */
  async logits(pass: TrainingPass, images: Value): Promise<{ decode: Value; auxiliary: Value }> {
    const { decodeHead, auxiliaryHead } = this.architecture;
    const stages = await resnet(pass, this.architecture, images);
    const decode = await fcnHead(pass, decodeHead, stages[decodeHead.input]!, 0);
    const auxiliary = await fcnHead(pass, auxiliaryHead, stages[auxiliaryHead.input]!, 1);
    return { decode, auxiliary };
  }

  /**
   * Forward pass with both losses (total = decode + auxiliary); their gradients are on the tape afterwards. The caller owns the losses.
   * @param labels [N,H,W] int32.
   */
  async losses(pass: TrainingPass, images: Value, labels: Tensor3D, ignoreIndex: number): Promise<PendingLosses> {
    const { decodeHead, auxiliaryHead, alignCorners } = this.architecture;
    const { decode, auxiliary } = await this.logits(pass, images);
    const options = { labels, ignoreIndex, alignCorners };
    const heads: PendingLoss[] = [headLoss(pass, decode, decodeHead.lossWeight, options)];
    await pass.pause();
    heads.push(headLoss(pass, auxiliary, auxiliaryHead.lossWeight, options));
    await pass.pause();
    return this.pending(heads, labels.size);
  }

  /** @param pixels All that were counted. */
  private pending(heads: readonly PendingLoss[], pixels: number): PendingLosses {
    const { decodeHead, auxiliaryHead } = this.architecture;
    const tensors = heads.flatMap(({ loss, correct }) => [loss, correct]);
    const dispose = () => this.tf.dispose(tensors);
    const read = () => {
      const [decodeLoss, decodeHits, auxiliaryLoss, auxiliaryHits] = this.kernels.readScalars(tensors);
      dispose();
      const head = (weight: number, loss: number, hits: number) => ({
        loss: weight * loss,
        accuracy: (100 * hits) / pixels,
      });
      return {
        decode: head(decodeHead.lossWeight, decodeLoss!, decodeHits!),
        auxiliary: head(auxiliaryHead.lossWeight, auxiliaryLoss!, auxiliaryHits!),
      };
    };
    return { read, dispose };
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
