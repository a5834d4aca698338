import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import { loadBackbone, loadParameters, toEngine } from '../network/load.js';
import type { Segmentor } from '../network/segmentor.js';
import { UserError } from '../support/errors.js';
import { cacheDirectory } from '../support/package.js';
import { readCheckpoint } from '../weights/load.js';
import type { TrainingCheckpoint } from './checkpoint.js';
import type { TrainingStep } from './step.js';

/** Published recipes name their ImageNet backbones SOURCE://NAME; NAME is the file's name in the cache. */
const PUBLISHED_NAME = /^[a-z-]+:\/\/(\w+)$/;

/**
 * Loads a recipe's pretrained backbone: a path to a weights file, or the name of a published one, whose file is
 * `<cache>/pretrained/<name>.pth` or `.safetensors`.
 * @throws UserError if there is no such file, or it does not fit the network.
 */
export async function loadPretrained(engine: Engine, segmentor: Segmentor, pretrained: string): Promise<void> {
  await loadBackbone(engine, segmentor, findPretrained(pretrained));
}

/** Where a recipe's backbone is. `missing`: training cannot start; the error says why. */
export type BackboneState =
  | { readonly state: 'present'; readonly file: string }
  | { readonly state: 'fetchable'; readonly url: string }
  | { readonly state: 'missing'; readonly error: UserError };

/** Looks for a recipe's backbone, without the network and without reading it. */
export async function backboneState(pretrained: string): Promise<BackboneState> {
  try {
    return { state: 'present', file: findPretrained(pretrained) };
  } catch (error) {
    if (error instanceof UserError) return { state: 'missing', error };
    throw error;
  }
}

/** The file of a pretrained backbone. @throws UserError if there is none. */
export function findPretrained(pretrained: string): string {
  const name = PUBLISHED_NAME.exec(pretrained)?.[1];
  const candidates =
    name === undefined
      ? [path.resolve(pretrained)]
      : ['.pth', '.safetensors'].map((extension) => path.join(cacheDirectory(), 'pretrained', `${name}${extension}`));
  const file = candidates.find((candidate) => existsSync(candidate));
  if (file === undefined) {
    throw new UserError(
      `The pretrained backbone ${pretrained} was not found: there is no ${candidates.join(' or ')}.`,
      'Put the file there, or give --set pretrained=FILE; --set pretrained=null trains from scratch (a recorded deviation).',
    );
  }
  return file;
}

/**
 * Restores a training step from a checkpoint: every parameter, running statistic and velocity.
 * @throws UserError if the checkpoint is not of this network.
 */
export async function restoreStep(
  engine: Engine,
  step: TrainingStep,
  { files, progress }: TrainingCheckpoint,
): Promise<void> {
  const { missing, wrongShape } = await loadParameters(engine, step.segmentor, files.weights);
  const wrong = missing[0] ?? wrongShape[0]?.path;
  if (wrong !== undefined || progress === null) {
    throw new UserError(
      `${files.state} is no checkpoint of this recipe${wrong === undefined ? '' : ` (${wrong} does not fit)`}.`,
      'Start a new run with --fresh.',
    );
  }
  const { tensors } = await readCheckpoint(files.optimizer);
  for (const [path, velocity] of tensors) step.optimizer.restore(path, toEngine(engine, velocity));
  step.skipped = progress.skippedSteps;
  step.skippedInARow = progress.skippedInARow;
}
