import { readFileSync } from 'node:fs';
import test from 'ava';
import { loadTables } from '../../src/experiments/load.js';
import { resolve } from '../../src/experiments/resolve.js';
import { sharedPath } from '../helpers/shared.js';

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
  schedule: { power: number; min_lr: number };
  precision: string;
  evaluateEvery: number;
  batch: { gpus: number; imagesPerGpu: number };
  train: { imageScale: number[]; ratioRange: number[]; crop: number[]; catMaxRatio: number; flip: number };
  test: { imageScale: number[]; inference: { mode: string; crop_size?: number[]; stride?: number[] } };
}

interface FactHead {
  channels: number;
  numConvs: number;
  concatInput: boolean;
  dilation: number;
  dropout: number;
  lossWeight: number;
}

function head({ channels, numConvs, concatInput, dilation, dropout, lossWeight }: FactHead, input: number) {
  return { input, channels, convolutions: numConvs, concatenateInput: concatInput, dilation, dropout, lossWeight };
}

test('the 29 Cityscapes rows are the published ones, field by field', (t) => {
  const file = sharedPath('facts', 'rows.json');
  if (file === null) {
    t.log('Skipped: the reference facts are not beside the checkout.');
    t.pass();
    return;
  }
  const facts = (JSON.parse(readFileSync(file, 'utf8')) as Fact[]).filter(({ table }) => table === 'Cityscapes');
  const table = loadTables().find(({ name }) => name === 'Cityscapes');
  t.deepEqual(
    table?.rows.map(({ id }) => id),
    facts.map(({ id }) => id),
    'the rows and their order',
  );
  for (const fact of facts) {
    const { mode, crop_size, stride } = fact.test.inference;
    t.deepEqual(resolve({ row: fact.id }) as unknown, {
      row: fact.id,
      table: 'Cityscapes',
      profile: 'full',
      seed: 0,
      method: fact.method,
      backbone: fact.backbone,
      model: {
        depth: fact.model.resnet,
        stem: fact.model.stem.startsWith('deep') ? 'deep' : '7x7',
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
        dataset: 'cityscapes',
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
        precision: fact.precision.slice(0, 4),
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
    });
  }
});
