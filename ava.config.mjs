import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { softwareEnvironment, softwareFolder } from './scripts/software-folder.mjs';

// `npm run test:long` sets FCN_TEST_LONG: then tests that take long are run, too, the files *.long.test.ts and what
// test/helpers/long.ts declares.
const LONG = 'dist/test/**/*.long.test.js';

export default {
  files: ['dist/test/**/*.test.js', ...(process.env.FCN_TEST_LONG === '1' ? [] : [`!${LONG}`])],
  workerThreads: false,
  // Node reads the first, and the system's loader the others, only when a process starts. test/helpers/https-server.ts has the key.
  environmentVariables: {
    NODE_EXTRA_CA_CERTS: fileURLToPath(new URL('test/helpers/certificate.pem', import.meta.url)),
    ...softwareEnvironment(softwareFolder(), existsSync(softwareFolder())),
  },
  timeout: '5m',
};
