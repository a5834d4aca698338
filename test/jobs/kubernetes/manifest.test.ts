import { spawnSync } from 'node:child_process';
import test from 'ava';
import type { Job } from 'kubernetes-types/batch/v1.js';
import { parse } from 'yaml';
import { z } from 'zod';
import { clusterOptions } from '../../../src/jobs/cluster-options.js';
import type { JobDescription } from '../../../src/jobs/job.js';
import { kubernetesExecutor } from '../../../src/jobs/kubernetes/executor.js';
import { manifestOf } from '../../../src/jobs/kubernetes/manifest.js';

/** Names of objects: RFC 1123 labels. */
const label = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
  .max(63);
/** Amounts of resources. */
const quantity = z.record(z.string(), z.string().regex(/^\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?$/));
const count = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);

/**
 * The part of batch/v1 Job that a manifest of ours may use, with the conditions that the API documents in words: written from
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/ and pod-v1 (1.33). Anything else is refused, as by a
 * server with strict field validation.
 */
const podFailureRule = z.xor([
  z.strictObject({
    action: z.enum(['FailJob', 'FailIndex', 'Ignore', 'Count']),
    onExitCodes: z.strictObject({
      containerName: label.optional(),
      operator: z.enum(['In', 'NotIn']),
      // Ordered, without duplicates; 0 is not allowed for In.
      values: z
        .array(
          z
            .int()
            .min(1)
            .max(2 ** 31 - 1),
        )
        .min(1)
        .max(255)
        .refine((values) => values.every((value, i) => i === 0 || value > values[i - 1]!)),
    }),
  }),
  z.strictObject({
    action: z.enum(['FailJob', 'FailIndex', 'Ignore', 'Count']),
    onPodConditions: z
      .array(z.strictObject({ type: z.string().min(1), status: z.enum(['True', 'False', 'Unknown']) }))
      .min(1)
      .max(20),
  }),
]);

const container = z.strictObject({
  name: label,
  image: z.string().min(1),
  command: z.array(z.string()).min(1),
  env: z.array(z.strictObject({ name: z.string().regex(/^[A-Za-z_.-][\w.-]*$/), value: z.string() })),
  resources: z.strictObject({ requests: quantity, limits: quantity }),
  volumeMounts: z.array(z.strictObject({ name: label, mountPath: z.string().regex(/^[^:]+$/) })),
});

const podSpec = z
  .strictObject({
    restartPolicy: z.enum(['Never', 'OnFailure']),
    terminationGracePeriodSeconds: count,
    containers: z.array(container).min(1),
    volumes: z.array(
      z.strictObject({ name: label, persistentVolumeClaim: z.strictObject({ claimName: z.string().min(1) }) }),
    ),
  })
  .refine(({ containers, volumes }) =>
    containers.every(({ volumeMounts }) => volumeMounts.every(({ name }) => volumes.some((one) => one.name === name))),
  );

const jobSchema = z.strictObject({
  apiVersion: z.literal('batch/v1'),
  kind: z.literal('Job'),
  metadata: z.strictObject({ name: label, namespace: label.optional() }),
  spec: z
    .strictObject({
      completionMode: z.enum(['NonIndexed', 'Indexed']),
      completions: count,
      parallelism: count.max(100_000),
      backoffLimitPerIndex: count.optional(),
      podFailurePolicy: z.strictObject({ rules: z.array(podFailureRule).max(20) }).optional(),
      template: z.strictObject({ spec: podSpec }),
    })
    .refine(({ backoffLimitPerIndex, completionMode, template }) => {
      return (
        backoffLimitPerIndex === undefined || (completionMode === 'Indexed' && template.spec.restartPolicy === 'Never')
      );
    })
    .refine(({ podFailurePolicy, template, backoffLimitPerIndex }) => {
      const { rules = [] } = podFailurePolicy ?? {};
      const failsIndex = rules.some(({ action }) => action === 'FailIndex');
      return (
        rules.length === 0 ||
        (template.spec.restartPolicy === 'Never' && (!failsIndex || backoffLimitPerIndex !== undefined))
      );
    }),
});

const options = {
  ...{ cpus: 8, mem: '32G', gpus: 1, maxParallel: 4, time: '1:00:00', sbatch: [] },
  kubernetes: { image: 'fcn:1', namespace: 'vision', volumes: [{ claim: 'data', path: '/data' }] },
};

const task = (index: number, row: string) => ({
  ...{ index, row, seed: index, recipe: 'x', begin: 'resume' as const },
  arguments: ['reproduce', row, '--runs=/data/runs', `--seed=${index}`],
});

const HOSTILE = "row'; touch broken; '$(id)\nesac";

const description: JobDescription = {
  ...{ format: 1, submittedAt: '2026-11-30T02:23:06.123Z', executor: 'kubernetes', command: [], workingFolder: '/' },
  ...{ options, environment: { TF_NUM_INTRAOP_THREADS: '8' } },
  tasks: [task(0, 'row_a'), task(1, HOSTILE)],
};

const manifest = jobSchema.parse(parse(manifestOf(description, options)));

test('the manifest is a Job of batch/v1', (t) => {
  t.is(manifest.metadata.name, 'fcn-20261130-022306');
  t.like(manifest.spec, { completionMode: 'Indexed', completions: 2, parallelism: 2 });
  const [only] = manifest.spec.template.spec.containers;
  t.deepEqual(only?.resources.limits, { cpu: '8', memory: '32768Mi', 'nvidia.com/gpu': '1' });
  // The schema of the test refuses what the API would.
  const { spec } = manifest;
  t.false(jobSchema.safeParse({ ...manifest, spec: { ...spec, backoffLimitPerIndex: undefined } }).success);
  t.false(jobSchema.safeParse({ ...manifest, spec: { ...spec, completionMode: 'NonIndexed' } }).success);
});

test('a field that the API does not have is refused, by the schema and by the compiler', (t) => {
  const { spec } = manifest;
  const [container] = spec.template.spec.containers;
  const [rule] = spec.podFailurePolicy!.rules;
  const podSpec = (changed: object) => ({
    spec: { ...spec, template: { spec: { ...spec.template.spec, ...changed } } },
  });
  const wrong: readonly object[] = [
    { spec: { ...spec, completion: 2 } },
    { spec: { ...spec, completions: '2' } },
    { spec: { ...spec, podFailurePolicy: { rules: [{ ...rule, onExitCode: {} }] } } },
    podSpec({ containers: [{ ...container, resource: {} }] }),
    podSpec({ containers: [{ ...container, volumeMounts: [{ name: 'volume-0', path: '/data' }] }] }),
    podSpec({ volumes: [{ name: 'volume-0', persistentVolumeClaim: { claim: 'data' } }] }),
    podSpec({ restartPolicy: 'OnFailure' }),
  ];
  for (const change of wrong) t.false(jobSchema.safeParse({ ...manifest, ...change }).success, JSON.stringify(change));
  // What keeps src/jobs/kubernetes/manifest.ts from compiling.
  // @ts-expect-error: completion is no field of the published types.
  const misspelt: Job = { spec: { completion: 2, template: {} } };
  t.false(jobSchema.safeParse(misspelt).success);
});

test('75 and disruptions are retried without a count; 1, 2 and 3 fail their index alone', (t) => {
  const { rules } = manifest.spec.podFailurePolicy!;
  const actionOf = (code: number) =>
    rules.find((rule) => 'onExitCodes' in rule && rule.onExitCodes.values.includes(code))?.action;
  t.deepEqual([1, 2, 3, 75, 137].map(actionOf), ['FailIndex', 'FailIndex', 'FailIndex', 'Ignore', undefined]);
  t.true(rules.some((rule) => 'onPodConditions' in rule && rule.action === 'Ignore'));
});

test('each pod becomes the command of its task, whatever a row is called', (t) => {
  const [shell, ...words] = manifest.spec.template.spec.containers[0]!.command;
  const script = words.at(-1)!.replaceAll('exec fcn', "printf '%s|'");
  const run = (index: number) =>
    spawnSync(shell!, ['-c', script], { encoding: 'utf8', env: { JOB_COMPLETION_INDEX: String(index) } }).stdout;
  t.is(run(0), 'reproduce|row_a|--runs=/data/runs|--seed=0|--time-limit=3600s|--resume|');
  t.is(run(1), `reproduce|${HOSTILE}|--runs=/data/runs|--seed=1|--time-limit=3600s|--resume|`);
});

test('what tasks share stands in the script once, and arguments keep their order', (t) => {
  const tasks = ['a', 'b'].map((row, index) => ({
    ...task(index, row),
    arguments: ['reproduce', row, '--set=x=1', '--runs=/data/runs', `--seed=${index}`, '--set=x=2'],
  }));
  const text = manifestOf({ ...description, tasks }, options);
  t.notRegex(text, /&a1/);
  const { command } = jobSchema.parse(parse(text)).spec.template.spec.containers[0]!;
  const script = command.at(-1)!;
  t.is(script.split('--runs=').length, 2);
  const { stdout } = spawnSync('/bin/sh', ['-c', script.replace('exec fcn', "printf '%s|'")], {
    encoding: 'utf8',
    env: { JOB_COMPLETION_INDEX: '1' },
  });
  t.is(stdout, 'reproduce|b|--set=x=1|--runs=/data/runs|--seed=1|--set=x=2|--time-limit=3600s|--resume|');
});

test('what a pod would lack is named before', async (t) => {
  const lacking = { ...description, options: await clusterOptions(undefined, {}) };
  const checks = await kubernetesExecutor.check(lacking, [], {} as Parameters<typeof kubernetesExecutor.check>[2]);
  t.deepEqual(
    checks.map(({ name, state }) => [name, state]),
    [
      ['scheduler', 'missing'],
      ['folders', 'missing'],
    ],
  );
  t.is(checks[1]!.next, '--cluster FILE.yaml');
  t.regex(
    checks[1]!.text,
    /see \/data\/runs, which .* in the cluster file, .*: volumes: \[ \{ claim: CLAIM, path: \/data\/runs \} \]$/,
  );
  const volumes = [{ claim: 'work', path: '/work' }];
  const given = { ...description, options: { ...options, kubernetes: { image: 'fcn:1', volumes } } };
  const origins = new Map([['kubernetes', 'k.yaml:5']]);
  const ofFile = { origins } as unknown as Parameters<typeof kubernetesExecutor.check>[2];
  const [folders] = await kubernetesExecutor.check(given, [], ofFile);
  t.regex(
    folders!.text,
    /below kubernetes \(k\.yaml:5\), .*: volumes: \[ \{ claim: work, path: \/work \}, \{ claim: CLAIM,/,
  );
  t.is(folders!.next, null, 'a file is given');
  t.deepEqual(
    await kubernetesExecutor.check(description, [], {} as Parameters<typeof kubernetesExecutor.check>[2]),
    [],
  );
});

test('it only prints', async (t) => {
  const context = { signal: new AbortController().signal, note: () => {} };
  await t.throwsAsync(kubernetesExecutor.submit({ ...description, id: '1', folder: '/', runs: '/' }, context), {
    message: /submits none/,
  });
});
