import type { Experiment, ModelRecipe } from '../../src/recipe/experiment.js';

/** The published FCN-D8 model of a depth for 19 classes, with changes. */
export function fcnRecipe(depth: ModelRecipe['depth'], changes: Partial<ModelRecipe> = {}): ModelRecipe {
  const small = depth === 18;
  return {
    depth,
    stem: 'deep',
    width: 64,
    strides: [1, 2, 1, 1],
    dilations: [1, 1, 2, 4],
    contractDilation: true,
    classes: 19,
    alignCorners: false,
    decodeHead: {
      input: 3,
      channels: small ? 128 : 512,
      convolutions: 2,
      concatenateInput: true,
      dilation: 1,
      dropout: 0.1,
      lossWeight: 1,
    },
    auxiliaryHead: {
      input: 2,
      channels: small ? 64 : 256,
      convolutions: 1,
      concatenateInput: false,
      dilation: 1,
      dropout: 0.1,
      lossWeight: 0.4,
    },
    pretrained: null,
    ...changes,
  };
}

/** What a training step reads of an experiment. */
export function trainingRecipe(changes: Partial<Experiment['training']> = {}): Experiment['training'] {
  return {
    iterations: 100,
    batch: 2,
    learningRate: 0.01,
    minimumLearningRate: 1e-4,
    power: 0.9,
    momentum: 0.9,
    weightDecay: 5e-4,
    precision: 'fp32',
    lossScale: 512,
    checkpointEvery: 100,
    logEvery: 10,
    ...changes,
  };
}
