#!/usr/bin/env node
import { existsSync } from 'node:fs';

// Until a command listens, too: else this signal, which asks to save, would open Node's debugger.
if (process.platform !== 'win32') process.on('SIGUSR1', () => {});

const compiled = (file) => new URL(`../dist/src/cli/${file}`, import.meta.url);
const [first, ...words] = process.argv.slice(2);
if (!existsSync(compiled('main.js'))) {
  process.stderr.write('error: fcn is not built.\nnext: Run npm ci and npm run build.\n');
  process.exitCode = 2;
} else if (first === '__complete') {
  // A press of TAB: without loading the commands.
  const { complete } = await import(compiled('completion/complete.js').href);
  process.stdout.write(`${await complete(words)}\n`);
} else {
  const { main } = await import(compiled('main.js').href);
  await main(process.argv.slice(2));
}
