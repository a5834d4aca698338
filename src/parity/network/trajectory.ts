import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import type { Engine } from '../../engines/engine.js';
import type { Kernels } from '../../kernels/kernels.js';
import { noPause, type Pause } from '../../support/pauses.js';
import { learningRate, MomentumOptimizer } from '../../training/optimizer.js';
import { Collector, type Findings, norm, quantile, relativeDifference, Worst } from '../check.js';
import { TOLERANCES } from '../tolerances.js';
import type { NetworkCase } from './case.js';
import { LOSS_NAMES, lossesSchema, namedLosses } from './gradients.js';
import { caseSegmentor, readBatch, runPass } from './pass.js';

const norms = z.record(z.string(), z.number());

const trajectorySchema = z.object({
  optimizer: z.object({ lr: z.number(), momentum: z.number(), weight_decay: z.number() }),
  schedule: z.object({ policy: z.literal('poly'), power: z.number(), min_lr: z.number(), max_iters: z.int().min(1) }),
  /** Of each step, set before it. */
  lr: z.array(z.number()).min(1),
  /** Before each step's update. */
  losses_f64: z.array(lossesSchema),
  /** Norm of (value − start value) after the last step, of parameters and running statistics. */
  delta_norms_f64: norms,
  /** Norm of the running statistics after the last step. */
  bn_norms_f64: norms,
});

const TRAJECTORY = ['learning rates', 'losses of low-rate steps', 'parameter deltas', 'running statistics'];

/**
 * Repeats the reference's few steps at a tiny learning rate on one batch: rates, losses, how far every parameter and running
 * statistic moved, and what the running statistics became.
 * @throws UserError when the case's files are damaged or do not belong together.
 */
export async function trajectoryChecks(
  engine: Engine,
  kernels: Kernels,
  networkCase: NetworkCase,
  pause: Pause = noPause,
): Promise<Findings> {
  const { folder, model, noise } = networkCase;
  const findings = new Collector(networkCase.name);
  if (!['train_lowlr.json', 'train_input.npy', 'train_label.npy'].every((name) => folder.has(name))) {
    TRAJECTORY.forEach((quantity) => void findings.missing(quantity));
    return findings;
  }
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
        losses.add(
          relativeDifference(actual[name], expected.losses_f64[i]?.[name] ?? Number.NaN),
          `step ${i}, ${name}`,
        );
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

/** Relative differences of norms, by parameter; `actual` is null where the network has no such parameter. */
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
