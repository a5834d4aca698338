import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { packageRoot } from '../../src/support/package.js';

/** What scripts/soak.mjs prints. */
export async function soak<Report>(...parameters: string[]): Promise<Report> {
  const script = path.join(packageRoot(), 'scripts', 'soak.mjs');
  const child = spawn(process.execPath, [script, '--json', ...parameters], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  return JSON.parse(output) as Report;
}
