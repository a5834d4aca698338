import type { Job, PodFailurePolicy } from 'kubernetes-types/batch/v1.js';
import type { PodSpec } from 'kubernetes-types/core/v1.js';
import { stringify } from 'yaml';
import { shellWords } from '../../support/format.js';
import { type ClusterOptions, cpusOf, gpusOf, memBytes } from '../cluster-options.js';
import type { JobDescription, Task } from '../job.js';
import { parseTimeLimit } from '../slurm/time-limit.js';

/** Name of the only container of a pod. */
const CONTAINER = 'fcn';

/** Starts of a task that end with a code or signal that nothing here explains, such as for lack of memory. */
const MOST_UNEXPLAINED = 3;

/** Seconds between SIGTERM and SIGKILL: fcn saves within ten, and a slow disk may take longer. */
const GRACE_SECONDS = 120;

/** What follows the end of a pod; the first rule that fits counts. Anything else counts against `MOST_UNEXPLAINED`. */
const FAILURE_POLICY: PodFailurePolicy = {
  rules: [
    // The same command would fail again; the other tasks go on.
    { action: 'FailIndex', onExitCodes: { containerName: CONTAINER, operator: 'In', values: [1, 2, 3] } },
    // Interrupted with its state saved.
    { action: 'Ignore', onExitCodes: { containerName: CONTAINER, operator: 'In', values: [75] } },
    // Preempted, evicted, or its node was lost.
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  ],
};

/** How many arguments after the row are the same in all tasks, from the first on. */
function countShared(tasks: readonly Task[]): number {
  const [first = [], ...others] = tasks.map(({ arguments: words }) => words.slice(2));
  const different = first.findIndex((word, i) => others.some((words) => words[i] !== word));
  return different < 0 ? first.length : different;
}

/**
 * A shell script that becomes the command of this pod's task, so that signals reach it: what tasks share stands there once. A later pod of
 * the same index resumes its run.
 */
function podScript(tasks: readonly Task[], { time }: Pick<ClusterOptions, 'time'>): string {
  const limit = time === undefined ? null : parseTimeLimit(String(time));
  const count = countShared(tasks);
  const [command = '', , ...words] = tasks[0]!.arguments;
  const cases = tasks.map(({ index, arguments: [, row = '', ...own] }) => {
    const rest = own.slice(count);
    return `${index}) row=${shellWords([row])}${rest.length === 0 ? '' : `; set -- ${shellWords(rest)}`} ;;`;
  });
  const shared = shellWords(words.slice(0, count));
  const last = [...(limit === null ? [] : [`--time-limit=${limit}s`]), '--resume'].join(' ');
  return [
    'case "$JOB_COMPLETION_INDEX" in',
    ...cases,
    'esac',
    `exec fcn ${command} "$row" ${shared} "$@" ${last}`,
    '',
  ].join('\n');
}

function resourcesOf(options: ClusterOptions): Readonly<Record<string, string>> {
  const { mem, gpus } = options;
  const { count } = gpusOf(gpus);
  return {
    cpu: String(cpusOf(options)),
    ...(mem !== undefined && { memory: `${Math.ceil(memBytes(mem) / 2 ** 20)}Mi` }),
    ...(count > 0 && { 'nvidia.com/gpu': String(count) }),
  };
}

function podSpec({ tasks, environment }: JobDescription, options: ClusterOptions): PodSpec {
  const { image = 'IMAGE', volumes = [] } = options.kubernetes ?? {};
  const resources = resourcesOf(options);
  const names = volumes.map((_, i) => `volume-${i}`);
  return {
    // Required by podFailurePolicy: the Job starts another pod instead.
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: GRACE_SECONDS,
    containers: [
      {
        name: CONTAINER,
        image,
        command: ['/bin/sh', '-c', podScript(tasks, options)],
        env: Object.entries(environment).map(([name, value]) => ({ name, value })),
        // Equal: the number of threads and the memory do not depend on the node.
        resources: { requests: resources, limits: resources },
        volumeMounts: volumes.map(({ path: mountPath }, i) => ({ name: names[i]!, mountPath })),
      },
    ],
    volumes: volumes.map(({ claim }, i) => ({ name: names[i]!, persistentVolumeClaim: { claimName: claim } })),
  };
}

/** "2026-11-30T02:23:06.123Z" → "fcn-20261130-022306". */
const nameOf = ({ submittedAt }: JobDescription) =>
  `fcn-${submittedAt.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}`;

/**
 * An Indexed Job of batch/v1, as YAML: a pod for each task. Needs Kubernetes 1.29, where backoffLimitPerIndex is on. The compiler refuses
 * fields that the types do not have, which are made from the published OpenAPI document of 1.30. Source of what they mean:
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
 */
export function manifestOf(job: JobDescription, options: ClusterOptions): string {
  const { maxParallel, kubernetes } = options;
  const count = job.tasks.length;
  const manifest: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: nameOf(job), ...(kubernetes?.namespace && { namespace: kubernetes.namespace }) },
    spec: {
      completionMode: 'Indexed',
      completions: count,
      parallelism: Math.min(maxParallel ?? count, count),
      backoffLimitPerIndex: MOST_UNEXPLAINED,
      podFailurePolicy: FAILURE_POLICY,
      template: { spec: podSpec(job, options) },
    },
  };
  // No anchors: a person may edit it.
  return stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false });
}
