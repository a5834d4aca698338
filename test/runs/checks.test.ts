import test from 'ava';
import { resolve } from '../../src/recipe/resolve.js';
import { formatChecks, groupChecks, refusalOf } from '../../src/runs/checks.js';
import { checkStart, checkWeights, type InputCheckOptions } from '../../src/runs/input-checks.js';
import type { RunCheck } from '../../src/runs/run-check.js';
import { flagsAlone } from '../../src/runs/run-check.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROWS = ['fcn_r18-d8_512x1024_80k_cityscapes', 'fcn_r50-d8_512x1024_40k_cityscapes', 'camvid_r18-d8'] as const;

const checked = (row: (typeof ROWS)[number], ...checks: RunCheck[]) => ({
  run: { experiment: resolve({ row }), deviations: [] },
  checks,
});
const missing = (name: RunCheck['name'], text: string, next: string | null): RunCheck => ({
  name,
  state: 'missing',
  text,
  next,
});
const ok = (name: RunCheck['name'], text: string): RunCheck => ({ name, state: 'ok', text, next: null });

const noData = missing(
  'data',
  'There is no Cityscapes.',
  'fcn datasets generate cityscapes\nfcn doctor --data-root DIR',
);
const tooLarge = (gigabytes: number) =>
  missing(
    'memory',
    `The run needs ${gigabytes} GB.`,
    `fcn doctor --set training.batch=${gigabytes}\nfcn doctor --force`,
  );

const SERIES = [
  checked(ROWS[0], noData, tooLarge(1)),
  checked(ROWS[1], noData, tooLarge(2)),
  checked(ROWS[2], ok('data', 'CamVid'), ok('memory', '1 GB')),
];

test('each problem of several rows is named once, with the rows that have it', (t) => {
  const groups = groupChecks(SERIES);
  t.deepEqual(
    groups.map(({ name, state, rows }) => [name, state, rows.length]),
    [
      ['data', 'missing', 2],
      ['data', 'ok', 1],
      ['memory', 'missing', 2],
      ['memory', 'ok', 1],
    ],
  );
  const memory = groups[2]!;
  t.is(memory.next, 'fcn doctor --force', 'what helps all of them');
  t.regex(memory.text, /^fcn_r18\S+: The run needs 1 GB\. The same holds for 1 other row: fcn doctor ROW says/);
});

test('the error of a series has each problem with its own commands', (t) => {
  const refusal = refusalOf(SERIES)!;
  t.is(refusal.exitCode, 2);
  t.deepEqual(
    refusal.problems.map(({ message }) => message.replace(/1 GB.*/, '…')),
    [`${ROWS[0]}, ${ROWS[1]}: There is no Cityscapes.`, `${ROWS[0]}, ${ROWS[1]}: ${ROWS[0]}: The run needs …`],
  );
  t.is(refusal.problems[0]!.next, noData.next);
  t.is(refusalOf([SERIES[0]!])!.problems[0]!.message, 'There is no Cityscapes.', 'a single row needs no name');
  t.is(refusalOf([SERIES[2]!]), null);
});

test('a list of checks fits its width, and says whether the runs would start', (t) => {
  t.is(
    formatChecks(
      [checked(ROWS[0], ok('engine', 'wasm'), { ...noData, next: `fcn doctor ${ROWS[0]} --set a=1 --data-root DIR` })],
      50,
    ),
    [
      '✓ engine    wasm',
      '✗ data      There is no Cityscapes.',
      '            fcn doctor \\',
      `              ${ROWS[0]} \\`,
      '              --set a=1 --data-root DIR',
      '',
      '1 problem: the run would not start.',
    ].join('\n'),
  );
  const series = formatChecks(SERIES, 80);
  t.true(series.split('\n').every((line) => line.length <= 80));
  t.regex(series, /\n\n2 problems: some runs would not start\.$/);
  t.regex(formatChecks([SERIES[2]!], 80), /\n\nNothing is missing: the run would start\.$/);
});

test.serial('what can be fetched is not missing, unless --offline forbids it', async (t) => {
  const previous = process.env['FCN_CACHE_DIR'];
  process.env['FCN_CACHE_DIR'] = await temporaryFolder(t);
  t.teardown(() => {
    if (previous === undefined) delete process.env['FCN_CACHE_DIR'];
    else process.env['FCN_CACHE_DIR'] = previous;
  });
  const experiment = resolve({ row: ROWS[0] });
  const options = { commandWith: flagsAlone, weights: 'published' } as const;
  const check = async (offline: boolean) => {
    const inputs = { ...options, offline, stages: ['train'] } as unknown as InputCheckOptions;
    return [(await checkStart(experiment, inputs))?.check, await checkWeights(experiment, inputs)] as const;
  };
  for (const found of await check(false)) {
    t.is(found?.state, 'ok');
    t.regex(found!.text, /will be fetched from https:.*\.pth$/);
  }
  const deep = resolve({ row: 'fcn_r18b-d8_512x1024_80k_cityscapes' });
  const sized = await checkStart(deep, { commandWith: flagsAlone, stages: ['train'] } as unknown as InputCheckOptions);
  t.regex(sized!.check.text, /^torchvision:\/\/resnet18 \(44\.7 MB\) will be fetched from https:/);
  const [backbone, weights] = await check(true);
  t.like(backbone, {
    state: 'missing',
    next: 'fcn weights fetch fcn_r18-d8_512x1024_80k_cityscapes --backbone --from FILE',
  });
  t.like(weights, { state: 'missing', next: `fcn weights fetch ${ROWS[0]} --from FILE` });
  t.regex(weights!.text, /forbids fetching it\. Download https:/);
});

test('a link that is longer than the column of texts has a line of its own and stays whole', (t) => {
  const link = `https://example.org/${'a'.repeat(50)}`;
  t.is(
    formatChecks([checked(ROWS[0], missing('weights', `There are none. Download ${link} elsewhere.`, 'fcn a'))], 80),
    [
      '✗ weights   There are none. Download',
      `  ${link}`,
      '            elsewhere.',
      '            fcn a',
      '',
      '1 problem: the run would not start.',
    ].join('\n'),
  );
});
