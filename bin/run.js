#!/usr/bin/env node
import { existsSync } from 'node:fs';

// Until a command listens, too: else this signal, which asks to save, would open Node's debugger.
if (process.platform !== 'win32') process.on('SIGUSR1', () => {});

const compiled = new URL('../dist/src/cli/main.js', import.meta.url);
if (existsSync(compiled)) {
  const { main } = await import(compiled.href);
  await main(process.argv.slice(2));
} else {
  process.stderr.write('error: fcn is not built.\nnext: Run npm ci and npm run build.\n');
  process.exitCode = 2;
}
