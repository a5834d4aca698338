// Compiles assembly/ to dist/src/data/simd/pixels.wasm with AssemblyScript, unless that is newer. Part of `npm run build`.
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './setup.mjs';

const source = path.join(root, 'assembly');
const target = path.join(root, 'dist', 'src', 'data', 'simd', 'pixels.wasm');

const time = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const inputs = [
  ...readdirSync(source).map((name) => path.join(source, name)),
  path.join(root, 'package-lock.json'),
  fileURLToPath(import.meta.url),
];
if (time(target) < Math.max(...inputs.map(time))) {
  const { default: asc } = await import('assemblyscript/asc');
  mkdirSync(path.dirname(target), { recursive: true });
  const partial = `${target}.part`;
  const options = ['--outFile', partial, '--enable', 'simd', '-O3', '--noAssert'];
  // No runtime, so no garbage collection, and no imports: the code only computes in its memory.
  options.push('--runtime', 'stub', '--use', 'abort=');
  const { error, stderr } = await asc.main([path.join(source, 'index.ts'), ...options]);
  if (error) {
    process.stderr.write(`${stderr}\n${error.message}\n`);
    process.exit(1);
  }
  renameSync(partial, target);
}
