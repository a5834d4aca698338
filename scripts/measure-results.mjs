// Measures the records in the repository (the smoke run of all published rows on generated data, and CamVid with three seeds if it is
// present), keeps them and writes the tables. Run it on a quiet machine, after npm run build.
//
//   node scripts/measure-results.mjs [--data-root DIR] [--only smoke|camvid] [--set path=value …]
//
// --set changes the recipe of the CamVid runs, and is recorded as a deviation. The script ends at the first run that fails; records
// that were kept before stay.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fcn } from './fcn.mjs';

const WORK = path.join('runs', 'measured');
const SEEDS = 3;

const { values } = parseArgs({
  options: {
    'data-root': { type: 'string', default: process.env['FCN_DATA_ROOT'] ?? 'data' },
    only: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
  },
});
if (values.only !== undefined && values.only !== 'smoke' && values.only !== 'camvid') {
  process.stderr.write(`--only ${values.only}: expected smoke or camvid\n`);
  process.exit(2);
}

// The same data and runs as a night's, so that the first night can be compared with these records.
if (values.only !== 'camvid') {
  const measured = path.join(WORK, 'smoke.jsonl');
  fcn('nightly', '--part', 'smoke', '--work', path.join(WORK, 'smoke'), '--measure', measured);
  fcn('results', 'add', path.join(WORK, 'smoke', 'results', 'records'));
}
if (values.only !== 'smoke') {
  if (existsSync(path.join(values['data-root'], 'camvid'))) {
    const results = path.join(WORK, 'camvid', 'results');
    const changes = values.set.flatMap((change) => ['--set', change]);
    const folders = [
      '--data-root',
      values['data-root'],
      '--runs',
      path.join(WORK, 'camvid', 'runs'),
      '--results',
      results,
    ];
    fcn('reproduce', 'camvid_r18-d8', '--seed', '0', '--repeat', String(SEEDS), ...changes, ...folders);
    fcn('results', 'add', path.join(results, 'records'));
  } else {
    process.stderr.write(`CamVid is left out: it is not under ${values['data-root']}.\n`);
  }
}
fcn('results', 'verify');
fcn('table', '--write', 'README.md', '--write', path.join('results', 'README.md'));
