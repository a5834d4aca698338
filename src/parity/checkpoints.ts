import { readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../support/errors.js';
import { type Checkpoint, readCheckpoint } from '../weights/load.js';
import type { StoredTensor } from '../weights/tensor.js';
import { Collector, type Findings, Worst } from './check.js';
import type { ReferenceFolder } from './reference-set.js';
import { TOLERANCES } from './tolerances.js';

const tensorSchema = z.object({
  shape: z.array(z.int().min(0)),
  dtype: z.string(),
  sum: z.number(),
  abs_sum: z.number(),
  /** Σ v[i]·(1 + i mod 7), row-major. */
  weighted: z.number(),
  first: z.number().nullable(),
  last: z.number().nullable(),
});

const factsSchema = z.object({
  file: z.string(),
  format: z.enum(['zip', 'legacy']),
  /** Prefix of every name in the file; reading drops it. */
  key_prefix: z.string(),
  meta: z.object({ epoch: z.int(), iter: z.int(), classes: z.array(z.string()) }).optional(),
  state_dict: z.record(z.string(), tensorSchema),
});

type Facts = z.infer<typeof factsSchema>;

/** Compares the content of checkpoints with the reference, and tries to read the hostile ones. */
export async function checkpointChecks(folder: ReferenceFolder): Promise<Findings> {
  const findings = new Collector('checkpoints');
  for (const name of folder.list().files.filter((file) => file.endsWith('.json'))) {
    const facts = folder.json(name, factsSchema);
    const quantity = name.replace(/\.json$/, '');
    if (!folder.has(facts.file)) {
      findings.missing(quantity);
      continue;
    }
    const checkpoint = await readCheckpoint(folder.file(facts.file));
    findings.add(quantity, TOLERANCES.tensorFacts, wrongFacts(checkpoint, facts));
    findings.add(`${quantity}, sums`, TOLERANCES.tensorSums, wrongSums(checkpoint, facts));
  }
  const hostile = folder.folder('malicious');
  if (hostile.has('expected.json')) await tryHostile(hostile, findings);
  else findings.missing('hostile files');
  return findings;
}

/** Values without loss: float64 is not narrowed to float32. */
function valuesOf(tensor: StoredTensor): ArrayLike<number> {
  if (tensor.dtype !== 'float64') return tensor.toFloat32();
  return new Float64Array(Uint8Array.from(tensor.bytes()).buffer);
}

/** Counts differences from the reference: format, names in order, metadata; type, shape and end values of each tensor. */
function wrongFacts(checkpoint: Checkpoint, facts: Facts): Worst {
  const wrong: string[] = [];
  const expect = (holds: boolean, what: string) => {
    if (!holds) wrong.push(what);
  };
  expect(checkpoint.format === `pytorch-${facts.format}`, 'format');
  const names = Object.keys(facts.state_dict).map((key) => key.slice(facts.key_prefix.length));
  expect([...checkpoint.tensors.keys()].join('\n') === names.join('\n'), 'names');
  expect(!('optimizer' in checkpoint.metadata), 'optimizer');
  if (facts.meta !== undefined) {
    const { epoch, iter, classes } = facts.meta;
    const meta = checkpoint.metadata['meta'] as Record<string, unknown> | undefined;
    expect(meta?.['epoch'] === epoch && meta['iter'] === iter, 'epoch and iteration');
    expect(JSON.stringify(meta?.['CLASSES']) === JSON.stringify(classes), 'class names');
  }
  for (const [key, expected] of Object.entries(facts.state_dict)) {
    const tensor = checkpoint.tensors.get(key.slice(facts.key_prefix.length));
    if (tensor === undefined) {
      wrong.push(key);
      continue;
    }
    const values = valuesOf(tensor);
    const [first, last] = [values[0] ?? null, values[values.length - 1] ?? null];
    expect(tensor.dtype === expected.dtype && tensor.shape.join() === expected.shape.join(), `${key}: type or shape`);
    expect(first === expected.first && last === expected.last, `${key}: end values`);
  }
  return new Worst().add(wrong.length, wrong[0] ?? facts.file);
}

/** Differences of sums in float64, as a part of (Σ|v| + 1). */
function wrongSums(checkpoint: Checkpoint, facts: Facts): Worst {
  const worst = new Worst();
  for (const [key, expected] of Object.entries(facts.state_dict)) {
    const tensor = checkpoint.tensors.get(key.slice(facts.key_prefix.length));
    const values = tensor === undefined ? [Number.NaN] : valuesOf(tensor);
    const sums = { sum: 0, abs_sum: 0, weighted: 0 };
    for (let i = 0; i < values.length; i++) {
      sums.sum += values[i]!;
      sums.abs_sum += Math.abs(values[i]!);
      sums.weighted += values[i]! * (1 + (i % 7));
    }
    for (const name of ['sum', 'abs_sum', 'weighted'] as const) {
      worst.add((sums[name] - expected[name]) / (expected.abs_sum + 1), `${key}, ${name}`);
    }
  }
  return worst;
}

/** "reject", or "reject, or …" if another outcome is as safe. */
const hostileSchema = z.record(z.string(), z.object({ expect: z.string().regex(/^reject\b/) }));

/** A hostile file that ran would leave a file with this prefix in the temporary folder. */
const TRACE = 'pwned-';

async function tryHostile(folder: ReferenceFolder, findings: Collector): Promise<void> {
  const traces = () => readdirSync(os.tmpdir()).filter((name) => name.startsWith(TRACE)).length;
  const before = traces();
  const accepted: string[] = [];
  const files = Object.entries(folder.json('expected.json', hostileSchema));
  for (const [name, { expect }] of files) {
    const file = folder.file(name);
    try {
      await readCheckpoint(file);
      if (expect === 'reject') accepted.push(name);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (!error.message.includes(path.basename(file))) accepted.push(`${name}: not named`);
    }
  }
  const refused = new Worst();
  if (files.length > 0) refused.add(accepted.length, accepted[0] ?? `${files.length} files`);
  findings.add('hostile files accepted', TOLERANCES.refusals, refused);
  findings.add('hostile files run', TOLERANCES.refusals, new Worst().add(traces() - before, os.tmpdir()));
}
