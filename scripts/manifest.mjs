// Writes oclif.manifest.json, so that `fcn --help` need not load every command. Run after each compilation.
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Plugin } from '@oclif/core/config';
import { settings } from '@oclif/core/settings';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const file = path.join(root, 'oclif.manifest.json');

settings.enableAutoTranspile = false;
const plugin = new Plugin({
  root,
  type: 'core',
  ignoreManifest: true,
  errorOnManifestCreate: true,
  respectNoCacheDefault: true,
});
await plugin.load();
await writeFile(`${file}.tmp`, `${JSON.stringify(plugin.manifest)}\n`);
await rename(`${file}.tmp`, file);
