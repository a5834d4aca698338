import type { CheckedRun, RunCheckOptions } from '../../runs/checks.js';
import type { OtherMachine } from '../../runs/machine-checks.js';
import { type CommandWith, passed, type RunCheck } from '../../runs/run-check.js';
import type { AvailableMemory } from '../../support/available-memory.js';
import { formatBytes, formatNumber, formatSeconds, listNames, shellWords } from '../../support/format.js';
import { nearest } from '../../support/suggest.js';
import {
  askedMemory,
  type ClusterOptions,
  cpusOf,
  gpusOf,
  memBytes,
  memoryOfTask,
  type OptionOrigins,
} from '../cluster-options.js';
import { engineChecks } from './engine-checks.js';
import { type Fixable, problem, warning, withCommand, written, wrong } from './findings.js';
import { folderChecks } from './folder-checks.js';
import {
  type NodeGroup,
  type NodeKind,
  readDefaultMemory,
  readMaxArraySize,
  readNodes,
  readPartitions,
} from './partitions.js';
import { processChecks } from './processes.js';
import { callSlurm } from './programs.js';
import { refusalOfSlurm, refusedOptions } from './test-only.js';
import { parseTimeLimit } from './time-limit.js';

/** What is known of the cluster. */
interface Cluster {
  readonly groups: readonly NodeGroup[];
  readonly nodes: readonly NodeKind[];
  readonly maxArraySize: number;
}

/** What a job would be. */
interface Planned {
  readonly options: ClusterOptions;
  /** Where those stand that are no flags. */
  readonly origins: OptionOrigins;
  /** RUNS/jobs/ID, absolute; ID need not be known yet. */
  readonly folder: string;
  readonly tasks: number;
  /** Of each task. */
  readonly processes: number;
  readonly stages: RunCheckOptions['stages'];
  /** `--engine`. */
  readonly engine: RunCheckOptions['engine'];
  /** The user's command again with other flags. */
  readonly commandWith: CommandWith;
}

/**
 * Everything about a job that Slurm would refuse, or accept and never start. Submits nothing.
 * @param checked Of each task.
 */
export async function slurmChecks(planned: Planned, checked: readonly CheckedRun[]): Promise<RunCheck[]> {
  const cluster = await readCluster(planned);
  if ('name' in cluster) return [cluster];
  const { options, folder, commandWith } = planned;
  const found: Fixable[] = [
    ...arrayChecks(planned, cluster),
    ...partitionChecks(planned, cluster),
    ...nodeChecks(planned, cluster),
    ...(await processChecks(planned, checked)),
    ...(await engineChecks(planned, nodesOf(options, cluster), checked)),
    ...(await folderChecks(folder, nodesOf(options, cluster))),
  ];
  // What Slurm itself says comes last: it stops at the first thing that is wrong, in few words.
  const isRefused = found.some(({ name, state }) => name === 'scheduler' && state === 'missing');
  const checks = withCommand(found, commandWith);
  if (!isRefused) return [...checks, await askSlurm(planned, cluster)];
  const { account, qos, sbatch } = options;
  const rest = await askSlurm({ ...planned, tasks: 1, processes: 1, options: { account, qos, sbatch } }, cluster);
  return rest.state === 'ok' ? checks : [...checks, rest];
}

async function readCluster({ commandWith }: Planned): Promise<Cluster | RunCheck> {
  const maxArraySize = await readMaxArraySize();
  const [groups, nodes] = await Promise.all([readPartitions(), readNodes()]);
  if (maxArraySize !== null && groups !== null && nodes !== null) {
    return { groups, nodes, maxArraySize };
  }
  const { outcome, message } = await callSlurm('scontrol', ['ping']);
  const text =
    outcome === 'absent'
      ? 'This machine has no Slurm: scontrol, sinfo and sbatch are not on the path.'
      : `Slurm does not answer${message === '' ? '' : `: ${message}`}.`;
  return problem(
    'scheduler',
    `${text} Run the command on a login node of the cluster.`,
    commandWith(['--executor', 'local']),
  );
}

/** The groups of nodes that a job may use: those of its partitions, or of the user's or the cluster's default. */
function groupsOf({ partition }: Pick<ClusterOptions, 'partition'>, { groups }: Pick<Cluster, 'groups'>): NodeGroup[] {
  const named = (partition ?? process.env['SBATCH_PARTITION'])?.split(',');
  const found = groups.filter((group) => named?.includes(group.partition) ?? group.isDefault);
  // Of an unknown partition: what no node has is wrong all the same.
  return found.length > 0 || named === undefined ? found : [...groups];
}

/** The nodes that a job may use. */
function nodesOf(options: ClusterOptions, cluster: Cluster): NodeKind[] {
  const partitions = new Set(groupsOf(options, cluster).map(({ partition }) => partition));
  return cluster.nodes.filter((node) => node.partitions.some((partition) => partitions.has(partition)));
}

function arrayChecks({ tasks }: Planned, { maxArraySize }: Cluster): RunCheck[] {
  // The largest index is one below the size.
  if (tasks <= maxArraySize) return [];
  const text = `${formatNumber(tasks, 'task')}, but this cluster's arrays have at most ${maxArraySize} (MaxArraySize).`;
  return [problem('scheduler', `${text} Submit the rows or seeds in several jobs.`)];
}

function partitionChecks(planned: Planned, cluster: Cluster): Fixable[] {
  const { options, origins } = planned;
  const known = [...new Set(cluster.groups.map(({ partition }) => partition))];
  const unknown = (options.partition?.split(',') ?? []).filter((name) => !known.includes(name));
  const missing = unknown.map((name) => {
    const meant = nearest(name, known);
    const origin = origins.has('partition') ? ` (${origins.get('partition')})` : '';
    const text = `There is no partition ${name}${origin}. Known: ${listNames(known)}.`;
    return meant === undefined ? problem('scheduler', text) : wrong(planned, 'partition', text, meant);
  });
  const groups = groupsOf(options, cluster);
  if (options.partition === undefined && groups.length === 0) {
    return [wrong(planned, 'partition', `This cluster has no default partition. Known: ${listNames(known)}.`, 'NAME')];
  }
  return [...missing, ...(groups.length === 0 ? [] : [...downChecks(groups), ...timeChecks(planned, groups)])];
}

function downChecks(groups: readonly NodeGroup[]): RunCheck[] {
  if (groups.some(({ isUp }) => isUp)) return [];
  const names = listNames([...new Set(groups.map(({ partition }) => partition))]);
  return [warning('scheduler', `The partition ${names} is down: tasks wait until it is up again.`)];
}

/** Slurm accepts a longer time than the partition's, and never starts the job. */
function timeChecks(planned: Planned, groups: readonly NodeGroup[]): Fixable[] {
  const { time } = planned.options;
  const limits = groups.map(({ mostSeconds }) => mostSeconds ?? Number.POSITIVE_INFINITY);
  const most = Math.max(...limits);
  const asked = time === undefined ? null : parseTimeLimit(String(time));
  if (asked === null || asked <= most) return [];
  const text =
    `${written(planned, 'time')}: ${formatSeconds(asked)} are more than the partition ${groups[0]!.partition} allows: ` +
    `${formatSeconds(most)}. A task that is not done in that time is resumed.`;
  return [wrong(planned, 'time', text, formatLimit(most))];
}

/** Seconds as Slurm writes a limit, rounded down to minutes. */
function formatLimit(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:00`;
}

/** The GPUs of a node that a job may use: all, or those of a type. */
const gpuCount = ({ gpus }: NodeGroup, type: string | null) =>
  gpus.reduce((sum, gpu) => sum + (type === null || type === gpu.type ? gpu.count : 0), 0);

/** Names each thing that is asked for and that no node has. Whether one has all of them, Slurm says. */
function nodeChecks(planned: Planned, cluster: Cluster): Fixable[] {
  const { options } = planned;
  const groups = groupsOf(options, cluster);
  if (groups.length === 0) return [];
  const where = `a node of the partition ${listNames([...new Set(groups.map(({ partition }) => partition))])}`;
  const most = (of: (group: NodeGroup) => number) => Math.max(...groups.map(of));
  const found: Fixable[] = [];
  found.push(
    ...cpuChecks(
      planned,
      most((group) => group.cpus),
      where,
    ),
    ...nodeCountChecks(planned, groups),
  );
  const mostBytes = most((group) => group.memory);
  if (options.mem !== undefined && memBytes(options.mem) > mostBytes) {
    const mebibytes = `${Math.floor(mostBytes / 2 ** 20)}M`;
    const text = `${written(planned, 'mem')}, but ${where} has at most ${mebibytes} (${formatBytes(mostBytes)}).`;
    found.push(wrong(planned, 'mem', text, mebibytes));
  }
  found.push(...gpuChecks(planned, cluster, where));
  const features = new Set(groups.flatMap((group) => group.features));
  const lacking = (options.constraint?.match(/[\w.:+/@-]+/g) ?? []).filter(
    (name) => /^[a-z]/i.test(name) && !features.has(name),
  );
  if (lacking.length > 0) {
    const known = features.size === 0 ? 'They have none.' : `They have: ${listNames([...features])}.`;
    const text = `No node has ${listNames(lacking)}, which ${written(planned, 'constraint')} asks for. ${known}`;
    found.push(problem('scheduler', text));
  }
  return [...found, ...idleChecks(planned)];
}

function cpuChecks(planned: Planned, most: number, where: string): Fixable[] {
  const { options, processes } = planned;
  const { nodes = 1 } = options;
  const together = Math.ceil(processes / nodes);
  const asked = cpusOf(options) * together;
  if (asked <= most) return [];
  const each = together === 1 ? '' : ` for each of ${together} processes on a node`;
  const text = `${written({ ...planned, options: { ...options, cpus: cpusOf(options) } }, 'cpus')}${each}, but ${where} has at most ${most}.`;
  const fitting = Math.floor(most / together);
  return [fitting > 0 ? wrong(planned, 'cpus', text, String(fitting)) : problem('scheduler', text)];
}

/** More nodes than the largest partition has. */
function nodeCountChecks(planned: Planned, groups: readonly NodeGroup[]): Fixable[] {
  const { nodes = 1 } = planned.options;
  const counts = new Map<string, number>();
  for (const { partition, nodes: count } of groups) counts.set(partition, (counts.get(partition) ?? 0) + count);
  const most = Math.max(...counts.values());
  if (nodes <= most) return [];
  const text = `${written(planned, 'nodes')}, but the partition ${listNames([...counts.keys()])} has ${formatNumber(most, 'node')}.`;
  return [wrong(planned, 'nodes', text, String(most))];
}

function gpuChecks(planned: Planned, cluster: Cluster, where: string): Fixable[] {
  const { count, type } = gpusOf(planned.options.gpus);
  const most = Math.max(...groupsOf(planned.options, cluster).map((group) => gpuCount(group, type)));
  if (count <= most) return [];
  const kind = type === null ? '' : ` of the type ${type}`;
  const text = `${written(planned, 'gpus')}, but ${where} has ${most === 0 ? 'none' : `at most ${most}`}${kind}.`;
  if (most > 0) return [wrong(planned, 'gpus', text, type === null ? String(most) : `${type}:${most}`)];
  const others = cluster.groups.filter((group) => gpuCount(group, type) >= count).map(({ partition }) => partition);
  const elsewhere =
    others.length === 0 ? '' : ` or choose a partition that has them: ${listNames([...new Set(others)])}`;
  return [problem('scheduler', `${text} Leave it out${elsewhere}.`)];
}

function idleChecks({ options: { gpus } }: Planned): RunCheck[] {
  const { count } = gpusOf(gpus);
  if (count <= 1) return [];
  const idle = formatNumber(count - 1, 'GPU');
  return [warning('scheduler', `--gpus ${gpus}: a task uses one GPU; ${idle} of each would stand idle.`)];
}

/** The machine of a task: with the main memory that it asks for, or the default of the cluster. */
export async function machineOf(options: ClusterOptions): Promise<OtherMachine> {
  if (gpusOf(options.gpus).count > 0) return { hasGpu: true, mainMemory: null };
  return { hasGpu: false, mainMemory: askedMemory(options) ?? (await defaultMemory(options)) };
}

async function defaultMemory(options: ClusterOptions): Promise<AvailableMemory | null> {
  const groups = await readPartitions();
  const [group] = groups === null ? [] : groupsOf(options, { groups });
  if (group === undefined) return null;
  const bytes = await readDefaultMemory(group.partition, cpusOf(options));
  const why = `the default of the partition ${group.partition}: ask for more with --mem`;
  return bytes === null ? null : memoryOfTask(bytes, why);
}

/** Lets Slurm check the script: accounts, qualities of service, and all together. */
async function askSlurm(planned: Planned, cluster: Cluster): Promise<RunCheck> {
  const { options, tasks } = planned;
  const refusal = await refusalOfSlurm(planned);
  if (refusal === null) {
    const names = listNames([...new Set(groupsOf(options, cluster).map(({ partition }) => partition))]);
    return passed('scheduler', `Slurm takes ${formatNumber(tasks, 'task')} in the partition ${names}`);
  }
  const culprits = await refusedOptions(planned, refusal);
  const command = shellWords(['sbatch', '--test-only', 'slurm.sh']);
  const what = culprits.length === 0 ? `the script (${command})` : listNames(culprits);
  return problem('scheduler', `Slurm would refuse ${what}: ${refusal}.`);
}
