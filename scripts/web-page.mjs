// Bundles src/web into dist/src/web, the page that `fcn export --to web` copies, unless that is newer. Part of `npm run build`.
import { cpSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './setup.mjs';

const source = path.join(root, 'src', 'web');
const target = path.join(root, 'dist', 'src', 'web');
const SCRIPTS = ['page', 'worker'];
const COPIED = ['index.html', 'style.css'];

const time = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const inputs = [
  ...readdirSync(path.join(root, 'src'), { recursive: true }).map((name) => path.join(root, 'src', name)),
  path.join(root, 'package-lock.json'),
  fileURLToPath(import.meta.url),
];
const outputs = [...SCRIPTS.map((name) => `${name}.js`), ...COPIED].map((name) => path.join(target, name));
if (Math.min(...outputs.map(time)) < Math.max(...inputs.map(time))) {
  const { build } = await import('esbuild');
  mkdirSync(target, { recursive: true });
  // Nothing of Node may be left: a module of it would be an error here.
  await build({
    entryPoints: SCRIPTS.map((name) => path.join(source, `${name}.ts`)),
    outdir: target,
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: ['es2022'],
    minify: true,
    legalComments: 'eof',
    logLevel: 'warning',
  });
  for (const name of COPIED) cpSync(path.join(source, name), path.join(target, name));
}
