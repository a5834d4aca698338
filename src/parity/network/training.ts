import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import type { Engine } from '../../engines/engine.js';
import type { Kernels } from '../../kernels/kernels.js';
import type { ForwardLosses } from '../../network/segmentor.js';
import { noPause, type Pause } from '../../support/pauses.js';
import { learningRate, MomentumOptimizer } from '../../training/step.js';
import {
  angularDistance,
  Collector,
  differenceOfLargest,
  type Findings,
  norm,
  quantile,
  relativeDifference,
  relativeDistance,
  Worst,
} from '../check.js';
import { TOLERANCES } from '../tolerances.js';
import { isHead, type NetworkCase, readNhwc } from './case.js';
import {
  caseSegmentor,
  gradientsOf,
  nearestGradients,
  type ParameterGradients,
  readBatch,
  runPass,
  trainingLogits,
} from './pass.js';

/** Losses and accuracies as the original logs them; the auxiliary loss has its weight in it. */
const lossesSchema = z.object({
  loss: z.number(),
  'decode.loss_seg': z.number(),
  'aux.loss_seg': z.number(),
  'decode.acc_seg': z.number(),
  'aux.acc_seg': z.number(),
});

const trainSchema = z.object({
  first_losses_f64: lossesSchema,
  /** Parameter → file of its whole gradient. */
  gradients: z.record(z.string(), z.string()),
  grad_norms_f32: z.record(z.string(), z.number()),
});

const LOSS_NAMES = ['loss', 'decode.loss_seg', 'aux.loss_seg'] as const;

/** Losses of a pass under the original's names. */
function namedLosses({ decode, auxiliary }: ForwardLosses): z.infer<typeof lossesSchema> {
  return {
    loss: decode.loss + auxiliary.loss,
    'decode.loss_seg': decode.loss,
    'aux.loss_seg': auxiliary.loss,
    'decode.acc_seg': decode.accuracy,
    'aux.acc_seg': auxiliary.accuracy,
  };
}

/** The quantities of a first training step, for a set without a reference for them. */
const FIRST_STEP = ['training logits', 'first losses', 'accuracies', 'gradients', 'gradient norms'];

/**
 * Compares one forward and backward pass in training mode with the reference: both heads' logits, losses, accuracies,
 * whole gradients, and the norms of all gradients.
 * @throws UserError if the case's files are damaged or do not belong together.
 */
export async function firstStepChecks(
  engine: Engine,
  kernels: Kernels,
  networkCase: NetworkCase,
  pause: Pause = noPause,
): Promise<Findings> {
  const findings = new Collector(networkCase.name);
  if (!hasReference(networkCase, 'train.json', FIRST_STEP, findings)) return findings;
  const expected = networkCase.folder.json('train.json', trainSchema);
  const batch = readBatch(networkCase);
  const { model, noise } = networkCase;
  const forward = await caseSegmentor(engine, kernels, networkCase);
  try {
    checkTrainingLogits(await trainingLogits(engine, forward, batch, pause), networkCase, findings);
  } finally {
    forward.dispose();
  }
  const segmentor = await caseSegmentor(engine, kernels, networkCase);
  try {
    const { losses, gradients: own } = await gradientsOf(engine, segmentor, batch, pause);
    checkLosses(namedLosses(losses), expected.first_losses_f64, batch.labels.length, networkCase, findings);
    const { limit } = TOLERANCES.backboneGradients(model.depth, noise);
    const distance = (found: ParameterGradients) => {
      const { backbone } = compareGradients(found, expected.gradients, networkCase);
      return backbone.compared ? backbone.difference : 0;
    };
    const gradients = await nearestGradients(engine, segmentor, batch, { own, limit, distance }, pause);
    checkGradients(gradients, expected.gradients, networkCase, findings);
    checkNorms(gradients, expected.grad_norms_f32, networkCase, findings);
  } finally {
    segmentor.dispose();
  }
  return findings;
}

/** Whether a case has a batch and its results in `file`; if not, notes the quantities as missing. */
function hasReference(
  { folder }: NetworkCase,
  file: string,
  quantities: readonly string[],
  findings: Collector,
): boolean {
  const isThere = [file, 'train_input.npy', 'train_label.npy'].every((name) => folder.has(name));
  if (!isThere) for (const quantity of quantities) findings.missing(quantity);
  return isThere;
}

function checkTrainingLogits(
  logits: Record<'decode' | 'auxiliary', Float32Array>,
  { folder, model, noise }: NetworkCase,
  findings: Collector,
): void {
  const files = { decode: 'train_logits.npy', auxiliary: 'train_auxlogits.npy' } as const;
  for (const head of ['decode', 'auxiliary'] as const) {
    const file = files[head];
    const quantity = `training logits, ${head}`;
    if (!folder.has(file)) {
      findings.missing(quantity);
      continue;
    }
    const worst = new Worst().add(differenceOfLargest(logits[head], readNhwc(folder, file).data), file);
    findings.add(quantity, TOLERANCES.trainingLogits(model.depth, noise), worst);
  }
}

type Losses = z.infer<typeof lossesSchema>;

function checkLosses(
  actual: Losses,
  expected: Losses,
  pixels: number,
  { model, noise }: NetworkCase,
  findings: Collector,
): void {
  const losses = new Worst();
  for (const name of LOSS_NAMES) losses.add(relativeDifference(actual[name], expected[name]), name);
  findings.add('first losses', TOLERANCES.firstLosses(model.depth, noise), losses);
  const accuracies = new Worst();
  for (const name of ['decode.acc_seg', 'aux.acc_seg'] as const) {
    // From percent to pixels; the reference's percentages are rounded to float32.
    accuracies.add(Math.round(((actual[name] - expected[name]) * pixels) / 100), name);
  }
  findings.add('accuracies', TOLERANCES.accuracies(pixels), accuracies);
}

/** Worst distances from the whole gradients in the set. */
export function compareGradients(
  gradients: ParameterGradients,
  files: Readonly<Record<string, string>>,
  { folder }: NetworkCase,
): { heads: Worst; backbone: Worst; angle: Worst } {
  const worst = { heads: new Worst(), backbone: new Worst(), angle: new Worst() };
  for (const [path, file] of Object.entries(files)) {
    if (!folder.has(file)) continue;
    const expected = folder.floats(file).data;
    // No values if the network has no such parameter: the largest difference.
    const actual = gradients.get(path) ?? new Float32Array();
    worst[isHead(path) ? 'heads' : 'backbone'].add(relativeDistance(actual, expected), path);
    if (!isHead(path)) worst.angle.add(angularDistance(actual, expected), path);
  }
  return worst;
}

function checkGradients(
  gradients: ParameterGradients,
  files: Readonly<Record<string, string>>,
  networkCase: NetworkCase,
  findings: Collector,
): void {
  const { folder, model, noise } = networkCase;
  for (const [path, file] of Object.entries(files)) if (!folder.has(file)) findings.missing(`gradient of ${path}`);
  const { heads, backbone, angle } = compareGradients(gradients, files, networkCase);
  const { headGradients, backboneGradients, backboneAngle } = TOLERANCES;
  if (heads.compared) findings.add('gradients, heads', headGradients(model.depth, noise), heads);
  if (!backbone.compared) return;
  findings.add('gradients, backbone', backboneGradients(model.depth, noise), backbone);
  findings.add('gradients, backbone, angle', backboneAngle, angle);
}

function checkNorms(
  gradients: ParameterGradients,
  expected: Readonly<Record<string, number>>,
  { model, noise }: NetworkCase,
  findings: Collector,
): void {
  const classifiers = new Worst();
  const others: number[] = [];
  // All parameters of both sides: a missing one has the norm NaN.
  for (const path of new Set([...gradients.keys(), ...Object.keys(expected)])) {
    const values = gradients.get(path);
    const actual = values === undefined ? Number.NaN : norm(values);
    const difference = relativeDifference(actual, expected[path] ?? Number.NaN);
    if (isClassifier(path)) classifiers.add(difference, path);
    else others.push(difference);
  }
  const { headGradients, gradientNorms, gradientNormMedian } = TOLERANCES;
  findings.add('gradient norms, classifiers', headGradients(model.depth, noise), classifiers);
  const quantiles = (portion: number) => new Worst().add(quantile(others, portion), `${others.length} norms`);
  findings.add('gradient norms, 95 %', gradientNorms(model.depth, noise), quantiles(0.95));
  findings.add('gradient norms, median', gradientNormMedian(noise), quantiles(0.5));
}

/** Whether a parameter belongs to a head's last convolution: there is no ReLU between it and the loss. */
function isClassifier(path: string): boolean {
  return path.includes('.conv_seg.');
}

const norms = z.record(z.string(), z.number());

const trajectorySchema = z.object({
  optimizer: z.object({ lr: z.number(), momentum: z.number(), weight_decay: z.number() }),
  schedule: z.object({ policy: z.literal('poly'), power: z.number(), min_lr: z.number(), max_iters: z.int().min(1) }),
  /** Of each step. */
  lr: z.array(z.number()).min(1),
  /** Before each step's update. */
  losses_f64: z.array(lossesSchema),
  /** Norm of (value − start value) after the last step, for parameters and running statistics. */
  delta_norms_f64: norms,
  /** Norm of the running statistics after the last step. */
  bn_norms_f64: norms,
});

const TRAJECTORY = ['learning rates', 'losses of low-rate steps', 'parameter deltas', 'running statistics'];

/**
 * Repeats the reference's few steps at a tiny learning rate on one batch: compares rates, losses, how far every parameter and
 * running statistic moved, and the final running statistics.
 * @throws UserError if the case's files are damaged or do not belong together.
 */
export async function trajectoryChecks(
  engine: Engine,
  kernels: Kernels,
  networkCase: NetworkCase,
  pause: Pause = noPause,
): Promise<Findings> {
  const { folder, model, noise } = networkCase;
  const findings = new Collector(networkCase.name);
  if (!hasReference(networkCase, 'train_lowlr.json', TRAJECTORY, findings)) return findings;
  const expected = folder.json('train_lowlr.json', trajectorySchema);
  checkRates(expected, findings);

  const batch = readBatch(networkCase);
  const segmentor = await caseSegmentor(engine, kernels, networkCase);
  const { parameters } = segmentor;
  const optimizer = new MomentumOptimizer(engine.tf, kernels, parameters);
  const valuesOf = (path: string) => parameters.get(path).dataSync<'float32'>();
  const start = new Map(parameters.specs.map(({ path }) => [path, valuesOf(path).slice()]));
  try {
    const { momentum, weight_decay: weightDecay } = expected.optimizer;
    const losses = new Worst();
    for (const [i, rate] of expected.lr.entries()) {
      const step = { learningRate: rate, momentum, weightDecay };
      const update = (path: string, gradient: Tensor) => optimizer.update(path, gradient, step);
      const actual = namedLosses(await runPass(engine, segmentor, batch, update, pause));
      for (const name of LOSS_NAMES) {
        const wanted = expected.losses_f64[i]?.[name] ?? Number.NaN;
        losses.add(relativeDifference(actual[name], wanted), `step ${i}, ${name}`);
      }
    }
    findings.add('losses of low-rate steps', TOLERANCES.trajectoryLosses(model.depth, noise), losses);

    const deltas = relativeNorms(expected.delta_norms_f64, (path) => {
      const before = start.get(path);
      return before === undefined ? null : norm(valuesOf(path).map((value, i) => value - before[i]!));
    });
    const quantiles = (portion: number) => new Worst().add(quantile(deltas.all, portion), `${deltas.all.length} norms`);
    findings.add('parameter deltas, median', TOLERANCES.deltaMedian(model.depth, noise), quantiles(0.5));
    findings.add('parameter deltas, 95 %', TOLERANCES.delta95(model.depth, noise), quantiles(0.95));
    const statistics = relativeNorms(expected.bn_norms_f64, (path) => (start.has(path) ? norm(valuesOf(path)) : null));
    findings.add('running statistics', TOLERANCES.runningStatistics(model.depth), statistics.worst);
  } finally {
    optimizer.dispose();
    segmentor.dispose();
  }
  return findings;
}

function checkRates({ optimizer, schedule, lr }: z.infer<typeof trajectorySchema>, findings: Collector): void {
  const recipe = {
    learningRate: optimizer.lr,
    minimumLearningRate: schedule.min_lr,
    power: schedule.power,
    iterations: schedule.max_iters,
  };
  const worst = new Worst();
  for (const [i, rate] of lr.entries()) worst.add(relativeDifference(learningRate(recipe, i), rate), `step ${i}`);
  findings.add('learning rates', TOLERANCES.learningRates, worst);
}

/** Relative differences of the parameters' norms; `actual` is null if the network has no such parameter. */
function relativeNorms(
  expected: Readonly<Record<string, number>>,
  actual: (path: string) => number | null,
): { all: number[]; worst: Worst } {
  const worst = new Worst();
  const all = Object.entries(expected).map(([path, value]) => {
    const difference = relativeDifference(actual(path) ?? Number.NaN, value);
    worst.add(difference, path);
    return difference;
  });
  return { all, worst };
}
