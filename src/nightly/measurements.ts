import type { StepComparison } from '../benchmark/compare-steps.js';
import type { KernelCost } from '../benchmark/kernel-costs.js';
import { hardwareName } from '../runs/environment.js';
import type { RunRecord } from '../runs/record.js';
import type { Check } from '../verify/check.js';
import type { Entry, Measurement } from './entry.js';
import { benchmarkSubject } from './parts.js';

/** Stands for a difference that is no number, or for any where none is allowed: no gate lets it through. */
const BEYOND = 1e6;

/** What the record of a run says about its row. */
export function recordMeasurements(record: RunRecord): Measurement[] {
  const { row: subject, experimentHash, dataset, details } = record;
  const of = { subject, hardware: hardwareName(record.environment) };
  const { train, evaluate, 'evaluate-ms': multiScale, benchmark } = details;
  return [
    { quantity: 'recipe', ...of, value: experimentHash },
    ...(dataset === null ? [] : [{ quantity: 'data' as const, ...of, value: dataset.fingerprint }]),
    ...(train === null
      ? []
      : [
          { quantity: 'finalLoss' as const, ...of, value: train.finalLoss },
          { quantity: 'trainingTensorBytes' as const, ...of, value: train.peakLiveTensorBytes },
          { quantity: 'trainingProcessBytes' as const, ...of, value: train.peakProcessBytes },
        ]),
    ...(evaluate === null ? [] : [{ quantity: 'mIoU' as const, ...of, value: 100 * evaluate.mIoU }]),
    ...(multiScale === null ? [] : [{ quantity: 'mIoUMsFlip' as const, ...of, value: 100 * multiScale.mIoU }]),
    ...(benchmark === null
      ? []
      : [
          { quantity: 'benchmarkTensorBytes' as const, ...of, value: benchmark.memory.liveTensorBytes },
          { quantity: 'trainingShare' as const, ...of, value: benchmark.roofline.trainingShare },
          { quantity: 'inferenceShare' as const, ...of, value: benchmark.roofline.inferenceShare },
        ]),
  ];
}

/** What a run of the benchmark alone says: enough steps of a network of full width to tell a slower kernel from noise. */
export function benchmarkMeasurements({ experimentHash, environment, details }: RunRecord): Measurement[] {
  const { benchmark } = details;
  if (benchmark === null) return [];
  const of = { subject: benchmarkSubject(benchmark.trainingSizeHw), hardware: hardwareName(environment) };
  return [
    { quantity: 'recipe', ...of, value: experimentHash },
    { quantity: 'benchmarkTensorBytes', ...of, value: benchmark.memory.liveTensorBytes },
    { quantity: 'benchmarkTrainingShare', ...of, value: benchmark.roofline.trainingShare },
    { quantity: 'benchmarkInferenceShare', ...of, value: benchmark.roofline.inferenceShare },
  ];
}

/** What a training step in bfloat16 takes of one in float32. */
export function halfStepMeasurements(steps: StepComparison, hardware: string): Measurement[] {
  const of = { subject: benchmarkSubject(steps.sizeHw), hardware };
  const seconds = `${steps.halfSeconds.toPrecision(3)} s and ${steps.fullSeconds.toPrecision(3)} s`;
  return [
    { quantity: 'bf16StepTime', ...of, value: steps.timeRatio, note: seconds },
    { quantity: 'bf16StepTensorBytes', ...of, value: steps.tensorBytesRatio },
  ];
}

/** Of each kernel, its time over that of bare work. */
export function kernelMeasurements(costs: readonly KernelCost[], hardware: string): Measurement[] {
  return costs.map(({ kernel, cost }) => ({ quantity: 'kernelCost', subject: kernel, hardware, value: cost }));
}

/** How much of its tolerance a check takes: 1 is all of it. */
function partOfTolerance({ difference, tolerance }: Check): number {
  if (difference === 0) return 0;
  return Number.isFinite(difference) && tolerance > 0 ? Math.min(difference / tolerance, BEYOND) : BEYOND;
}

/** Of each case of a verification, the check that takes the most of its tolerance. */
export function parityMeasurements(checks: readonly Check[], hardware: string): Measurement[] {
  const cases = [...new Set(checks.map((check) => check.case))];
  return cases.map((subject) => {
    const worst = checks
      .filter((check) => check.case === subject)
      .reduce((a, b) => (partOfTolerance(b) > partOfTolerance(a) ? b : a));
    return {
      quantity: 'parity',
      subject,
      hardware,
      value: partOfTolerance(worst),
      note: `${worst.quantity}, at ${worst.at}`,
    };
  });
}

/** A kept record as a night of its own: what the first night is compared with. */
export function recordEntry(record: RunRecord): Entry {
  return {
    format: 1,
    at: record.startedAt,
    version: record.code.version,
    commit: record.code.commit,
    engine: record.environment.engine,
    measurements: recordMeasurements(record),
    problems: [],
    failed: [],
    accepted: null,
  };
}
