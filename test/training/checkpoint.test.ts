import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { Draws, Purpose } from '../../src/support/random.js';
import type { Snapshot } from '../../src/training/checkpoint.js';
import { writeSnapshot } from '../../src/training/checkpoint.js';
import { newestCheckpoint } from '../../src/training/checkpoint-folder.js';
import { openCheckpoint } from '../../src/training/checkpoint-read.js';
import { rotate } from '../../src/training/checkpoint-rotation.js';
import type { TrainingProgress } from '../../src/training/checkpoint-schema.js';
import { CheckpointWriter } from '../../src/training/checkpoint-writer.js';
import { cutLog } from '../../src/training/log.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

const result = { loss: 1.5, decodeLoss: 1, auxiliaryLoss: 0.5, accuracy: 40, learningRate: 0.01 };

function progress(smoothedLoss: number): TrainingProgress {
  return {
    seconds: 1,
    skippedSteps: 0,
    skippedInARow: 0,
    smoothedLoss,
    skippedSamples: ['munich/one'],
    peakLiveTensorBytes: 100,
    peakProcessBytes: 1000,
    result,
    interval: {
      steps: 1,
      loss: 0.1 + 0.2,
      decodeLoss: 0,
      auxiliaryLoss: 0,
      accuracy: 0,
      dataMilliseconds: 1,
      stepMilliseconds: 2,
      peakLiveTensorBytes: 0,
    },
  };
}

function snapshot(directory: string, iteration: number, smoothedLoss = 1): Snapshot {
  const values = Float32Array.from({ length: 40 }, (_, i) => iteration + i / 7);
  const tensor = { name: 'conv.weight', dtype: 'float32' as const, shape: [40] };
  return {
    directory,
    iteration,
    metadata: { format: 'pt' },
    weights: [{ ...tensor, data: values }],
    optimizer: [{ ...tensor, data: values }],
    memory: values.buffer,
    progress: progress(smoothedLoss),
  };
}

test('progress comes back exactly', async (t) => {
  const folder = await temporaryFolder(t);
  await writeSnapshot(snapshot(folder, 7));
  const checkpoint = await openCheckpoint(folder, 7);
  t.like(checkpoint, { iteration: 7, progress: progress(1) });
});

test('each of 1,000 random byte changes is found', async (t) => {
  const folder = await temporaryFolder(t);
  await writeSnapshot(snapshot(folder, 7));
  const files = readdirSync(folder).map((name) => {
    const file = path.join(folder, name);
    return { file, bytes: readFileSync(file) };
  });
  const total = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const draws = new Draws(0, Purpose.generate, 0);
  for (let i = 0; i < 1000; i++) {
    let place = draws.integer(2 * i, 0, total - 1);
    const { file, bytes } = files.find((candidate) => {
      if (place < candidate.bytes.length) return true;
      place -= candidate.bytes.length;
      return false;
    })!;
    const changed = Buffer.from(bytes);
    changed[place]! ^= draws.integer(2 * i + 1, 1, 255);
    writeFileSync(file, changed);
    t.is(typeof (await openCheckpoint(folder, 7)), 'string', `byte ${place} of ${file}`);
    writeFileSync(file, bytes);
  }
  t.is(typeof (await openCheckpoint(folder, 7)), 'object', 'unchanged, it is intact');
});

test('a damaged newest checkpoint is reported, and the one before it is used', async (t) => {
  const folder = await temporaryFolder(t);
  for (const iteration of [2, 10, 9]) await writeSnapshot(snapshot(folder, iteration));
  truncateSync(path.join(folder, 'iteration-10.safetensors'), 30);
  const messages: string[] = [];
  const found = await newestCheckpoint(folder, (message) => messages.push(message));
  t.is(found?.iteration, 9);
  t.is(messages.length, 1);
  t.regex(messages[0]!, /: the one before it is used instead\. Its files are kept as .*damaged-iteration-10\.\*\.$/);
  t.is(readdirSync(folder).filter((name) => name.startsWith('damaged-iteration-10.')).length, 3);
  t.regex(
    messages[0]!,
    /^The checkpoint of iteration 10 is damaged \(iteration-10\.safetensors has 30 bytes, not \d+\)/,
  );
  t.is(await newestCheckpoint(path.join(folder, 'none'), () => t.fail()), null);
});

test('if all are damaged or unreadable, that is reported, and all files are kept', async (t) => {
  const folder = await temporaryFolder(t);
  for (const iteration of [3, 4]) await writeSnapshot(snapshot(folder, iteration));
  truncateSync(path.join(folder, 'iteration-3.json'), 30);
  // A folder cannot be read as a file, whoever reads.
  rmSync(path.join(folder, 'iteration-4.json'));
  mkdirSync(path.join(folder, 'iteration-4.json'));
  const messages: string[] = [];
  t.is(await newestCheckpoint(folder, (message) => messages.push(message)), null);
  t.is(messages.length, 2);
  t.regex(
    messages[0]!,
    /^The checkpoint of iteration 4 is damaged \(iteration-4\.json cannot be read \(EISDIR\)\): the one before it is used/,
  );
  t.regex(
    messages[1]!,
    /^The checkpoint of iteration 3 is damaged .*: no intact checkpoint is left, so training starts from the beginning\./,
  );
  t.true(readdirSync(folder).every((name) => name.startsWith('damaged-iteration-')));
  t.is(readdirSync(folder).length, 6);
});

test('weights that cannot be read are found before they are needed', async (t) => {
  const folder = await temporaryFolder(t);
  for (const iteration of [3, 4]) await writeSnapshot(snapshot(folder, iteration));
  const file = path.join(folder, 'iteration-4.safetensors');
  rmSync(file);
  symlinkSync(file, file);
  t.regex(String(await openCheckpoint(folder, 4)), /^iteration-4\.safetensors cannot be read \(ELOOP\)$/);
  t.is((await newestCheckpoint(folder, () => {}))?.iteration, 3);
});

test('the newest ones, the best and those set aside stay; older or half-written ones go', async (t) => {
  const folder = await temporaryFolder(t);
  const losses = { 1: 3, 2: 0.5, 3: 2, 4: 1.5, 5: 1.6 };
  for (const [iteration, loss] of Object.entries(losses))
    await writeSnapshot(snapshot(folder, Number(iteration), loss));
  await writeFiles(folder, {
    'iteration-6.safetensors': 'no description',
    '.iteration-7.safetensors.01234567.tmp': 'half',
    'notes.txt': 'mine',
    'damaged-iteration-9.json': 'damaged',
  });
  await rotate(folder, 2, null);
  const expected = [2, 4, 5].flatMap((i) =>
    ['json', 'optimizer.safetensors', 'safetensors'].map((e) => `iteration-${i}.${e}`),
  );
  t.deepEqual(readdirSync(folder).sort(), [...expected, 'notes.txt', 'damaged-iteration-9.json'].sort());
});

test('snapshots are written in the background, one after the other, and failures are thrown', async (t) => {
  const folder = await temporaryFolder(t);
  const writer = await CheckpointWriter.start({ keep: 2, log: path.join(folder, 'log.jsonl') });
  const directory = path.join(folder, 'checkpoints');
  for (const iteration of [1, 2, 3]) await writer.write(async () => snapshot(directory, iteration, 1 / iteration));
  t.is((await writer.finish())?.state, path.join(directory, 'iteration-3.json'));
  t.is((await newestCheckpoint(directory, () => t.fail()))?.iteration, 3);
  await writeFiles(folder, { file: '' });
  await writer.write(async () => snapshot(path.join(folder, 'file', 'checkpoints'), 4));
  await t.throwsAsync(writer.finish(), { name: 'UserError', message: /is a file, a folder was expected/ });
  await t.throwsAsync(
    writer.write(async () => snapshot(directory, 5)),
    { name: 'UserError' },
  );
  await writer.close();
});

test('a failure is thrown after the next step, after one attempt to write the present state', async (t) => {
  const folder = await temporaryFolder(t);
  const failed = path.join(folder, 'file', 'checkpoints');
  const good = path.join(folder, 'good');
  await writeFiles(folder, { file: '' });
  const failing = async () => {
    const writer = await CheckpointWriter.start({ keep: 2, log: path.join(folder, 'log.jsonl') });
    t.teardown(() => writer.close());
    await writer.afterStep(1, true, async () => snapshot(failed, 1));
    await t.throwsAsync(writer.finish());
    return writer;
  };
  const recovered = await failing();
  await t.throwsAsync(
    recovered.afterStep(2, false, async () => snapshot(good, 2)),
    { name: 'UserError', message: /folder was expected\. A second attempt saved the state after iteration 2\.$/ },
  );
  t.is(recovered.newestComplete, 2);
  t.is((await newestCheckpoint(good, () => t.fail()))?.iteration, 2);
  const broken = await failing();
  await t.throwsAsync(
    broken.afterStep(2, false, async () => snapshot(failed, 2)),
    { name: 'UserError', message: /folder was expected\.$/ },
  );
  t.is(broken.newestComplete, null);
});

test('if a checkpoint cannot be written whole, nothing of it stays', async (t) => {
  const folder = await temporaryFolder(t);
  mkdirSync(path.join(folder, 'iteration-7.json'));
  await t.throwsAsync(writeSnapshot(snapshot(folder, 7)));
  t.deepEqual(readdirSync(folder), ['iteration-7.json']);
});

test('a log is cut after the last saved iteration, and at a half-written line', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'log.jsonl');
  const line = (iteration: number) => `{"iteration":${iteration},"loss":1}\n`;
  writeFileSync(file, `${line(2)}${line(4)}${line(6)}{"iteration":8,"lo`);
  const messages: string[] = [];
  await cutLog(file, 8, 2, (message) => messages.push(message));
  t.deepEqual(messages, [`${file} ends at iteration 6: what it said of iterations up to 8 is lost.`]);
  t.is(readFileSync(file, 'utf8'), line(2) + line(4) + line(6));
  await cutLog(file, 5, 2, () => t.fail('all of it is there'));
  t.is(readFileSync(file, 'utf8'), line(2) + line(4));
  await cutLog(file, 0, 2, () => t.fail('all of it is written again'));
  t.is(readFileSync(file, 'utf8'), '');
  const none = path.join(folder, 'none');
  await cutLog(none, 3, 2, (message) => messages.push(message));
  t.is(messages[1], `${none} ends at iteration 0: what it said of iterations up to 2 is lost.`);
  t.false(existsSync(none));
});

test('a damaged line in the middle of a log is reported and removed, and no other line', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'log.jsonl');
  const line = (iteration: number) => `{"iteration":${iteration},"loss":1}\n`;
  writeFileSync(file, `${line(2)}{"itera\0\0\n${line(6)}[]\n${line(10)}gone\n${line(14)}`);
  const messages: string[] = [];
  await cutLog(file, 9, 2, (message) => messages.push(message));
  t.is(readFileSync(file, 'utf8'), line(2) + line(6));
  t.is(messages.length, 1);
  t.true(messages[0]!.startsWith(`${file} is damaged in lines 2, 4, removed now: `), messages[0]);
  t.regex(messages[0]!, /iterations up to 9 is lost\.$/);
  writeFileSync(file, `broken\n${line(2)}`);
  await cutLog(file, 0, 2, () => t.fail('all of it is written again'));
  t.is(readFileSync(file, 'utf8'), '');
});
