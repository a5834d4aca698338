import { createHash } from 'node:crypto';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { CONVOLUTION_PATHS, type ConvolutionPath, type Engine, withDecidedPaths } from '../engines/engine.js';
import { describeProcessor } from '../engines/hardware.js';
import { type ConvolutionShape, shapeName } from '../kernels/kernels.js';
import { pathOn } from '../kernels/tensorflow/convolution-path.js';
import { type TimedPath, timePaths } from '../kernels/tensorflow/time-paths.js';
import { secondsOf } from '../measurement/roofline.js';
import { convolutionShapes } from '../network/convolution-shapes.js';
import type { ModelRecipe } from '../recipe/experiment.js';
import type { Environment } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { readSealed, writeSealed } from '../support/json.js';
import { withLock } from '../support/lock.js';
import { cacheDirectory } from '../support/package.js';
import { KeptMeasurements, timeSettings } from './kept-measurements.js';
import type { RunPasses } from './passes.js';

/** As `TimedPath`. */
const timedPath = z.strictObject({
  path: z.enum(CONVOLUTION_PATHS),
  counted: z.enum(CONVOLUTION_PATHS),
  ofDirect: z.number().positive(),
});
/** The path alone if it was not timed. */
const chosenPath = timedPath.partial().required({ path: true });
type ChosenPath = z.output<typeof chosenPath>;
const content = z.record(z.string(), chosenPath);

/** The paths of a run's convolutions by `shapeName`: those of all shapes that it has on images of the usual size. */
export const PATHS_FILE = 'convolutions.json';

/** What a run's convolutions are computed with. */
export interface RunPaths {
  /** With these paths. */
  readonly engine: Engine;
  /** For the run's file; null if all are direct. */
  readonly paths: Readonly<Record<string, ChosenPath>> | null;
}

/**
 * A shape is timed if a stage has so many passes over it: timing executes each path a few times at most, so it costs a hundredth of
 * the stage or two.
 */
const LEAST_PASSES = 500;

/** And if it has so many multiply-adds: a millisecond or so. What takes less is of little weight in a network, and timed badly. */
const LEAST_PRODUCTS = 1e8;

interface ChooseOptions {
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
  /** How long some work takes; default: by the clock. */
  readonly seconds?: (work: () => void) => number;
}

/**
 * The paths of a new run: those that are kept for this machine, or are timed now and kept; others by counting. A cache that cannot be
 * written to keeps nothing, and then nothing is timed, so that all runs agree.
 */
export async function choosePaths(
  engine: Engine,
  { model, passes }: { readonly model: ModelRecipe; readonly passes: readonly RunPasses[] },
  options: ChooseOptions,
): Promise<RunPaths> {
  if (engine.convolution === 'direct') return { engine, paths: null };
  const shapes = new Map<string, ConvolutionShape>();
  const worthwhile = new Map<string, ConvolutionShape>();
  for (const pass of passes) {
    for (const shape of convolutionShapes(model, pass)) {
      shapes.set(shapeName(shape), shape);
      if (pass.count >= LEAST_PASSES && productsOf(shape) >= LEAST_PRODUCTS) worthwhile.set(shapeName(shape), shape);
    }
  }
  const kept = await timeMissing(engine, worthwhile, options);
  const paths = [...shapes].map(([name, shape]): [string, ChosenPath] => [
    name,
    kept.get(name) ?? { path: pathOn(engine, shape) },
  ]);
  return withPaths(engine, Object.fromEntries(paths));
}

/**
 * The paths with which a run was begun. One without the file, of an earlier version, counted.
 * @param directory The run's.
 */
export async function resumePaths(engine: Engine, directory: string, note: (text: string) => void): Promise<RunPaths> {
  if (engine.convolution === 'direct') return { engine, paths: null };
  const file = path.join(directory, PATHS_FILE);
  const read = await readSealed(file);
  if (read === null) return { engine, paths: null };
  const parsed = content.safeParse(read);
  if (parsed.success) return withPaths(engine, parsed.data);
  note(
    `${file} is damaged: convolutions take the paths with the fewest operations, and results may differ in the last bits.`,
  );
  return { engine, paths: null };
}

export async function writePaths(directory: string, paths: NonNullable<RunPaths['paths']>): Promise<void> {
  await writeSealed(path.join(directory, PATHS_FILE), paths);
}

/** The engine with the paths that are kept for this machine. Times nothing. */
export async function withKeptPaths(engine: Engine): Promise<Engine> {
  if (engine.convolution === 'direct') return engine;
  const kept = (await openKept(engine)).entries();
  return withDecidedPaths(engine, new Map([...kept].map(([name, { path }]) => [name, path])));
}

/** The environment of a run with these paths. */
export function describePaths(paths: RunPaths['paths']): Pick<Environment, 'convolutionPaths'> {
  if (paths === null) return {};
  const all = Object.entries(paths);
  const shapes: Partial<Record<ConvolutionPath, number>> = {};
  for (const [, { path }] of all) shapes[path] = (shapes[path] ?? 0) + 1;
  const lines = all.map(([name, { path }]) => `${name}: ${path}\n`).sort();
  const hash = createHash('sha256').update(lines.join('')).digest('hex').slice(0, 8);
  const timed = all.filter(([, { counted }]) => counted !== undefined);
  const overruled = timed.filter(([, { path, counted }]) => path !== counted).length;
  return { convolutionPaths: { hash, shapes, timed: timed.length, overruled } };
}

function withPaths(engine: Engine, paths: NonNullable<RunPaths['paths']>): RunPaths {
  const decided = new Map(Object.entries(paths).map(([name, { path }]) => [name, path]));
  return { engine: withDecidedPaths(engine, decided), paths };
}

function productsOf({ output, channels, images }: ConvolutionShape): number {
  return [9, images, ...output, ...channels].reduce((product, count) => product * count, 1);
}

type Kept = KeptMeasurements<z.output<typeof timedPath>>;

/** Of this machine, by what times depend on. */
function openKept({ convolutionBuild, versions }: Engine): Promise<Kept> {
  const { processor, cores } = describeProcessor();
  return KeptMeasurements.open('convolution-paths.json', timedPath, [
    convolutionBuild,
    versions,
    processor,
    cores,
    timeSettings(),
  ]);
}

/** Times those of the shapes that are not kept yet. Two processes take turns, so that they agree and do not disturb each other. */
async function timeMissing(
  engine: Engine,
  shapes: ReadonlyMap<string, ConvolutionShape>,
  { signal, note, seconds = (work) => secondsOf(engine, work) }: ChooseOptions,
): Promise<ReadonlyMap<string, ChosenPath>> {
  const isMissing = (kept: Kept) => (shape: ConvolutionShape) =>
    pathOn(engine, shape) !== 'direct' && kept.get(shapeName(shape)) === null;
  const before = await openKept(engine);
  const all = [...shapes.values()];
  if (!all.some(isMissing(before))) return before.entries();
  const time = async () => {
    const kept = await openKept(engine);
    const missing = all.filter(isMissing(kept));
    if (missing.length > 0)
      note(`Timing ${formatNumber(missing.length, 'shape')} of convolutions, once for this machine.`);
    for (const shape of missing) {
      // Timing keeps the thread busy: signals arrive before.
      await setImmediate();
      signal.throwIfAborted();
      const found = timePaths(engine, shape, seconds)!;
      await kept.add(shapeName(shape), found);
      if (found.path !== found.counted) note(describeLoss(shapeName(shape), found));
    }
    return kept.entries();
  };
  try {
    return await withLock(path.join(cacheDirectory(), 'convolution-paths.lock'), time, { signal });
  } catch (error) {
    if (!(error instanceof UserError) || signal.aborted) throw error;
    note(`Convolutions that are not timed yet take the paths with the fewest operations. ${error.message}`);
    return (await openKept(engine)).entries();
  }
}

function describeLoss(name: string, { path, counted, ofDirect }: TimedPath): string {
  return `${counted} takes ${ofDirect.toFixed(2)} of the direct path's time for the ${name}: ${path} is taken instead.`;
}
