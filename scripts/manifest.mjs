// Writes oclif.manifest.json, so that `fcn --help` need not load every command, and completion neither commands nor tables. Run after
// each compilation.
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Plugin } from '@oclif/core/config';
import { settings } from '@oclif/core/settings';
import { loadTables } from '../dist/src/recipe/tables.js';

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
// What flags and arguments say of their values: oclif leaves it out.
for (const command of plugin.commands) {
  const loaded = await command.load();
  const entry = plugin.manifest.commands[command.id];
  for (const kind of ['args', 'flags']) {
    for (const [name, { completes }] of Object.entries(loaded[kind] ?? {})) {
      if (completes !== undefined) entry[kind][name].completes = completes;
    }
  }
}
const rows = loadTables().flatMap((table) =>
  table.rows.map(({ id }) => ({ id, table: table.id, tableName: table.name })),
);
await writeFile(`${file}.tmp`, `${JSON.stringify({ ...plugin.manifest, rows })}\n`);
await rename(`${file}.tmp`, file);
