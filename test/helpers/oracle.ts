import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Engine } from '../../src/engines/engine.js';
import type { HeadRecipe, ModelRecipe } from '../../src/experiments/experiment.js';
import type { Kernels } from '../../src/kernels/kernels.js';
import { loadParameters } from '../../src/nn/load.js';
import { Segmentor } from '../../src/nn/segmentor.js';
import { type NpyArray, readFloats } from './npy.js';
import { sharedPath } from './shared.js';

/** One network of the reference data: see oracle/README.md beside the checkout. */
export interface OracleCase {
  readonly name: string;
  readonly model: ModelRecipe;
  readonly meta: CaseMeta;
  file(name: string): string;
  json<T>(name: string): T;
}

interface HeadMeta {
  readonly channels: number;
  readonly num_convs: number;
  readonly concat_input: boolean;
  readonly dilation: number;
}

export interface CaseMeta {
  readonly width: { readonly base_channels: number };
  readonly backbone: {
    readonly depth: ModelRecipe['depth'];
    readonly deep_stem: boolean;
    readonly strides: ModelRecipe['strides'];
    readonly dilations: ModelRecipe['dilations'];
    readonly contract_dilation: boolean;
  };
  readonly decode_head: HeadMeta;
  readonly auxiliary_head: HeadMeta;
  readonly num_classes: number;
  readonly align_corners: boolean;
  readonly test: {
    readonly mode_of_config: 'whole' | 'slide';
    readonly img_scale_wh: readonly [number, number];
    readonly slide_crop_hw: readonly [number, number];
    readonly slide_stride_hw: readonly [number, number];
    readonly ratios: readonly number[];
  };
  readonly argmax_margins: Readonly<Record<string, { readonly pixels: number; readonly below_1e_4: number }>>;
}

/** The names of all cases; empty where the reference data is absent. */
export function oracleCaseNames(): string[] {
  const folder = sharedPath('oracle', 'cases');
  return folder === null ? [] : readdirSync(folder).sort();
}

export function oracleCase(name: string): OracleCase {
  const folder = sharedPath('oracle', 'cases', name);
  if (folder === null) throw new Error(`The reference case ${name} is not there.`);
  const file = (entry: string) => path.join(folder, entry);
  const json = <T>(entry: string) => JSON.parse(readFileSync(file(entry), 'utf8')) as T;
  const meta = json<CaseMeta>('meta.json');
  const width = meta.width.base_channels;
  const head = (recipe: HeadMeta, input: number, lossWeight: number): HeadRecipe => ({
    input,
    channels: (recipe.channels * 64) / width,
    convolutions: recipe.num_convs,
    concatenateInput: recipe.concat_input,
    dilation: recipe.dilation,
    dropout: 0,
    lossWeight,
  });
  const model: ModelRecipe = {
    depth: meta.backbone.depth,
    stem: meta.backbone.deep_stem ? 'deep' : '7x7',
    width,
    strides: meta.backbone.strides,
    dilations: meta.backbone.dilations,
    contractDilation: meta.backbone.contract_dilation,
    classes: meta.num_classes,
    alignCorners: meta.align_corners,
    decodeHead: head(meta.decode_head, 3, 1),
    auxiliaryHead: head(meta.auxiliary_head, 2, 0.4),
    pretrained: null,
  };
  return { name, model, meta, file, json };
}

/** The case's network with its weights. */
export async function oracleSegmentor(engine: Engine, kernels: Kernels, oracle: OracleCase): Promise<Segmentor> {
  const segmentor = new Segmentor(engine.tf, kernels, oracle.model);
  segmentor.initialise(0, false);
  await loadParameters(engine, segmentor, oracle.file('model.pth'));
  return segmentor;
}

/** NCHW values of a .npy file in NHWC order, with the NHWC shape. */
export function nhwc({ shape, data }: NpyArray<Float32Array>): {
  shape: [number, number, number, number];
  data: Float32Array;
} {
  const [n, c, h, w] = shape as [number, number, number, number];
  const result = new Float32Array(data.length);
  for (let image = 0; image < n; image++) {
    for (let channel = 0; channel < c; channel++) {
      for (let pixel = 0; pixel < h * w; pixel++) {
        result[(image * h * w + pixel) * c + channel] = data[(image * c + channel) * h * w + pixel]!;
      }
    }
  }
  return { shape: [n, h, w, c], data: result };
}

/** A NCHW .npy file of a case as NHWC values. */
export function readNhwc(oracle: OracleCase, name: string): ReturnType<typeof nhwc> {
  return nhwc(readFloats(oracle.file(`${name}.npy`)));
}
