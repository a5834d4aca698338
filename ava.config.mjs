// Tests that take long, *.long.test.ts, are run by `npm run test:long`, which sets FCN_TEST_LONG, and not by `npm test`.
const LONG = 'dist/test/**/*.long.test.js';

export default {
  files: process.env.FCN_TEST_LONG === '1' ? [LONG] : ['dist/test/**/*.test.js', `!${LONG}`],
  workerThreads: false,
  timeout: '5m',
};
