import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { softwareEnvironment, softwareFolder } from './scripts/software-folder.mjs';
import { writeGroups } from './scripts/test-groups.mjs';

// `npm run test:long` sets FCN_TEST_LONG: then tests that take long are run, too, the files *.long.test.ts and what
// test/helpers/long.ts declares.
const LONG = 'dist/test/**/*.long.test.js';

/**
 * Node's arguments for a test file, which is a short program of its own. By default V8 optimises a function after 66 KB of executed
 * bytecode (Node 20). In programs of seconds that costs more than it saves: a fifth of the tests' processor time. Results are the same.
 * Not every version of V8 has this option, and Node refuses to start with one that it does not know.
 */
function optimiseLater() {
  const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  return known.includes('--interrupt-budget ') ? ['--interrupt-budget=1000000'] : [];
}

/** Whether files or folders are named: then each file has a process of its own. A group can be named, too. */
const areNamed = process.argv
  .slice(2)
  .some((argument) => /^[^-].*\btest\b/.test(argument) && !argument.includes('together'));

export default {
  files: [
    'dist/test/**/*.test.js',
    ...(process.env.FCN_TEST_LONG === '1' ? [] : [`!${LONG}`]),
    ...(areNamed ? ['!dist/test/together/**'] : writeGroups()),
  ],
  // The groups take longest.
  sortTestFiles: (a, b) => Number(b.includes('together')) - Number(a.includes('together')) || (a < b ? -1 : 1),
  workerThreads: false,
  nodeArguments: optimiseLater(),
  // Node reads the first, and the system's loader the others, only when a process starts. test/helpers/https-server.ts has the key.
  environmentVariables: {
    NODE_EXTRA_CA_CERTS: fileURLToPath(new URL('test/helpers/certificate.pem', import.meta.url)),
    ...softwareEnvironment(softwareFolder(), existsSync(softwareFolder())),
  },
  timeout: '5m',
};
