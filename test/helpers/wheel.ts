import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { type ZipMember, zip } from './zip.js';

export interface WheelContent {
  /** Project and release, as in the names of wheels: "tensorflow_cpu-9.9.9". */
  readonly distribution: string;
  readonly members: Readonly<Record<string, ZipMember | string>>;
  readonly metadata?: string;
  /** Changes the RECORD before it is written, to make a wheel that is wrong. */
  readonly changeRecord?: (record: string) => string;
}

/** Writes a Python wheel: a zip file with metadata and a RECORD of the SHA-256 and size of each member. */
export async function writeWheel(file: string, wheel: WheelContent): Promise<void> {
  const folder = `${wheel.distribution}.dist-info`;
  const members = new Map<string, ZipMember>();
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
