import path from 'node:path';
import { stringify } from 'yaml';
import { flagsAlone, type RunCheck } from '../../runs/run-check.js';
import { UserError } from '../../support/errors.js';
import { listNames } from '../../support/format.js';
import { askedMemory, gpusOf, readClusterOptions } from '../cluster-options.js';
import { type Executor, type JobCheckOptions, onOneMachine } from '../executor.js';
import type { JobDescription } from '../job.js';
import { manifestOf } from './manifest.js';

/** Only prints: kubectl submits. */
const ONLY_PRINTS = new UserError(
  'fcn writes manifests for Kubernetes, and submits none.',
  'Add --dry-run, save what it prints, and give it to kubectl apply -f.',
);

const refuse = async (): Promise<never> => {
  throw ONLY_PRINTS;
};

/** Prints an Indexed Job; its pods are the business of Kubernetes. */
export const kubernetesExecutor: Executor = {
  name: 'kubernetes',
  signalsAll: false,
  isForeground: false,
  onlyDescribes: ONLY_PRINTS,

  async machineOf(options) {
    const asked = readClusterOptions(options);
    const hasGpu = gpusOf(asked.gpus).count > 0;
    return { hasGpu, mainMemory: hasGpu ? null : askedMemory(asked) };
  },

  processesOf: (_, asked) => onOneMachine(asked),
  srunPlugin: async () => null,

  async check(job, _, options) {
    return [imageCheck(job, options), ...folderCheck(job, options), ...freshCheck(job), ...nodesCheck(job)].filter(
      (check) => check !== null,
    );
  },

  async describe(job) {
    return manifestOf(job, readClusterOptions(job.options));
  },

  submit: refuse,
  retry: refuse,
  cancel: refuse,
  again: refuse,
  // No job of this executor has a folder.
  queue: async () => null,
  schedulerIds: async () => [],
  identify: () => ({}),
};

/** The command with a cluster file, unless there is one already: then the file lacks something. */
function nextOf({ origins = new Map(), commandWith = flagsAlone }: JobCheckOptions): string | null {
  return origins.size > 0 ? null : commandWith(['--cluster', 'FILE.yaml']);
}

function imageCheck({ options }: JobDescription, asked: JobCheckOptions): RunCheck | null {
  if (readClusterOptions(options).kubernetes?.image !== undefined) return null;
  const text = 'A pod needs an image with fcn on its path: kubernetes.image in the cluster file.';
  return { name: 'scheduler', state: 'missing', text, next: nextOf(asked) };
}

const isBelow = (folder: string, parent: string) => !path.relative(parent, folder).startsWith('..');

/** Folders in the arguments of the tasks that no volume brings into the pods. */
function folderCheck({ options, tasks }: JobDescription, asked: JobCheckOptions): RunCheck[] {
  const { volumes = [] } = readClusterOptions(options).kubernetes ?? {};
  const named = tasks.flatMap(({ arguments: words }) =>
    words.map((word) => word.replace(/^--[\w-]+=/, '')).filter((word) => path.isAbsolute(word)),
  );
  const missing = [...new Set(named)].filter((folder) => !volumes.some((volume) => isBelow(folder, volume.path)));
  if (missing.length === 0) return [];
  const mounts = missing.filter((folder) => !missing.some((other) => other !== folder && isBelow(folder, other)));
  const entries = [...volumes, ...mounts.map((mount) => ({ claim: 'CLAIM', path: mount }))];
  const line = stringify({ volumes: entries }, { collectionStyle: 'flow', lineWidth: 0 }).trim().slice(1, -1).trim();
  const origin = asked.origins?.get('kubernetes');
  const where = origin === undefined ? 'in the cluster file, below kubernetes' : `below kubernetes (${origin})`;
  const text = `Pods would not see ${listNames(missing)}, which no volume holds. Write ${where}, with the names of your claims: ${line}`;
  return [{ name: 'folders', state: 'missing', text, next: nextOf(asked) }];
}

function freshCheck({ tasks }: JobDescription): RunCheck[] {
  if (tasks.every(({ begin }) => begin === 'resume')) return [];
  const text = '--fresh would begin anew in each pod of a task: pods resume the newest run of the recipe.';
  return [{ name: 'scheduler', state: 'missing', text, next: null }];
}

function nodesCheck({ options }: JobDescription): RunCheck[] {
  const { nodes = 1 } = readClusterOptions(options);
  if (nodes === 1) return [];
  const text = `nodes is ${nodes}, but a pod is on one node. Leave it out; --processes divides a run within the pod.`;
  return [{ name: 'scheduler', state: 'missing', text, next: null }];
}
