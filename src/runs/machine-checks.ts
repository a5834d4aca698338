import path from 'node:path';
import type { ConvolutionMode, Engine, EngineName } from '../engines/engine.js';
import { repairsOf, startEngine } from '../engines/selection.js';
import type { Experiment } from '../recipe/experiment.js';
import type { AvailableMemory } from '../support/available-memory.js';
import { UserError } from '../support/errors.js';
import { assertWritable, foldersIn, isFolder } from '../support/files.js';
import { formatBytes, formatNumber, listNames } from '../support/format.js';
import { cacheDirectory } from '../support/package.js';
import { checkpointsSize } from '../training/checkpoint-rotation.js';
import { memoryProblem, neededBytes, usableBytes } from './memory-check.js';
import type { PlannedRun } from './plan.js';
import type { PlannedFetch } from './planned-fetches.js';
import { type InPrecision, inAvailablePrecision, precisionNote } from './precision.js';
import { withPlannedThreads } from './prediction-threads.js';
import {
  type Available,
  assertDisk,
  availableResources,
  checkpointsBytes,
  freeDisk,
  keepThatFits,
  type ResourcesOptions,
} from './resources.js';
import { type CommandWith, failed, orMistake, passed, type RunCheck, withoutRow } from './run-check.js';
import { RunReader } from './run-reader.js';
import { largestStageMemory } from './stage-memory.js';

interface EngineOptions {
  readonly engine: EngineName | 'auto';
  /** Same bits in every run also on a GPU. */
  readonly deterministic: boolean;
  /** As far as the engine has fast ones. */
  readonly convolution: ConvolutionMode;
  readonly commandWith: CommandWith;
}

/** Starts the engine. `engine` is null if it cannot be started. */
export async function checkEngine(
  row: string,
  options: EngineOptions,
): Promise<{ readonly check: RunCheck; readonly engine: Engine | null }> {
  const engine = await orMistake(() => startEngine(options));
  if (engine instanceof UserError) {
    const { commands, flags } = await repairsOf(options.engine);
    const again = flags.map((flag) => options.commandWith([flag]));
    const next = [...commands, ...again, options.commandWith(['--engine', 'wasm'])];
    return { check: failed('engine', row, engine, next), engine: null };
  }
  const libraries = Object.entries(engine.versions).map(([library, version]) => `${library} ${version}`);
  const text = `${engine.name} on this ${engine.device.toUpperCase()} (${libraries.join(', ')}), ${engine.convolution} convolutions`;
  if (engine.isNative || options.engine !== 'auto') return { check: passed('engine', text), engine };
  const slow = `${text}: about a tenth as fast as the native engine, which is not installed`;
  return { check: { name: 'engine', state: 'warning', text: slow, next: 'fcn engines install' }, engine };
}

/** Fits the recipe to the precision that the engine has. `available` is null if there is none. */
export async function checkPrecision(
  engine: Engine,
  run: PlannedRun,
  commandWith: CommandWith,
): Promise<{ readonly check: RunCheck; readonly available: InPrecision | null }> {
  const { row } = run.experiment;
  const available = await orMistake(() => inAvailablePrecision(engine, run));
  if (available instanceof UserError) {
    const next = [commandWith(['--precision', engine.halfPrecision ?? 'fp32'])];
    return { check: failed('precision', row, available, next), available: null };
  }
  const { precision } = available.experiment.training;
  const note = precisionNote(available);
  if (note === null) return { check: passed('precision', precision), available };
  return { check: { name: 'precision', state: 'warning', text: withoutRow(note, row), next: null }, available };
}

/** A machine that executes runs, which is not this one. */
export interface OtherMachine {
  /** What a run may have; null if that is known only there, or says nothing because a GPU computes. */
  readonly mainMemory: AvailableMemory | null;
  readonly hasGpu: boolean;
}

/** What a check says that can be done only on another machine. */
export const CHECKED_THERE = 'is checked where the run starts';

interface ResourceCheckOptions extends ResourcesOptions {
  readonly commandWith: CommandWith;
  readonly machine?: OtherMachine | undefined;
}

/**
 * Checks memory and, if the run trains, the disk.
 * @param checkpoints Bytes of existing checkpoints that the run continues.
 */
export async function checkResources(
  options: ResourceCheckOptions,
  engine: Engine,
  checkpoints: number,
): Promise<RunCheck[]> {
  const { machine } = options;
  const { group = null, here: started = 1 } = options.processes ?? {};
  // Without a group, nobody has started the others yet.
  const here = await availableResources(engine, options.runs, checkpoints, group === null ? 1 : started);
  const main = machine?.mainMemory ?? null;
  const available = main === null ? here : { ...here, main, gpu: null };
  const memory =
    machine !== undefined && main === null
      ? passed('memory', CHECKED_THERE)
      : await checkMemory(options, engine, available);
  return options.stages.includes('train') ? [memory, await checkDisk(options, available)] : [memory];
}

async function checkMemory(options: ResourceCheckOptions, engine: Engine, available: Available): Promise<RunCheck> {
  const { experiment, commandWith } = options;
  const { row } = experiment;
  const tooLarge = await memoryProblem(options, engine, available);
  if (tooLarge !== null) {
    const { changes } = tooLarge;
    const text = changes.length === 0 ? '' : ` It fits with ${changes.join(' or ')} (a recorded deviation).`;
    const error = new UserError(`${tooLarge.message}${text}`);
    const next = [
      ...(available.main.origin === undefined
        ? []
        : [commandWith(['--mem', await memFor(options, engine, available.main)])]),
      ...changes.map((change) => commandWith(['--set', change], row)),
      ...(engine.isNative ? [] : ['fcn engines install']),
      commandWith(['--force']),
    ];
    return unlessForced(failed('memory', row, error, next), options);
  }
  const mainBytes = available.main.bytes;
  const largest = await largestStageMemory(options, engine, (memory) =>
    withPlannedThreads(memory, engine, { experiment, threads: options.threads, mainBytes }),
  );
  const { of, predictionThreads: threads, processes } = largest;
  const inThreads = threads === 1 ? '' : ` in each of ${formatNumber(threads, 'thread')}`;
  const beside = processes === 1 ? inThreads : ` in ${processes} processes`;
  const needed = `about ${formatBytes(neededBytes(largest, engine))} for ${of}${beside}`;
  // What an engine can address limits each thread by itself.
  const most = threads === 1 ? usableBytes(engine, available) : mainBytes;
  return passed('memory', most === null ? needed : `${needed}, of ${formatBytes(most)}`);
}

/** What a task must ask a cluster for, in MiB: what it needs, and what it does not get of what it asks for. */
async function memFor(options: ResourceCheckOptions, engine: Engine, { bytes, totalBytes }: AvailableMemory) {
  const needed = neededBytes(await largestStageMemory(options, engine), engine);
  return `${Math.ceil((needed + totalBytes - bytes) / 2 ** 20)}M`;
}

async function checkDisk(options: ResourceCheckOptions, available: Available): Promise<RunCheck> {
  const { experiment, runs, keepCheckpoints, commandWith } = options;
  const tooLarge = await orMistake(() => assertDisk(options, available));
  if (tooLarge instanceof UserError) {
    const keep = keepThatFits(options, available);
    const next = [
      commandWith(['--runs', 'DIR']),
      ...(keep === null ? [] : [commandWith(['--keep', String(keep)])]),
      commandWith(['--force']),
    ];
    return unlessForced(failed('disk', experiment.row, tooLarge, next), options);
  }
  const needed = formatBytes(checkpointsBytes(experiment, keepCheckpoints));
  return passed('disk', `about ${needed} for checkpoints in ${runs}, where ${formatBytes(available.disk)} are free`);
}

/** With --force, a run starts even if it is estimated not to fit. */
function unlessForced(check: RunCheck, { force }: Pick<ResourcesOptions, 'force'>): RunCheck {
  return force ? { ...check, state: 'warning', next: null } : check;
}

/** The most bytes of checkpoints that any run of the row could continue. */
export async function resumableCheckpoints(runs: string, row: string): Promise<number> {
  const ofRow = path.join(runs, row);
  let most = 0;
  // A folder that is none is another check's problem.
  if (!(await isFolder(ofRow))) return 0;
  for (const id of await foldersIn(ofRow)) {
    const directory = path.join(ofRow, id);
    if (await new RunReader(directory).isCompleted()) continue;
    most = Math.max(most, await checkpointsSize(path.join(directory, 'checkpoints')));
  }
  return most;
}

interface FolderOptions {
  readonly runs: string;
  readonly results: string;
  /** What will be written to the cache. */
  readonly fetches: readonly PlannedFetch[];
  readonly commandWith: CommandWith;
}

/** The command again with another cache. */
const withOtherCache = (command: string) => `FCN_CACHE_DIR=DIR ${command}`;

/** Checks, without writing, that files can be written in the folders of runs and records, and in the cache if something is fetched. */
export async function checkFolders(
  { row }: Experiment,
  { runs, results, fetches, commandWith }: FolderOptions,
): Promise<RunCheck> {
  const cache = cacheDirectory();
  const folders = [runs, results, ...(fetches.length > 0 ? [cache] : [])];
  const problems = await Promise.all(folders.map((folder) => orMistake(() => assertWritable(folder))));
  const [ofRuns, ofResults, ofCache] = problems;
  const flags = [
    ...(ofRuns instanceof UserError ? ['--runs', 'DIR'] : []),
    ...(ofResults instanceof UserError ? ['--results', 'DIR'] : []),
  ];
  const errors = problems.filter((problem) => problem instanceof UserError);
  if (errors.length === 0) return passed('folders', `${listNames(folders)} can be written`);
  const all = new UserError(errors.map(({ message }) => message).join(' '));
  const command = commandWith(flags);
  return failed('folders', row, all, [ofCache instanceof UserError ? withOtherCache(command) : command]);
}

/** Checks that the disk of the cache has space for what is fetched, at least some if the size is not known; null if it has. */
export async function checkCacheDisk(
  { row }: Experiment,
  { fetches, force, commandWith }: Pick<FolderOptions, 'fetches' | 'commandWith'> & Pick<ResourcesOptions, 'force'>,
): Promise<RunCheck | null> {
  if (fetches.length === 0) return null;
  const cache = cacheDirectory();
  const free = await orMistake(() => freeDisk(cache));
  const needed = fetches.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  // A folder that cannot be examined is the problem of another check.
  if (free instanceof UserError || free > needed) return null;
  const what = listNames(fetches.map(({ what }) => what));
  const size = needed === 0 ? '' : ` (${formatBytes(needed)})`;
  const error = new UserError(
    `${cache}, the cache, has no space for ${what}${size}, which will be fetched: ${formatBytes(free)} are free.`,
  );
  const next = [withOtherCache(commandWith([])), commandWith(['--force'])];
  return unlessForced(failed('disk', row, error, next), { force });
}
