import { statSync } from 'node:fs';
import path from 'node:path';
import { architecture, otherSizes } from '../network/architecture.js';
import { NothingFits, readInitialWeights } from '../network/initial-weights.js';
import { parameterSpecs } from '../network/parameters.js';
import type { Experiment, ModelRecipe } from '../recipe/experiment.js';
import { OverridesNeeded } from '../recipe/overrides.js';
import type { Deviation } from '../recipe/resolve.js';
import type { Stage, TrainedBy } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File } from '../support/files.js';
import { formatPercent } from '../support/format.js';
import { type BestCheckpoint, intactWeights, newestIteration, readBest } from '../training/checkpoint-folder.js';
import type { WeightsFile } from '../training/start.js';
import { PUBLISHED } from './plan.js';
import { orMistake } from './run-check.js';
import { findRunDirectory } from './run-names.js';
import { RunReader } from './run-reader.js';

/** Weights that a command was given, as FILE, published, RUN, RUN:best or RUN:last. */
interface WeightsArgument {
  /** The file; `published` for a row's published weights, which are fetched later. */
  readonly file: string;
  /** The run that trained them; null if they are no checkpoint of a run. */
  readonly run: RunReader | null;
  /** That run and the iteration, for a record; null if they are no checkpoint of a run. */
  readonly trainedBy: TrainedBy | null;
  /** Which weights of which run these are; null if they are no checkpoint of a run. */
  readonly described: string | null;
  /** Whether they were given as a file: then the command may have another recipe than their run. */
  readonly isFile: boolean;
}

/** Which checkpoint of a run. `last`: the newest complete one; `best`: the one of the highest mIoU during training. */
type Which = 'best' | 'last';

/**
 * Finds weights: `published`; or a file, if one has this name, which may be a checkpoint in a run directory; or else the checkpoint
 * of a run, by default the last. A row or a pattern means its newest run with checkpoints.
 * @param runs Folder of the run directories.
 * @throws UserError if there is neither such a file nor such a run, the name could mean several runs, or the run has no such
 * checkpoint.
 */
export async function findWeights(given: string, runs: string): Promise<WeightsArgument> {
  if (given === PUBLISHED) return fileAlone(given);
  if (isWeightsFile(given)) return (await checkpointAt(given)) ?? fileAlone(given);
  const [, reference, which] = /^(.*?)(?::(best|last))?$/s.exec(given)!;
  const run = await findTrained(given, reference!, runs);
  if (run === null) return fileAlone(given);
  return { run, ...(await checkpointOf(run, (which as Which | undefined) ?? 'last')), isFile: false };
}

const fileAlone = (file: string): WeightsArgument => ({
  ...{ file, isFile: true },
  ...{ run: null, trainedBy: null, described: null },
});

/** What ends like a file of weights is not the name of a run. */
const FILE_NAME = /\.(pth|pt|ckpt|bin|safetensors)$/i;

/** Whether a name is that of a file of weights. A run's record or log is a file, too, and means the run. */
function isWeightsFile(given: string): boolean {
  if (FILE_NAME.test(given)) return true;
  return !/\.jsonl?$/.test(given) && statSync(given, { throwIfNoEntry: false })?.isDirectory() === false;
}

/** The run; null for a folder that is no run: whoever reads it as weights knows what to give instead. */
async function findTrained(given: string, reference: string, runs: string): Promise<RunReader | null> {
  try {
    return await findRunDirectory(runs, reference, (run) => newestIteration(run.file(CHECKPOINTS)));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (statSync(given, { throwIfNoEntry: false }) !== undefined) return null;
    const forms = 'Give a file of weights, a run (RUN, RUN:best or RUN:last), or published.';
    throw new UserError(`${given} is no file. ${error.message}`, `${error.next ?? ''} ${forms}`.trim(), {
      cause: error,
    });
  }
}

const CHECKPOINTS = 'checkpoints';

/**
 * A file of weights as the checkpoint that it is of the run directory in which it lies; null if it is none, or not as the run wrote it:
 * then it is a file like any other.
 */
async function checkpointAt(file: string): Promise<WeightsArgument | null> {
  const folder = path.dirname(path.resolve(file));
  const name = /^iteration-(\d+)\.safetensors$/.exec(path.basename(file))?.[1];
  const run = new RunReader(path.dirname(folder));
  if (name === undefined || path.basename(folder) !== CHECKPOINTS || !run.isRun()) return null;
  const iteration = Number(name);
  const found = await intactWeights(folder, iteration);
  const last = await newestIteration(folder);
  const recipe = await orMistake(() => run.experiment());
  if ('problem' in found || last === null || recipe instanceof UserError) return null;
  const trainedBy = { row: run.row, run: run.id, iteration };
  const described = describe(run, iteration, last, await readBest(folder));
  return { file, run, trainedBy, described, isFile: true };
}

async function checkpointOf(run: RunReader, which: Which): Promise<Omit<WeightsArgument, 'run' | 'isFile'>> {
  const name = `${run.row}/${run.id}`;
  const folder = run.file(CHECKPOINTS);
  const last = await newestIteration(folder);
  if (last === null) {
    throw new UserError(
      `The run ${name} has no checkpoint: it trained nothing, or was stopped before the first one, or they were removed.`,
      'Give a run that has trained, or a file of weights.',
    );
  }
  const best = await readBest(folder);
  if (which === 'best' && best === null) {
    throw new UserError(
      `The run ${name} has no best checkpoint: none was evaluated during training.`,
      `Give ${name}:last, or train with --evaluate-every N.`,
    );
  }
  const iteration = which === 'best' ? best!.iteration : last;
  const found = await intactWeights(folder, iteration);
  if ('problem' in found) {
    const other = iteration === last ? '' : ` or ${name}:last`;
    throw new UserError(
      `The checkpoint of iteration ${iteration} of ${name} cannot be used: ${found.problem}.`,
      `Give another checkpoint of the run as a file${other}.`,
    );
  }
  const trainedBy = { row: run.row, run: run.id, iteration };
  return { file: found.file, trainedBy, described: describe(run, iteration, last, best) };
}

/** "Weights: ROW/RUN after iteration 40 of 100 (best, mIoU 31.20)" */
function describe(run: RunReader, iteration: number, last: number, best: BestCheckpoint | null): string {
  const { iterations } = run.experiment().training;
  const marks = [
    ...(iteration === last ? ['last'] : []),
    ...(iteration === best?.iteration ? [`best, mIoU ${formatPercent(best.mIoU)}`] : []),
  ];
  const marked = marks.length === 0 ? '' : ` (${marks.join(', ')})`;
  return `Weights: ${run.row}/${run.id}\n  iteration ${iteration} of ${iterations}${marked}`;
}

/** The file of weights for commands that need no row. @throws UserError also for `published`, which is of a row. */
export async function findWeightsFile(given: string, runs: string): Promise<string> {
  if (given !== PUBLISHED) return (await findWeights(given, runs)).file;
  throw new UserError(
    'published means the published weights of a row, but no row is given here.',
    `fcn weights fetch ROW names their file; ./${PUBLISHED} is a file of this name.`,
  );
}

/** The recipe's initial weights as it names them; null if it has none, or no stage trains. */
function namedWeights({ model }: Experiment, stages: readonly Stage[]): string | null {
  return stages.includes('train') ? (model.initialWeights ?? null) : null;
}

/**
 * Finds the initial weights of a run, without fetching any, and checks that some of them fit the network.
 * @returns Their file, `published`, or null if there are none.
 * @throws UserError if they cannot be used.
 */
export async function requireInitialWeights(
  experiment: Experiment,
  { stages, runs }: { readonly stages: readonly Stage[]; readonly runs: string },
): Promise<string | null> {
  const named = namedWeights(experiment, stages);
  if (named === null) return null;
  const { row, model } = experiment;
  if (named === PUBLISHED) {
    const { experimentWeights } = await import('../weights/requests.js');
    experimentWeights(experiment);
    return PUBLISHED;
  }
  const { file, run } = await findWeights(named, runs);
  const [, reference = '', which = ''] = /^(.*?)(:best|:last)?$/s.exec(named)!;
  if (run !== null && (reference === row || /[*?{]/.test(reference))) {
    throw new OverridesNeeded(
      `model.initialWeights is ${named}, the newest run of that name: this would be another one as soon as it has begun.`,
      [`initialWeights=${run.row}/${run.id}${which}`],
    );
  }
  const reset = model.reset === 'classifier';
  await readInitialWeights(parameterSpecs(architecture(model)), file, reset).catch((error: unknown) => {
    throw run !== null && error instanceof NothingFits ? explainOtherSize(error, run, model) : error;
  });
  return file;
}

/** Names the sizes in which the network of a run differs from the one that is to start from its weights. */
function explainOtherSize(error: NothingFits, run: RunReader, model: ModelRecipe): UserError {
  const own = run.experiment().model;
  const [needed, present] = [otherSizes(own, model), otherSizes(model, own)];
  if (needed.length === 0) return error;
  return new OverridesNeeded(
    `None of the weights of ${run.row}/${run.id} fit: the run has ${needed.join(', ')}, this recipe ${present.join(', ')}.`,
    needed,
    { cause: error },
  );
}

interface InitialisedRun {
  readonly experiment: Experiment;
  readonly deviations: readonly Deviation[];
}

/**
 * The experiment with the content of its initial weights in place of their name: a run is the same if that is, wherever the file
 * lies. Sixteen digits of the SHA-256 fit a line.
 */
export async function withInitialWeights<R extends InitialisedRun>(
  run: R,
  file: string | null,
): Promise<R & { readonly initialWeights: WeightsFile | undefined }> {
  if (file === null) return { ...run, initialWeights: undefined };
  const sha256 = await sha256File(file).catch((error) => {
    throw explainFileError(error, file, 'read');
  });
  const value = `sha256:${sha256.slice(0, 16)}`;
  const key = 'model.initialWeights';
  const { experiment, deviations } = run;
  return {
    ...run,
    experiment: Object.freeze({ ...experiment, model: Object.freeze({ ...experiment.model, initialWeights: value }) }),
    deviations: deviations.map((deviation) => (deviation.path === key ? { ...deviation, value } : deviation)),
    initialWeights: { file, sha256 },
  };
}
