import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backboneShapes } from '../../src/network/load.js';
import { resolve } from '../../src/recipe/resolve.js';
import { formatChecks, groupChecks, refusalOf } from '../../src/runs/checks.js';
import { checkStart, checkWeights, type InputCheckOptions } from '../../src/runs/input-checks.js';
import { failed, flagsAlone, type RunCheck } from '../../src/runs/run-check.js';
import { UserError } from '../../src/support/errors.js';
import { saveWeights } from '../../src/weights/convert.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROWS = ['fcn_r18-d8_512x1024_80k_cityscapes', 'fcn_r50-d8_512x1024_40k_cityscapes', 'camvid_r18-d8'] as const;

/** Until the test ends. */
function setEnvironment(t: ExecutionContext, values: Readonly<Record<string, string>>): void {
  const before = { ...process.env };
  Object.assign(process.env, values);
  t.teardown(() => {
    process.env = before;
  });
}

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
  t.regex(formatChecks(SERIES, 80, 'nothing would be submitted'), /\n\n2 problems: nothing would be submitted\.$/);
  t.regex(formatChecks([SERIES[2]!], 80), /\n\nNothing is missing: the run would start\.$/);
});

test('the name of a row is left out at the beginning of a text, and stays in paths and names of runs', (t) => {
  const text = (message: string) => failed('weights', 'mine', new UserError(message), []).text;
  t.is(text('mine: no file.'), 'no file.');
  t.is(text('mine needs 3 GB.'), 'The row needs 3 GB.');
  const kept = ['runs/mine/20250102/a.pth has nothing.', 'mine:best is no run.', 'mine/20250102 is no run.'];
  for (const message of kept) t.is(text(message), message);
});

test('a backbone that does not fit the network is missing, with the width that it needs', async (t) => {
  const cwd = await temporaryFolder(t);
  const inputs = { commandWith: flagsAlone, stages: ['train'], offline: false } as unknown as InputCheckOptions;
  const check = async (...overrides: string[]) =>
    (await checkStart(resolve({ row: ROWS[0], overrides }), inputs))?.check;
  const narrow = await check('width=16');
  t.like(narrow, { name: 'backbone', state: 'missing' });
  t.regex(
    narrow!.text,
    /^open-mmlab:\/\/resnet18_v1c: backbone\.\S+ has shape \[32,3,3,3\], the network needs \[8,3,3,3\]/,
  );
  t.is(narrow!.next, '--set width=64\n--set pretrained=FILE\n--set pretrained=null');

  const file = path.join(cwd, 'narrow.safetensors');
  const tensors = [...backboneShapes(resolve({ row: ROWS[0], overrides: ['width=2'] }).model)].map(
    ([name, { shape }]) => ({
      name,
      dtype: 'float32' as const,
      shape,
      data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
    }),
  );
  await saveWeights(file, tensors, {});
  t.like(await check('width=2', `pretrained=${file}`), { state: 'ok' });
  const wider = await check('width=4', `pretrained=${file}`);
  t.like(wider, { state: 'missing', next: '--set pretrained=FILE\n--set pretrained=null' });
  t.regex(wider!.text, /narrow\.safetensors: backbone\.\S+ has shape/);
});

test.serial('a backbone is fetched only if training starts from it, and an error says how to do without', async (t) => {
  const { fetchMissingBackbone } = await import('../../src/runs/fetch.js');
  setEnvironment(t, { FCN_CACHE_DIR: await temporaryFolder(t), FCN_MIRROR: 'https://127.0.0.1:9' });
  const { signal } = new AbortController();
  const options = { offline: false, signal, note: () => {}, display: 'silent' } as const;
  const fetching = (...overrides: string[]) => fetchMissingBackbone(resolve({ row: ROWS[0], overrides }), options);
  await t.notThrowsAsync(fetching('initialWeights=some.pth'));
  await t.notThrowsAsync(fetching('pretrained=null'));
  const error = await t.throwsAsync(fetching(), {
    instanceOf: UserError,
    message: /resnet18_v1c cannot be fetched\. Cannot reach/,
  });
  t.regex(error!.next!, /--backbones --from FILE or put it at .*\. --set pretrained=null trains without it/);
});

test.serial('what can be fetched is not missing, unless --offline forbids it', async (t) => {
  setEnvironment(t, { FCN_CACHE_DIR: await temporaryFolder(t) });
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
    next: 'fcn weights fetch --backbones --from FILE\n--set pretrained=null',
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
