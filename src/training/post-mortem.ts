import path from 'node:path';
import type { Batch } from '../data/image.js';
import type { Engine } from '../engines/engine.js';
import { isTrained } from '../network/parameters.js';
import { makeFolder, writeFileAtomic } from '../support/files.js';
import type { Pause } from '../support/pauses.js';
import { saveCheckpoint } from './checkpoint.js';
import { type Diagnosis, diagnose, parameterStatistics, type Statistics, statisticsOf } from './diagnosis.js';
import { NonFiniteError, type TrainingStep } from './step.js';

/** Folder in the run directory for what is left of a training that was not finite. */
const POST_MORTEM_FOLDER = 'non-finite';

/** report.json of that folder. */
export interface PostMortem {
  readonly message: string;
  /** From 0. */
  readonly iteration: number;
  readonly learningRate: number;
  readonly batch: readonly string[];
  /** The normalised images of the batch: [count, height, width, 3]. */
  readonly images: Statistics;
  /** As they were when training stopped: where a gradient stopped it, layers above its own have moved in this step. */
  readonly parameters: Readonly<Record<string, Statistics>>;
  /** The step done once more; null where that failed. */
  readonly diagnosis: Diagnosis | null;
  readonly diagnosisError: string | null;
}

interface PostMortemOptions {
  readonly engine: Engine;
  readonly step: TrainingStep;
  readonly batch: Batch;
  readonly row: string;
  /** The run directory. */
  readonly directory: string;
  /** Called before anything is written. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
  /** Awaited while the step is done again. */
  readonly pause?: Pause | undefined;
}

/**
 * Of an error that stopped training because something was not finite: saves the network and the optimizer beside the
 * checkpoints, finds out where it began, and writes a report.
 * @returns the error with what was found, and with why the state or the report could not be written; any other error as it is.
 */
export async function afterNonFinite(
  error: unknown,
  { engine, step, batch, row, directory, beforeWrite, pause }: PostMortemOptions,
): Promise<unknown> {
  if (!(error instanceof NonFiniteError)) return error;
  const { iteration, learningRate, names, what, message } = error;
  const folder = path.join(directory, POST_MORTEM_FOLDER);
  const base = {
    message,
    iteration,
    learningRate,
    batch: names,
    images: statisticsOf(batch.images),
    parameters: parameterStatistics(step),
  };
  const write = async (rest: Pick<PostMortem, 'diagnosis' | 'diagnosisError'>) => {
    await beforeWrite?.();
    const text = `${JSON.stringify({ ...base, ...rest } satisfies PostMortem, null, 2)}\n`;
    await writeFileAtomic(path.join(folder, 'report.json'), text);
  };
  const stateProblem = await problemOf(async () => {
    await beforeWrite?.();
    await makeFolder(folder);
    await saveCheckpoint(folder, iteration, { ...step, row });
  });
  // Doing the step again takes its memory again: what is known already is written first.
  await problemOf(() => write({ diagnosis: null, diagnosisError: 'not done' }));
  const findings: string[] = [];
  let diagnosis: Diagnosis | null = null;
  let diagnosisError: string | null = null;
  try {
    diagnosis = await diagnose(engine, step, batch, iteration, pause);
    findings.push(beginning(diagnosis, base, step));
  } catch (second) {
    diagnosisError = (second as Error).message;
  }
  const reportProblem = await problemOf(() => write({ diagnosis, diagnosisError }));
  if (stateProblem !== null) findings.push(`The state could not be saved: ${stateProblem}`);
  else if (reportProblem !== null) findings.push(`The report could not be written: ${reportProblem}`);
  else findings.push(`The state and a report are in ${folder}.`);
  return new NonFiniteError(what, iteration, learningRate, names, findings);
}

/** Why something could not be done, for an error that says more; null where it could. */
async function problemOf(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Where it began, in a sentence. */
function beginning(
  { began }: Diagnosis,
  { images, parameters }: Pick<PostMortem, 'images' | 'parameters'>,
  { segmentor }: TrainingStep,
): string {
  if (images.nonFinite > 0) return `It began in the images: ${images.nonFinite} of ${images.count} values.`;
  // Running statistics take what is not finite from the failed pass itself.
  const trained = segmentor.parameters.specs.filter(({ kind }) => isTrained(kind));
  const broken = trained.find(({ path }) => parameters[path]!.nonFinite > 0);
  if (broken !== undefined) {
    const { nonFinite, count } = parameters[broken.path]!;
    return `${nonFinite} of ${count} values of ${broken.path} are not finite already.`;
  }
  if (began === null) return 'Done again, the step is finite throughout.';
  const { layer, operation, direction, nonFinite, count } = began;
  const where = layer === null ? 'before the first layer' : `at ${layer}`;
  return `It began ${where} (${direction}, ${operation}): ${nonFinite} of ${count} values.`;
}
