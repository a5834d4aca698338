import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { EventFile, frameRecord } from '../../src/runs/tensorboard.js';
import { crc32c } from '../../src/support/checksums.js';
import { temporaryFolder } from '../helpers/folder.js';
import fc from '../helpers/properties.js';

/** CRC-32C bit by bit, as its definition reads. */
function plainChecksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** Undoes the masking of a stored checksum. */
const unmasked = (stored: number) => {
  const rotated = (stored - 0xa282ead8) >>> 0;
  return ((rotated << 15) | (rotated >>> 17)) >>> 0;
};

/** Data of the records of a TFRecord file, every checksum compared. */
function readRecords(file: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const data = file.subarray(at + 12, at + 12 + length);
    if (unmasked(file.readUInt32LE(at + 8)) !== plainChecksum(file.subarray(at, at + 8))) throw new Error('length');
    if (unmasked(file.readUInt32LE(at + 12 + length)) !== plainChecksum(data)) throw new Error('data');
    records.push(data);
    at += 16 + length;
  }
  return records;
}

/** Fields of a protocol buffers message: numbers, or bytes. */
function readMessage(bytes: Buffer): [field: number, value: number | Buffer][] {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  const fields: [number, number | Buffer][] = [];
  while (at < bytes.length) {
    const key = varint();
    const field = Math.floor(key / 8);
    switch (key % 8) {
      case 0:
        fields.push([field, varint()]);
        break;
      case 1:
        fields.push([field, bytes.readDoubleLE(at)]);
        at += 8;
        break;
      case 2: {
        const length = varint();
        fields.push([field, bytes.subarray(at, at + length)]);
        at += length;
        break;
      }
      case 5:
        fields.push([field, bytes.readFloatLE(at)]);
        at += 4;
        break;
      default:
        throw new Error(`Wire type ${key % 8}.`);
    }
  }
  return fields;
}

const message = (value: number | Buffer | undefined) => readMessage(value as Buffer);

test('CRC-32C is that of RFC 3720, and of its definition', (t) => {
  // Section B.4: 32 bytes of zeros, of ones, and ascending.
  t.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
  t.is(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  t.is(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => crc32c(bytes) === plainChecksum(bytes)));
  t.pass();
});

test('records come back from their frames', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (all) => {
      const back = readRecords(Buffer.concat(all.map(frameRecord)));
      return back.length === all.length && back.every((data, i) => data.equals(all[i]!));
    }),
  );
  t.pass();
});

test.serial('an event file holds its version and the scalars', async (t) => {
  const folder = await temporaryFolder(t);
  const { now } = Date;
  Date.now = () => 1_700_000_000_500;
  t.teardown(() => {
    Date.now = now;
  });
  const events = await EventFile.create(folder);
  const large = 3_000_000_000;
  await events.add(50, { 'train/loss': 1.25, 'train/accuracy': Number.NaN });
  await events.add(large, { 'train/loss': -0.5, 'evaluate/mIoU': 0.75 });
  const [name = '', ...others] = readdirSync(path.join(folder, 'tensorboard'));
  t.deepEqual(others, []);
  t.regex(name, /^events\.out\.tfevents\.\d{10}\..+/);

  const [version, first, second, ...rest] = readRecords(readFileSync(events.file)).map(
    (record) => new Map(readMessage(record)),
  );
  t.deepEqual(rest, []);
  t.is(version!.get(1), 1_700_000_000.5, 'wall time in seconds');
  t.is((version!.get(3) as Buffer).toString(), 'brain.Event:2');
  const scalars = (event: ReadonlyMap<number, number | Buffer>) =>
    message(event.get(5)).map(([field, value]) => {
      t.is(field, 1);
      const fields = new Map(message(value));
      return [(fields.get(1) as Buffer).toString(), fields.get(2)];
    });
  t.is(first!.get(2), 50);
  t.deepEqual(scalars(first!), [['train/loss', 1.25]], 'what is not finite is left out');
  t.is(second!.get(2), large);
  t.deepEqual(scalars(second!), [
    ['train/loss', -0.5],
    ['evaluate/mIoU', 0.75],
  ]);
});

/** What TensorBoard's loader makes of events in their order: a start of a session drops its step and later ones. */
function shownSteps(files: readonly string[]): Record<string, number[]> {
  const shown: { tag: string; step: number }[] = [];
  for (const file of files) {
    for (const event of readRecords(readFileSync(file)).map((record) => new Map(readMessage(record)))) {
      const step = event.get(2) as number;
      if (event.has(7)) {
        requireStart(event.get(7));
        shown.splice(0, shown.length, ...shown.filter((point) => point.step < step));
      }
      if (event.has(5)) {
        for (const [, value] of message(event.get(5))) {
          const tag = (new Map(message(value)).get(1) as Buffer).toString();
          shown.push({ tag, step });
        }
      }
    }
  }
  const tags = [...new Set(shown.map(({ tag }) => tag))];
  return Object.fromEntries(
    tags.map((tag) => [tag, shown.filter((point) => point.tag === tag).map(({ step }) => step)]),
  );
}

/** The only state of a session that is written: START. */
function requireStart(log: number | Buffer | undefined): void {
  if (JSON.stringify(message(log)) !== '[[1,1]]') throw new Error('Not the start of a session.');
}

test('a resumed training hides the steps that it repeats, and nothing else; an evaluation hides nothing', async (t) => {
  const directory = await temporaryFolder(t);
  const log = (events: EventFile, steps: readonly number[]) =>
    steps.reduce((before, step) => before.then(() => events.add(step, { loss: 1 })), Promise.resolve());
  const first = await EventFile.resume(directory, 0);
  await log(first, [2, 4, 6, 8]);
  t.deepEqual(shownSteps([first.file]), { loss: [2, 4, 6, 8] });
  // Killed after step 9; the newest checkpoint is of step 6.
  const second = await EventFile.resume(directory, 6);
  await log(second, [8, 10]);
  const evaluation = await EventFile.create(directory);
  await evaluation.add(10, { 'evaluate/mIoU': 0.5 });
  const multiScale = await EventFile.create(directory);
  await multiScale.add(10, { 'evaluate-ms/mIoU': 0.5 });
  const files = [first, second, evaluation, multiScale].map(({ file }) => file);
  t.deepEqual(shownSteps(files), { loss: [2, 4, 6, 8, 10], 'evaluate/mIoU': [10], 'evaluate-ms/mIoU': [10] });
  // Before there was a checkpoint.
  const again = await EventFile.resume(directory, 0);
  await log(again, [2]);
  t.deepEqual(shownSteps([...files, again.file]), { loss: [2] });
});
