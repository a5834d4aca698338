import { callSlurm } from './programs.js';
import { parseTimeLimit } from './time-limit.js';

/** Nodes of a partition that are alike. */
export interface NodeGroup {
  readonly partition: string;
  /** Whether jobs that name no partition go there. */
  readonly isDefault: boolean;
  readonly isUp: boolean;
  /** Longest time limit in seconds; null if there is none. */
  readonly mostSeconds: number | null;
  /** Processors of a node. */
  readonly cpus: number;
  /** Main memory of a node, bytes. */
  readonly memory: number;
  readonly nodes: number;
  /** Features that --constraint may name. */
  readonly features: readonly string[];
  /** GPUs of a node, by type; the type is empty if the cluster names none. */
  readonly gpus: readonly { readonly type: string; readonly count: number }[];
}

/** A separator that no field of the administrator's has. */
const SEPARATOR = '\u001f';
/** Partition (with an asterisk if it is the default), availability, time, processors, MiB, nodes, features, generic resources. */
const FIELDS = ['%P', '%a', '%l', '%c', '%m', '%D', '%f', '%G'] as const;

/** "gpu:a100:4(S:0-1),gpu:2" → a100: 4, "": 2. */
export function parseGpus(gres: string): NodeGroup['gpus'] {
  return [...gres.matchAll(/(?:^|,)gpu:(?:([^:,(]+):)?(\d+)/g)].map(([, type = '', count]) => ({
    type,
    count: Number(count),
  }));
}

/** The lines of sinfo, in the fields above. Only administrators choose what they hold. */
export function parsePartitions(text: string): NodeGroup[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(SEPARATOR);
    const [partition = '', available, time = '', cpus = '', memory = '', nodes, features = '', gres = ''] = fields;
    if (fields.length !== FIELDS.length) return [];
    return [
      {
        partition: partition.replace(/\*$/, ''),
        isDefault: partition.endsWith('*'),
        isUp: available === 'up',
        mostSeconds: parseTimeLimit(time),
        // A plus sign means that some nodes have more.
        cpus: Number.parseInt(cpus, 10),
        memory: Number.parseInt(memory, 10) * 2 ** 20,
        nodes: Number(nodes),
        features: features === '(null)' ? [] : features.split(','),
        gpus: parseGpus(gres),
      },
    ];
  });
}

/** All partitions and the kinds of their nodes; null if sinfo cannot say. */
export async function readPartitions(): Promise<NodeGroup[] | null> {
  // --exact: a line for each kind of nodes.
  const format = FIELDS.join(SEPARATOR);
  const { outcome, stdout } = await callSlurm('sinfo', ['--all', '--exact', '--noheader', `--format=${format}`]);
  return outcome === 'success' ? parsePartitions(stdout) : null;
}

/** Array indices must be below it, by `scontrol show config`; null if the controller cannot be asked. */
export async function readMaxArraySize(): Promise<number | null> {
  const { outcome, stdout } = await callSlurm('scontrol', ['show', 'config']);
  const size = /^MaxArraySize\s*= (\d+)/m.exec(stdout)?.[1];
  return outcome === 'success' && size !== undefined ? Number(size) : null;
}

/** Bytes by `DefMemPerNode=2000` or `DefMemPerCPU=500`, in MiB; null if a text has neither. */
export function parseDefaultMemory(text: string, cpus: number): number | null {
  const value = (name: string) => new RegExp(`\\b${name}\\s*=\\s*(\\d+)`).exec(text)?.[1];
  const [perNode, perCpu] = [value('DefMemPerNode'), value('DefMemPerCPU')];
  if (perCpu !== undefined) return Number(perCpu) * cpus * 2 ** 20;
  return perNode === undefined ? null : Number(perNode) * 2 ** 20;
}

/** Bytes of main memory that a partition gives to who asks for none; null if it is not limited, or unknown. */
export async function readDefaultMemory(partition: string, cpus: number): Promise<number | null> {
  const ofPartition = await callSlurm('scontrol', ['--oneliner', 'show', 'partition', partition]);
  const ofCluster = await callSlurm('scontrol', ['show', 'config']);
  return parseDefaultMemory(ofPartition.stdout, cpus) ?? parseDefaultMemory(ofCluster.stdout, cpus);
}

/** A node's name and processor. */
export interface NodeKind {
  readonly name: string;
  /** As `uname -m` says it; null for a node that has not reported yet. */
  readonly architecture: string | null;
  readonly partitions: readonly string[];
}

/** "NodeName=n1 Arch=x86_64 …" lines of `scontrol --oneliner show nodes`. */
export function parseNodes(text: string): NodeKind[] {
  return text.split('\n').flatMap((line) => {
    const name = /^NodeName=(\S+)/.exec(line)?.[1];
    if (name === undefined) return [];
    return [
      {
        name,
        architecture: / Arch=(\S+)/.exec(line)?.[1] ?? null,
        partitions: / Partitions=(\S+)/.exec(line)?.[1]?.split(',') ?? [],
      },
    ];
  });
}

/** All nodes; null if the controller cannot be asked. */
export async function readNodes(): Promise<NodeKind[] | null> {
  const { outcome, stdout } = await callSlurm('scontrol', ['--oneliner', 'show', 'nodes']);
  return outcome === 'success' ? parseNodes(stdout) : null;
}
