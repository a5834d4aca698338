// What check-package.mjs needs to use the package as on a machine without Python and without a compiler.
import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { root } from './setup.mjs';

const load = (name) => import(pathToFileURL(path.join(root, 'dist', 'src', name)).href);

/** A folder for PATH that holds only Node, npm and a shell. */
export function hiddenTools(folder) {
  mkdirSync(folder, { recursive: true });
  symlinkSync(process.execPath, path.join(folder, 'node'));
  for (const name of ['npm', 'npx', 'sh']) symlinkSync(inPath(name), path.join(folder, name));
  return folder;
}

function inPath(name) {
  const folder = process.env.PATH.split(path.delimiter).find((one) =>
    statSync(path.join(one, name), { throwIfNoEntry: false })?.isFile(),
  );
  return path.join(folder, name);
}

/** A wheel of the installed native engine: its libraries and headers, with a RECORD. Its name is no published one. */
export async function repackedWheel(folder) {
  const { tensorflowState } = await load('engines/selection.js');
  const { zipArchive } = await load('support/zip-write.js');
  const { folder: build, manifest } = await tensorflowState();
  const name = `tensorflow_cpu-${manifest.tensorflow}`;
  const members = filesBelow(build, 'tensorflow').map((member) => {
    const content = () => readFileSync(path.join(build, member));
    return { name: member, size: statSync(path.join(build, member)).size, content };
  });
  const lines = members.map(({ name: member, size, content }) => {
    return `${member},sha256=${createHash('sha256').update(content()).digest('base64url')},${size}\n`;
  });
  const record = Buffer.from(lines.join(''));
  members.push({ name: `${name}.dist-info/RECORD`, size: record.length, content: () => record });
  mkdirSync(folder, { recursive: true });
  const wheel = path.join(folder, `${name}-cp311-cp311-repacked.whl`);
  const archive = zipArchive(wheel, members, { packing: 'aligned', advice: 'Use a smaller library.' });
  await pipeline(archive, createWriteStream(wheel));
  return wheel;
}

function filesBelow(folder, below) {
  return readdirSync(path.join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const file = `${below}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(folder, file) : [file];
  });
}
