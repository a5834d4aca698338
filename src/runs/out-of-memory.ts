import { benchmarkSize } from '../benchmark/test-size.js';
import type { Engine } from '../engines/engine.js';
import { liveTensors } from '../engines/memory.js';
import type { Experiment } from '../experiments/experiment.js';
import { largestTensors } from '../nn/largest.js';
import { UserError } from '../support/errors.js';
import { formatBytes } from '../support/format.js';
import type { Stage } from './stage-names.js';

/** What TensorFlow, CUDA and JavaScript say when memory cannot be had. */
const OUT_OF_MEMORY =
  /OOM when allocating|RESOURCE_EXHAUSTED|ResourceExhausted|bad_alloc|Array buffer allocation failed|CUDA_ERROR_OUT_OF_MEMORY|out of memory/i;

/**
 * The WebAssembly engine aborts without a reason when its heap, 4 GB at most, is full. Holding this much, that is the reason.
 */
const HELD_BY_FULL_HEAP = 2 ** 30;

function isOutOfMemory({ message }: Error, engine: Engine): boolean {
  if (OUT_OF_MEMORY.test(message)) return true;
  return engine.name === 'wasm' && /^Aborted\(/.test(message) && liveTensors(engine).bytes >= HELD_BY_FULL_HEAP;
}

/** Of the largest tensors, so many are named. */
const MOST_NAMED = 3;

/**
 * An error of a stage as the user is told about it: running out of memory is told with what takes it and what would help; any
 * other error stays as it is.
 */
export function explainOutOfMemory(error: unknown, stage: Stage, engine: Engine, experiment: Experiment): unknown {
  if (!(error instanceof Error) || error instanceof UserError || !isOutOfMemory(error, engine)) return error;
  const { model, data, training, evaluation, benchmark } = experiment;
  const trains = stage === 'train';
  const size = trains ? data.cropHw : (evaluation.cropHw ?? benchmarkSize(evaluation));
  const batch = trains ? training.batch : stage === 'benchmark' ? benchmark.trainingBatch : 1;
  const largest = largestTensors(model, size, batch, MOST_NAMED).map(
    ({ name, bytes }) => `${name} ${formatBytes(bytes)}`,
  );
  const { bytes, count } = liveTensors(engine);
  const reason = error.message.split('\n', 1)[0]!.slice(0, 200);
  return new UserError(
    `Out of memory in the stage "${stage}" (${reason}): ${count} tensors hold ${formatBytes(bytes)}; the largest of a pass ` +
      `at ${size.join('×')}, batch ${batch}: ${largest.join(', ')}.`,
    helpFor(stage, experiment),
    { cause: error },
  );
}

/** The flag that would help most. */
function helpFor(stage: Stage, { training, evaluation, benchmark }: Experiment): string {
  const smaller = (key: string, batch: number) => `--set ${key}=${Math.max(1, Math.floor(batch / 2))}`;
  const other = 'or use a machine with more memory';
  if (stage === 'train' && training.batch > 1) {
    return `Use ${smaller('training.batch', training.batch)} (a recorded deviation), ${other}.`;
  }
  if (stage === 'train') return `Use a smaller crop (--set data.cropHw=…, a recorded deviation), ${other}.`;
  if (stage === 'benchmark' && benchmark.trainingBatch > 1) {
    return `Use ${smaller('benchmark.trainingBatch', benchmark.trainingBatch)} (a recorded deviation), ${other}.`;
  }
  if (evaluation.mode === 'whole') {
    return `Use smaller images (--set evaluation.imageScaleWh=…, a recorded deviation), ${other}.`;
  }
  return `Close other programs, ${other}.`;
}
