import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { HeadSpec } from './architecture.js';
import type { TrainingPass } from './pass.js';
import type { Value } from './tape.js';
import { convolutionUnit } from './unit.js';

/**
 * FCN head (Long et al., CVPR 2015) in training mode: convolutions → [concatenation with the input → convolution] →
 * channel dropout → 1×1 classifier. Returns the logits [N,h,w,classes].
 * @param place tells the dropouts of the two heads apart.
 */
export async function fcnHead(pass: TrainingPass, spec: HeadSpec, input: Value, place: number): Promise<Value> {
  let x = input;
  for (const unit of spec.convolutions) {
    const y = convolutionUnit(pass, unit, x);
    if (x !== input) x.rest();
    x = y;
    await pass.pause();
  }
  if (spec.concatenation !== null) {
    const joined = concatenate(pass, input, x);
    x.rest();
    x = convolutionUnit(pass, spec.concatenation, joined);
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

/** Along the channels, `a` first. */
function concatenate({ kernels, tape }: TrainingPass, a: Value, b: Value): Value {
  const join = () => kernels.concatenateChannels(a.tensor(), b.tensor());
  const value = tape.value(join(), join);
  tape.push(() => {
    const gradient = value.takeGradient();
    value.release();
    const gradientA = kernels.sliceChannels(gradient, 0, a.shape[3]);
    const gradientB = kernels.sliceChannels(gradient, a.shape[3], b.shape[3]);
    gradient.dispose();
    a.addGradient(gradientA);
    b.addGradient(gradientB);
  });
  return value;
}

/** Dropout2d: drops whole channels of single images and scales the kept ones by 1/(1 − rate). */
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
    const biasGradient = tf.sum(full, [0, 1, 2]);
    full.dispose();
    gradient.dispose();
    update(`${path}.weight`, filterGradient);
    update(`${path}.bias`, biasGradient);
  });
  return value;
}
