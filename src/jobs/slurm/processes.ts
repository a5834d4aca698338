import { mpiState } from '../../engines/mpi/manifest.js';
import { divideBatch } from '../../parallel/shards.js';
import type { Stage } from '../../records/record.js';
import type { CheckedRun } from '../../runs/checks.js';
import { type CommandWith, orMistake, type RunCheck } from '../../runs/run-check.js';
import { UserError } from '../../support/errors.js';
import { listNames } from '../../support/format.js';
import { type ClusterOptions, gpusOf, type OptionOrigins } from '../cluster-options.js';
import { flagOfTasks, type JobDescription } from '../job.js';
import { problem, written } from './findings.js';
import { callSlurm } from './programs.js';

/** The processes of each run of a job: what its tasks' arguments say. */
export const processesOfTasks = (job: Pick<JobDescription, 'tasks'>): number =>
  Number(flagOfTasks(job, 'processes') ?? 1);

/** The plugins that `srun --mpi=list` prints, also older versions, which precede each line with "srun: ". */
export function parsePlugins(text: string): string[] {
  const [, list = ''] = /types are\.\.\.([\s\S]*)/.exec(text) ?? [];
  const words = list.replaceAll(/^specific .*?:/gm, '').matchAll(/(?<![\w-])(?!srun\b)[a-z]\w*/g);
  return [...new Set([...words].map(([word]) => word))].filter((word) => word !== 'none');
}

/** The plugins of this cluster's srun; null if it cannot say. */
async function readPlugins(): Promise<string[] | null> {
  const { outcome, stdout, message } = await callSlurm('srun', ['--mpi=list']);
  // Some versions print the list as messages.
  return outcome === 'success' ? parsePlugins(`${stdout}\n${message.replaceAll('; ', '\n')}`) : null;
}

/**
 * The plugin of srun by which processes of an MPI find each other; null if there is none. Open MPI takes PMIx in all versions, and PMI-2 only
 * if it was built so, which packages are not; MPICH and what comes from it speak PMI-2.
 * @param library The MPI library's name and version.
 */
export function fittingPlugin(library: string, offered: readonly string[]): string | null {
  const fitting = /open mpi/i.test(library) ? /^pmix(_v\d+)?$/ : /^pmi2$/;
  // Without a version, srun takes the newest.
  return [...offered].sort((a, b) => a.length - b.length).find((name) => fitting.test(name)) ?? null;
}

/** The plugin that is asked for, or fits; null if there is none. */
export async function srunPlugin({ mpi: asked }: Pick<ClusterOptions, 'mpi'>): Promise<string | null> {
  if (asked !== undefined) return asked;
  const state = await mpiState();
  const offered = await readPlugins();
  return 'problem' in state || offered === null ? null : fittingPlugin(state.library, offered);
}

interface PlannedProcesses {
  readonly options: ClusterOptions;
  readonly origins: OptionOrigins;
  readonly processes: number;
  readonly stages: readonly Stage[];
  readonly commandWith: CommandWith;
}

/** What prevents several processes in each task; nothing for one. @param checked Of each task. */
export async function processChecks(planned: PlannedProcesses, checked: readonly CheckedRun[]): Promise<RunCheck[]> {
  const { options, processes, commandWith } = planned;
  const { nodes = 1, gpus } = options;
  if (processes === 1 && nodes === 1) return [];
  const found: RunCheck[] = [];
  const flags = `--processes ${processes}`;
  if (processes % nodes !== 0) {
    const text = `${flags} cannot be divided equally among ${written(planned, 'nodes')}.`;
    found.push(problem('scheduler', text, commandWith(['--processes', String(Math.ceil(processes / nodes) * nodes)])));
  }
  if (gpusOf(gpus).count > 0) {
    const text = `Several processes compute on processors, but ${written(planned, 'gpus')} asks for GPUs. Leave out one of the two.`;
    found.push(problem('engine', text));
  }
  return [...found, ...(await batchChecks(planned, checked)), ...(await pluginChecks(options))];
}

/** Batches that the processes cannot share, each message once. */
async function batchChecks(
  { processes, stages }: PlannedProcesses,
  checked: readonly CheckedRun[],
): Promise<RunCheck[]> {
  if (!stages.includes('train')) return [];
  const found = new Map<string, RunCheck>();
  for (const { run } of checked) {
    const { training, benchmark } = run.experiment;
    const division = await orMistake(() => divideBatch(training.batch, processes, benchmark.trainingBatch));
    if (!(division instanceof UserError)) continue;
    found.set(division.message, problem('scheduler', `${division.message} ${division.next ?? ''}`.trim()));
  }
  return [...found.values()];
}

async function pluginChecks({ mpi: asked }: ClusterOptions): Promise<RunCheck[]> {
  const state = await mpiState();
  if ('problem' in state) {
    return [problem('engine', `Several processes need MPI, but ${state.problem}.`, 'fcn engines install --mpi')];
  }
  const offered = await readPlugins();
  if (offered === null) return [problem('scheduler', 'srun --mpi=list does not say which plugins for MPI Slurm has.')];
  const has = offered.length === 0 ? 'has none' : `has ${listNames(offered)}`;
  if (asked !== undefined) {
    return offered.includes(asked)
      ? []
      : [problem('scheduler', `srun has no plugin ${asked}, which mpi asks for; it ${has}.`)];
  }
  if (fittingPlugin(state.library, offered) !== null) return [];
  const wanted = /open mpi/i.test(state.library) ? 'pmix' : 'pmi2';
  const text =
    `Processes of ${state.library} find each other by srun --mpi=${wanted}, but this cluster's srun ${has}. ` +
    'Compile for an MPI that fits (fcn engines install --mpi --mpicxx PATH), or name one that does all the same: mpi in the cluster file.';
  return [problem('scheduler', text)];
}
