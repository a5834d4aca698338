import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { loadDataset } from '../../src/data/description.js';
import { architecture } from '../../src/network/architecture.js';
import type { Experiment } from '../../src/recipe/experiment.js';
import { hashExperiment, resolveRow } from '../../src/recipe/resolve.js';
import { selectRows } from '../../src/recipe/select.js';
import { LOCAL_TABLE, loadTables, type Row } from '../../src/recipe/tables.js';
import { readFacts } from '../helpers/facts.js';
import { ReadTracker } from '../helpers/read-tracker.js';
import { withShared } from '../helpers/shared.js';

/** A row as the reference facts give it. */
interface Fact {
  id: string;
  table: string;
  method: string;
  backbone: string;
  crop: string;
  iterations: number;
  published: { memoryGB: number | null; fps: number | null; mIoU: number | null; mIoUMsFlip: number | null };
  weights: string;
  log: string;
  model: {
    resnet: number;
    stem: string;
    pretrained: string;
    strides: number[];
    dilations: number[];
    contractDilation: boolean;
    numClasses: number;
    alignCorners: boolean;
    decodeHead: FactHead;
    auxiliaryHead: FactHead & { inIndex: number };
  };
  optimizer: { lr: number; momentum: number; weight_decay: number };
  schedule: { policy: string; power: number; min_lr: number; by_epoch: boolean };
  precision: string;
  evaluateEvery: number;
  batch: { gpus: number; imagesPerGpu: number; norm: string };
  train: FactSplit & {
    dataset: string;
    imageScale: number[];
    ratioRange: number[];
    crop: number[];
    catMaxRatio: number;
    flip: number;
    reduceZeroLabel: boolean;
    dataRoot: string;
  };
  test: FactSplit & {
    imageScale: number[];
    keepRatio: boolean;
    inference: { mode: string; crop_size?: number[]; stride?: number[] };
  };
}

interface FactHead {
  inChannels: number;
  channels: number;
  numConvs: number;
  concatInput: boolean;
  dilation: number;
  dropout: number;
  lossWeight: number;
}

interface FactSplit {
  images: string;
  annotations: string | string[];
  split: string | string[] | null;
}

const STEMS: Readonly<Record<string, string>> = {
  'deep (three 3x3 convs, "V1c")': 'deep',
  '7x7 ("b": torchvision weights)': '7x7',
};

const PRECISIONS: Readonly<Record<string, { precision: string; lossScale: number }>> = {
  // Without effect; one value for all rows, so that any can be trained in half precision.
  fp32: { precision: 'fp32', lossScale: 512 },
  'fp16 mixed, static loss scale 512': { precision: 'fp16', lossScale: 512 },
};

const DATASETS: Readonly<Record<string, string>> = {
  CityscapesDataset: 'cityscapes',
  ADE20KDataset: 'ade20k',
  PascalVOCDataset: 'voc2012-aug',
  PascalContextDataset: 'pascal-context',
  PascalContextDataset59: 'pascal-context-59',
};

function head({ channels, numConvs, concatInput, dilation, dropout, lossWeight }: FactHead, input: number) {
  return { input, channels, convolutions: numConvs, concatenateInput: concatInput, dilation, dropout, lossWeight };
}

/** The experiment that a row must resolve to. */
function expected(fact: Fact): unknown {
  const { mode, crop_size, stride } = fact.test.inference;
  return {
    row: fact.id,
    table: fact.table,
    profile: 'full',
    seed: 0,
    method: fact.method,
    backbone: fact.backbone,
    model: {
      depth: fact.model.resnet,
      stem: STEMS[fact.model.stem],
      width: 64,
      strides: fact.model.strides,
      dilations: fact.model.dilations,
      contractDilation: fact.model.contractDilation,
      classes: fact.model.numClasses,
      alignCorners: fact.model.alignCorners,
      decodeHead: head(fact.model.decodeHead, 3),
      auxiliaryHead: head(fact.model.auxiliaryHead, fact.model.auxiliaryHead.inIndex),
      pretrained: fact.model.pretrained,
    },
    data: {
      dataset: DATASETS[fact.train.dataset],
      imageScaleWh: fact.train.imageScale,
      ratioRange: fact.train.ratioRange,
      cropHw: fact.train.crop,
      categoryMaximumRatio: fact.train.catMaxRatio,
      flipProbability: fact.train.flip,
    },
    training: {
      iterations: fact.iterations,
      batch: fact.batch.gpus * fact.batch.imagesPerGpu,
      learningRate: fact.optimizer.lr,
      minimumLearningRate: fact.schedule.min_lr,
      power: fact.schedule.power,
      momentum: fact.optimizer.momentum,
      weightDecay: fact.optimizer.weight_decay,
      ...PRECISIONS[fact.precision],
      checkpointEvery: fact.evaluateEvery,
      logEvery: 50,
    },
    evaluation: {
      imageScaleWh: fact.test.imageScale,
      mode,
      cropHw: crop_size ?? null,
      strideHw: stride ?? null,
      ratios: [0.5, 0.75, 1, 1.25, 1.5, 1.75],
      limit: null,
    },
    benchmark: { warmup: 5, images: 195, trainingSteps: 3, trainingBatch: fact.batch.imagesPerGpu },
    published: fact.published,
    weights: fact.weights,
    log: fact.log,
  };
}

/** What a recipe has no key for: the program does it one way, or it follows from other keys. */
function compareImplied(t: ExecutionContext, fact: Fact, { model, data }: Experiment): void {
  t.is(fact.crop, data.cropHw.join('x'));
  t.is(fact.schedule.policy, 'poly', 'training/schedule.ts');
  t.false(fact.schedule.by_epoch, 'training/schedule.ts');
  t.is(fact.batch.norm, 'SyncBN over the whole batch', 'nn/unit.ts: statistics over the whole batch');
  t.true(fact.test.keepRatio, 'data/samples/evaluation.ts');
  const { decodeHead, auxiliaryHead } = architecture(model);
  t.is(fact.model.decodeHead.inChannels, decodeHead.convolutions[0]!.inputChannels);
  t.is(fact.model.auxiliaryHead.inChannels, auxiliaryHead.convolutions[0]!.inputChannels);
}

const inOrder = (value: string | string[] | null) => (Array.isArray(value) ? value : [value]);

/** Where the data set's description says that images, labels and lists are. */
async function compareDataset(t: ExecutionContext, fact: Fact, { data }: Experiment): Promise<void> {
  const dataset = await loadDataset(data.dataset);
  t.is(dataset.reduceZeroLabel, fact.train.reduceZeroLabel);
  t.is(dataset.folder, fact.train.dataRoot.replace(/^data\//, '').replace(/\/$/, ''));
  for (const [name, split] of [
    ['train', fact.train],
    ['val', fact.test],
  ] as const) {
    const sources = dataset.splits[name]!;
    t.deepEqual(
      sources.map(({ labels, list }) => ({ labels, list })),
      inOrder(split.annotations).map((labels, i) => ({ labels: labels!, list: inOrder(split.split)[i] ?? null })),
    );
    for (const { images } of sources) t.is(images, split.images);
  }
}

for (const name of ['rows', 'datasets'] as const) {
  withShared('facts', `${name}.json`)(`the facts of ${name} that are kept are those of the reference`, (t, file) => {
    t.deepEqual(readFacts<unknown>(name), JSON.parse(readFileSync(file, 'utf8')));
  });
}

test('the tables and their rows are the published ones, in their order', (t) => {
  const facts = readFacts<Fact[]>('rows');
  const rows: readonly Row[] = selectRows({ all: true });
  t.is(rows.length, 41);
  t.deepEqual(
    rows.map(({ table, id }) => `${table.name}: ${id}`),
    facts.map(({ table, id }) => `${table}: ${id}`),
  );
});

test('every row resolves to the published recipe, and nothing of it is left uncompared', async (t) => {
  const facts = readFacts<Fact[]>('rows');
  const rows = new Map(selectRows({ all: true }).map((row) => [row.id, row]));
  for (const plain of facts) {
    const fact = new ReadTracker(plain);
    const experiment = resolveRow(rows.get(plain.id)!);
    t.deepEqual(experiment as unknown, expected(fact.value));
    compareImplied(t, fact.value, experiment);
    await compareDataset(t, fact.value, experiment);
    t.deepEqual(fact.unread(), [], `${plain.id}: facts that nothing was compared with`);
  }
});

test('the published recipes have not changed', (t) => {
  const hashes = loadTables()
    .filter(({ name }) => name !== LOCAL_TABLE)
    .map(({ name, rows }) => [name, rows.map((row) => `${row.id} ${hashExperiment(resolveRow(row)).slice(0, 12)}`)]);
  t.snapshot(Object.fromEntries(hashes), 'compared with the reference facts by the test above, where they are there');
});
