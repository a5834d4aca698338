import path from 'node:path';
import type { Batch } from '../data/image.js';
import type { Engine } from '../engines/engine.js';
import { isTrained } from '../network/parameters.js';
import { makeFolder, writeFileAtomic } from '../support/files.js';
import type { Pause } from '../support/pauses.js';
import { saveCheckpoint } from './checkpoint.js';
import { type Diagnosis, diagnose, parameterStatistics, type Statistics, statisticsOf } from './diagnosis.js';
import { NonFiniteError, type TrainingStep } from './step.js';

/** Folder in the run directory for the state and the report of a training that stopped at a value that is not finite. */
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
  /** As they were when training stopped: if a gradient stopped it, the layers above have already moved in this step. */
  readonly parameters: Readonly<Record<string, Statistics>>;
  /** Of the repeated step; null if repeating it failed. */
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
  /** Awaited while the step is repeated. */
  readonly pause?: Pause | undefined;
}

/**
 * If a value that is not finite stopped training: saves the network and the optimizer beside the checkpoints, finds out where
 * it began, and writes a report.
 * @returns the error, with the findings and why the state or the report could not be written; any other error unchanged.
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
  // Repeating the step takes its memory again: what is known already is written first.
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

/** The message of the error with which `work` failed; null if it succeeded. */
async function problemOf(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A sentence about where it began. */
function beginning(
  { began }: Diagnosis,
  { images, parameters }: Pick<PostMortem, 'images' | 'parameters'>,
  { segmentor }: TrainingStep,
): string {
  if (images.nonFinite > 0) return `It began in the images: ${images.nonFinite} of ${images.count} values.`;
  // Not the running statistics: the failed pass itself spoiled them.
  const trained = segmentor.parameters.specs.filter(({ kind }) => isTrained(kind));
  const broken = trained.find(({ path }) => parameters[path]!.nonFinite > 0);
  if (broken !== undefined) {
    const { nonFinite, count } = parameters[broken.path]!;
    return `${nonFinite} of ${count} values of ${broken.path} were already not finite.`;
  }
  if (began === null) return 'All results of the repeated step are finite.';
  const { layer, operation, direction, nonFinite, count } = began;
  const where = layer === null ? 'before the first layer' : `at ${layer}`;
  return `It began ${where} (${direction}, ${operation}): ${nonFinite} of ${count} values.`;
}
