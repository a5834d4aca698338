// `npm run test:long` sets FCN_TEST_LONG: then tests that take long are run, too, the files *.long.test.ts and what
// test/helpers/long.ts declares.
const LONG = 'dist/test/**/*.long.test.js';

export default {
  files: ['dist/test/**/*.test.js', ...(process.env.FCN_TEST_LONG === '1' ? [] : [`!${LONG}`])],
  workerThreads: false,
  timeout: '5m',
};
