import { randomBytes } from 'node:crypto';
import { appendFile, readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { crc32c } from '../support/checksums.js';
import { explainFileError, makeFolder } from '../support/files.js';

/** Folder of the event files in the run directory. */
const EVENTS_FOLDER = 'tensorboard';

/** Fields of the messages in tensorflow/core/util/event.proto and framework/summary.proto. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 } as const;
const SUMMARY = { value: 1 } as const;
const VALUE = { tag: 1, simpleValue: 2 } as const;
const SESSION_LOG = { status: 1, start: 1 } as const;

/** Protocol buffers' wire types. */
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

const key = (field: number, wire: number) => varint(field * 8 + wire);
const integer = (field: number, value: number) => Buffer.concat([key(field, WIRE.varint), varint(value)]);
const bytes = (field: number, value: Uint8Array) =>
  Buffer.concat([key(field, WIRE.bytes), varint(value.length), value]);

function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, WIRE.fixed64), data]);
}

function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, WIRE.fixed32), data]);
}

/** TensorFlow masks checksums, because checksums of data that contains checksums are weak. */
function maskedChecksum(data: Uint8Array): Buffer {
  const crc = crc32c(data);
  const masked = Buffer.alloc(4);
  masked.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return masked;
}

/** A record of a TFRecord file: length and data, each with its checksum. */
export function frameRecord(data: Uint8Array): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, maskedChecksum(length), data, maskedChecksum(data)]);
}

/** A file of scalars for TensorBoard. */
export class EventFile {
  private constructor(
    readonly file: string,
    private readonly beforeWrite: () => Promise<void>,
  ) {}

  /**
   * Creates a file in the run directory. `beforeWrite` may refuse writing.
   * @throws UserError if it cannot be written.
   */
  static async create(directory: string, beforeWrite = async () => {}): Promise<EventFile> {
    const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
    const name = `events.out.tfevents.${seconds}.${os.hostname()}.${process.pid}.${randomBytes(2).toString('hex')}`;
    const events = new EventFile(path.join(directory, EVENTS_FOLDER, name), beforeWrite);
    await beforeWrite();
    await makeFolder(path.dirname(events.file));
    await events.append(bytes(EVENT.fileVersion, Buffer.from('brain.Event:2')));
    return events;
  }

  /**
   * Creates a file for training that has done `iterations` steps. Hides later steps in earlier files, which are repeated.
   * @throws UserError if it cannot be written.
   */
  static async resume(directory: string, iterations: number, beforeWrite?: () => Promise<void>): Promise<EventFile> {
    const events = await EventFile.create(directory, beforeWrite);
    const files = await readdir(path.dirname(events.file));
    if (files.length > 1) {
      // TensorBoard then drops this step and later ones.
      const log = integer(SESSION_LOG.status, SESSION_LOG.start);
      await events.append(integer(EVENT.step, iterations + 1), bytes(EVENT.sessionLog, log));
    }
    return events;
  }

  /**
   * Adds the finite scalars of a step.
   * @throws UserError if they cannot be written.
   */
  async add(step: number, scalars: Readonly<Record<string, number>>): Promise<void> {
    const values = Object.entries(scalars)
      .filter(([, value]) => Number.isFinite(value))
      .map(([tag, value]) => Buffer.concat([bytes(VALUE.tag, Buffer.from(tag)), float(VALUE.simpleValue, value)]));
    const summary = Buffer.concat(values.map((value) => bytes(SUMMARY.value, value)));
    await this.append(integer(EVENT.step, step), bytes(EVENT.summary, summary));
  }

  private async append(...fields: readonly Buffer[]): Promise<void> {
    await this.beforeWrite();
    const event = Buffer.concat([double(EVENT.wallTime, Date.now() / 1000), ...fields]);
    try {
      await appendFile(this.file, frameRecord(event));
    } catch (error) {
      throw explainFileError(error, this.file, 'write');
    }
  }
}
