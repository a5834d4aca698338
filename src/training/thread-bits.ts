import { fileURLToPath } from 'node:url';
import type { ConvolutionMode, ConvolutionPath, Engine, EngineName } from '../engines/engine.js';
import { runTool } from '../engines/tool.js';
import { type ConvolutionsOf, convolutionBits } from './convolution-bits.js';

/** What the other process computes. */
export interface BitsTask {
  readonly engine: EngineName;
  readonly convolution: ConvolutionMode;
  readonly paths: readonly (readonly [string, ConvolutionPath])[];
  readonly experiment: ConvolutionsOf;
  readonly images: number;
}

/**
 * Which convolutions of a network have other bits on another number of threads. On that number they are computed in another process, which
 * takes some seconds.
 * @param images Of a shard.
 * @param threads The other number.
 * @returns names as in `convolutionBits`; none if bits do not depend on it.
 * @throws Error if the other process fails.
 */
export async function dependentOnThreads(
  engine: Engine,
  { model, data: { cropHw }, training: { precision } }: ConvolutionsOf,
  images: number,
  threads: number,
  signal?: AbortSignal,
): Promise<string[]> {
  const experiment = { model, data: { cropHw }, training: { precision } };
  const task: BitsTask = {
    engine: engine.name,
    convolution: engine.convolution,
    paths: [...engine.decidedPaths],
    experiment,
    images,
  };
  const program = fileURLToPath(new URL('./convolution-bits-process.js', import.meta.url));
  const { outcome, stdout, stderr } = await runTool(
    process.execPath,
    [...process.execArgv, program, JSON.stringify(task)],
    { signal, environment: { TF_NUM_INTRAOP_THREADS: `${threads}` } },
  );
  if (outcome !== 'success')
    throw new Error(`On ${threads} threads, convolutions cannot be computed: ${stderr.trim()}`);
  const others = new Map(JSON.parse(stdout) as [string, string][]);
  const own = convolutionBits(engine, experiment, images);
  return [...own].filter(([name, hash]) => others.get(name) !== hash).map(([name]) => name);
}
