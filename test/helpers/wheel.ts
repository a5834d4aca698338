import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import zlib from 'node:zlib';

interface Member {
  readonly content: string | Uint8Array;
  /** Unix mode; 0o644 unless given. */
  readonly mode?: number;
}

export interface WheelContent {
  /** Project and release, as in the names of wheels: "tensorflow_cpu-9.9.9". */
  readonly distribution: string;
  readonly members: Readonly<Record<string, Member | string>>;
  readonly metadata?: string;
  /** Changes the RECORD before it is written, to make a wheel that is wrong. */
  readonly changeRecord?: (record: string) => string;
}

/** Writes a Python wheel: a zip file with metadata and a RECORD of the SHA-256 and size of each member. */
export async function writeWheel(file: string, wheel: WheelContent): Promise<void> {
  const folder = `${wheel.distribution}.dist-info`;
  const members = new Map<string, Member>();
  for (const [name, member] of Object.entries(wheel.members)) {
    members.set(name, typeof member === 'string' ? { content: member } : member);
  }
  members.set(`${folder}/METADATA`, { content: wheel.metadata ?? 'Metadata-Version: 2.1\n' });
  const record = [...members].map(([name, { content }]) => {
    const hash = createHash('sha256').update(content).digest('base64url');
    return `${name},sha256=${hash},${Buffer.from(content).length}\n`;
  });
  const text = `${record.join('')}${folder}/RECORD,,\n`;
  members.set(`${folder}/RECORD`, { content: wheel.changeRecord?.(text) ?? text });
  await writeFile(file, zip(members));
}

/** APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end). */
function zip(members: ReadonlyMap<string, Member>): Buffer {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, { content, mode = 0o644 }] of members) {
    const bytes = Buffer.from(content);
    const packed = zlib.deflateRawSync(bytes);
    const path = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(zlib.crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(path.length, 22);
    const entry = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, path, packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((0o100000 | mode) << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    // Made by Unix, so that the attributes are a mode.
    central.push(Buffer.from('PK\x01\x02\x14\x03', 'latin1'), common, rest, path);
    local.push(entry);
    offset += entry.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(members.size, 8);
  end.writeUInt16LE(members.size, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...local, directory, end]);
}
