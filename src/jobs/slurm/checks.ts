import os from 'node:os';
import type { CheckedRun } from '../../runs/checks.js';
import type { OtherMachine } from '../../runs/machine-checks.js';
import { type CommandWith, passed, type RunCheck } from '../../runs/run-check.js';
import type { AvailableMemory } from '../../support/available-memory.js';
import { formatBytes, formatNumber, formatSeconds, listNames, shellWords } from '../../support/format.js';
import { nearest } from '../../support/suggest.js';
import { askedMemory, type ClusterOptions, cpusOf, gpusOf, memBytes, memoryOfTask } from '../cluster-options.js';
import { engineChecks } from './engine-checks.js';
import { problem, warning } from './findings.js';
import { folderChecks } from './folder-checks.js';
import {
  type NodeGroup,
  type NodeKind,
  readDefaultMemory,
  readMaxArraySize,
  readNodes,
  readPartitions,
} from './partitions.js';
import { callSlurm, sbatchEnvironment } from './programs.js';
import { givenOptions, slurmScript } from './script.js';
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
  /** RUNS/jobs/ID, absolute; ID need not be known yet. */
  readonly folder: string;
  readonly tasks: number;
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
  const { options, folder } = planned;
  const found = [
    ...arrayChecks(planned, cluster),
    ...partitionChecks(planned, cluster),
    ...nodeChecks(planned, cluster),
    ...(await engineChecks(options, nodesOf(options, cluster), checked)),
    ...(await folderChecks(folder, nodesOf(options, cluster))),
  ];
  // What Slurm itself says comes last: it stops at the first thing that is wrong, in few words.
  const isRefused = found.some(({ name, state }) => name === 'scheduler' && state === 'missing');
  if (!isRefused) return [...found, await askSlurm(planned, cluster)];
  const { account, qos, sbatch } = options;
  const rest = await askSlurm({ ...planned, tasks: 1, options: { account, qos, sbatch } }, cluster);
  return rest.state === 'ok' ? found : [...found, rest];
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

function partitionChecks({ options, commandWith }: Planned, cluster: Cluster): RunCheck[] {
  const known = [...new Set(cluster.groups.map(({ partition }) => partition))];
  const unknown = (options.partition?.split(',') ?? []).filter((name) => !known.includes(name));
  const missing = unknown.map((name) => {
    const meant = nearest(name, known);
    const text = `There is no partition ${name}. Known: ${listNames(known)}.`;
    return problem('scheduler', text, ...(meant === undefined ? [] : [commandWith(['--partition', meant])]));
  });
  const groups = groupsOf(options, cluster);
  if (options.partition === undefined && groups.length === 0) {
    return [
      problem(
        'scheduler',
        `This cluster has no default partition. Known: ${listNames(known)}.`,
        commandWith(['--partition', 'NAME']),
      ),
    ];
  }
  return [
    ...missing,
    ...(groups.length === 0 ? [] : [...downChecks(groups), ...timeChecks({ options, commandWith }, groups)]),
  ];
}

function downChecks(groups: readonly NodeGroup[]): RunCheck[] {
  if (groups.some(({ isUp }) => isUp)) return [];
  const names = listNames([...new Set(groups.map(({ partition }) => partition))]);
  return [warning('scheduler', `The partition ${names} is down: tasks wait until it is up again.`)];
}

/** Slurm accepts a longer time than the partition's, and never starts the job. */
function timeChecks(
  { options: { time }, commandWith }: Pick<Planned, 'options' | 'commandWith'>,
  groups: readonly NodeGroup[],
): RunCheck[] {
  const limits = groups.map(({ mostSeconds }) => mostSeconds ?? Number.POSITIVE_INFINITY);
  const most = Math.max(...limits);
  const asked = time === undefined ? null : parseTimeLimit(String(time));
  if (asked === null || asked <= most) return [];
  const text =
    `--time ${time} (${formatSeconds(asked)}) is more than the partition ${groups[0]!.partition} allows: ` +
    `${formatSeconds(most)}. A task that is not done in that time is resumed.`;
  return [problem('scheduler', text, commandWith(['--time', formatLimit(most)]))];
}

/** Seconds as Slurm writes a limit, rounded down to minutes. */
function formatLimit(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:00`;
}

/** Names each thing that is asked for and that no node has. Whether one has all of them, Slurm says. */
function nodeChecks({ options, commandWith }: Planned, cluster: Cluster): RunCheck[] {
  const groups = groupsOf(options, cluster);
  if (groups.length === 0) return [];
  const { mem, gpus, constraint, nodes = 1 } = options;
  const [cpus, bytes, wanted] = [cpusOf(options), mem === undefined ? 0 : memBytes(mem), gpusOf(gpus)];
  const most = (of: (group: NodeGroup) => number) => Math.max(...groups.map(of));
  const gpuCount = (group: NodeGroup) =>
    group.gpus.reduce((sum, { type, count }) => sum + (wanted.type === null || wanted.type === type ? count : 0), 0);
  const features = new Set(groups.flatMap((group) => group.features));
  const lacking = (constraint?.match(/[\w.:+/@-]+/g) ?? []).filter(
    (name) => /^[a-z]/i.test(name) && !features.has(name),
  );
  const where = `a node of the partition ${listNames([...new Set(groups.map(({ partition }) => partition))])}`;
  const found: RunCheck[] = [];
  const says = (text: string, ...next: string[]) => found.push(problem('scheduler', text, ...next));
  const mostCpus = most((group) => group.cpus);
  if (cpus > mostCpus)
    says(`--cpus ${cpus}, but ${where} has at most ${mostCpus}.`, commandWith(['--cpus', String(mostCpus)]));
  const mostBytes = most((group) => group.memory);
  if (bytes > mostBytes) {
    const mebibytes = Math.floor(mostBytes / 2 ** 20);
    says(`--mem ${mem}, but ${where} has at most ${formatBytes(mostBytes)}.`, commandWith(['--mem', `${mebibytes}M`]));
  }
  const mostGpus = most(gpuCount);
  if (wanted.count > mostGpus) {
    const kind = wanted.type === null ? '' : ` of the type ${wanted.type}`;
    says(`--gpus ${gpus}, but ${where} has ${mostGpus === 0 ? 'none' : `at most ${mostGpus}`}${kind}.`);
  }
  if (lacking.length > 0) {
    const known = features.size === 0 ? 'They have none.' : `They have: ${listNames([...features])}.`;
    says(`No node has ${listNames(lacking)}, which --constraint asks for. ${known}`);
  }
  if (nodes > 1) {
    const idle = formatNumber(nodes - 1, 'node');
    found.push(warning('scheduler', `--nodes ${nodes}: a task uses one node; ${idle} of each would stand idle.`));
  }
  if (wanted.count > 1) {
    const idle = formatNumber(wanted.count - 1, 'GPU');
    found.push(warning('scheduler', `--gpus ${gpus}: a task uses one GPU; ${idle} of each would stand idle.`));
  }
  return found;
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
async function askSlurm({ options, folder, tasks }: Planned, cluster: Cluster): Promise<RunCheck> {
  const { outcome, message } = await callSlurm('sbatch', ['--test-only'], {
    input: slurmScript(options, folder, tasks),
    environment: sbatchEnvironment(givenOptions(options), process.env),
    cwd: os.tmpdir(),
  });
  if (outcome !== 'success') {
    const command = shellWords(['sbatch', '--test-only', 'slurm.sh']);
    return problem('scheduler', `Slurm would refuse the script (${command}): ${message === '' ? outcome : message}.`);
  }
  const names = listNames([...new Set(groupsOf(options, cluster).map(({ partition }) => partition))]);
  return passed('scheduler', `Slurm takes ${formatNumber(tasks, 'task')} in the partition ${names}`);
}
