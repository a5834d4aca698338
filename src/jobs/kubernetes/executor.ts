import path from 'node:path';
import type { RunCheck } from '../../runs/run-check.js';
import { UserError } from '../../support/errors.js';
import { listNames } from '../../support/format.js';
import { askedMemory, gpusOf, readClusterOptions } from '../cluster-options.js';
import type { Executor } from '../executor.js';
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

  async machineOf(options) {
    const asked = readClusterOptions(options);
    const hasGpu = gpusOf(asked.gpus).count > 0;
    return { hasGpu, mainMemory: hasGpu ? null : askedMemory(asked) };
  },

  async check(job) {
    return [imageCheck(job), ...folderCheck(job), ...freshCheck(job)].filter((check) => check !== null);
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
  identify: () => ({}),
};

function imageCheck({ options }: JobDescription): RunCheck | null {
  if (readClusterOptions(options).kubernetes?.image !== undefined) return null;
  const text = 'A pod needs an image with fcn on its path: kubernetes.image in the cluster file.';
  return { name: 'scheduler', state: 'missing', text, next: '--cluster FILE.yaml' };
}

/** Folders in the arguments of the tasks that no volume brings into the pods. */
function folderCheck({ options, tasks }: JobDescription): RunCheck[] {
  const { volumes = [] } = readClusterOptions(options).kubernetes ?? {};
  const isMounted = (folder: string) =>
    volumes.some(({ path: mount }) => !path.relative(mount, folder).startsWith('..'));
  const named = tasks.flatMap(({ arguments: words }) =>
    words.map((word) => word.replace(/^--[\w-]+=/, '')).filter((word) => path.isAbsolute(word)),
  );
  const missing = [...new Set(named)].filter((folder) => !isMounted(folder));
  if (missing.length === 0) return [];
  const text = `No volume of the cluster file (kubernetes.volumes) holds ${listNames(missing)}: pods would not see it.`;
  return [{ name: 'folders', state: 'missing', text, next: '--cluster FILE.yaml' }];
}

function freshCheck({ tasks }: JobDescription): RunCheck[] {
  if (tasks.every(({ begin }) => begin === 'resume')) return [];
  const text = '--fresh would begin anew in each pod of a task: pods resume the newest run of the recipe.';
  return [{ name: 'scheduler', state: 'missing', text, next: null }];
}
