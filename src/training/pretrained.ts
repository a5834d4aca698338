import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Engine } from '../engines/engine.js';
import { architecture, otherSizes } from '../network/architecture.js';
import {
  backboneShapes,
  fitBackbone,
  loadBackbone,
  loadParameters,
  loadSummarySchema,
  summarise,
  toEngine,
} from '../network/load.js';
import { parameterSpecs } from '../network/parameters.js';
import type { Segmentor } from '../network/segmentor.js';
import { findBackbone } from '../recipe/backbones.js';
import type { ModelRecipe } from '../recipe/experiment.js';
import { OverridesNeeded } from '../recipe/overrides.js';
import { selectRows } from '../recipe/select.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256Once } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';
import { cacheDirectory } from '../support/package.js';
import { readCheckpoint } from '../weights/load.js';
import {
  type FetchedFile,
  type FetchSettings,
  type FileRequest,
  fetchFile,
  findCached,
  notInCache,
} from '../weights/published.js';
import { backboneRequest } from '../weights/requests.js';
import type { TrainingCheckpoint } from './checkpoint-read.js';
import type { TrainingStep } from './step.js';

/** The backbone that a training started from. */
export const loadedBackboneSchema = z.strictObject({
  /** Name of the file, without the folder, which means nothing elsewhere. */
  file: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal'),
  loadReport: loadSummarySchema,
});
export type LoadedBackbone = z.output<typeof loadedBackboneSchema>;

/** In the run directory: a training that resumes from a checkpoint does not load the backbone again. */
const fileOf = (directory: string) => path.join(directory, 'backbone.json');

/** Notes in the run directory what the training starts from. */
export async function writeLoadedBackbone(directory: string, backbone: LoadedBackbone): Promise<void> {
  await writeSealed(fileOf(directory), backbone);
}

/** What the training of a run directory started from; undefined if that was not noted, or the note is damaged. */
export async function readLoadedBackbone(directory: string): Promise<LoadedBackbone | undefined> {
  return loadedBackboneSchema.safeParse(await readSealed(fileOf(directory))).data;
}

/**
 * The published recipes name their ImageNet backbones as SOURCE://NAME. NAME is also that of a file, `.pth` or `.safetensors`, that a
 * user may put into `pretrained/` in the cache.
 */
const PUBLISHED_NAME = /^[a-z-]+:\/\/(\w+)$/;

/**
 * Where a recipe's backbone is. `fetchable`: not here, but it is fetched when training starts. `missing`: training cannot start; the
 * error says what to do.
 */
type BackboneState =
  /** `isOwn`: a file of the user's; otherwise a published one in the cache, with the right hash. */
  | { readonly state: 'present'; readonly file: string; readonly isOwn: boolean }
  /** `bytes`: null if the size is not known. */
  | { readonly state: 'fetchable'; readonly request: FileRequest; readonly bytes: number | null }
  /** `request`: the file that would be fetched if that were allowed. */
  | { readonly state: 'missing'; readonly error: UserError; readonly request?: FileRequest };

/**
 * Looks for a recipe's backbone, without the network. It is a path or the name of a published one: that is the file that a user has
 * put into the cache under its short name, or a published file in the cache, if it has the right hash.
 * @throws UserError if a file in the cache cannot be read.
 */
export async function backboneState(
  pretrained: string,
  { offline = false, signal }: Pick<FetchSettings, 'offline' | 'signal'> = {},
): Promise<BackboneState> {
  const backbone = await findBackbone(pretrained);
  const request = backbone === null ? null : backboneRequest(backbone);
  const own = ownFiles(pretrained);
  const ownFile = own.find((place) => existsSync(place));
  if (ownFile !== undefined) return { state: 'present', file: ownFile, isOwn: true };
  if (request === null) return { state: 'missing', error: nowhere(pretrained, own) };
  const cached = await findCached(request, { signal });
  if (cached !== null) return { state: 'present', file: cached.file, isOwn: false };
  return offline
    ? { state: 'missing', error: await notInCache(request, { signal }), request }
    : { state: 'fetchable', request, bytes: backbone?.bytes ?? null };
}

/** A path's file; for a published name, where a user may put the file under the short name. Its hash is not checked. */
function ownFiles(pretrained: string): string[] {
  const name = PUBLISHED_NAME.exec(pretrained)?.[1];
  if (name === undefined) return [path.resolve(pretrained)];
  return ['.pth', '.safetensors'].map((extension) => path.join(cacheDirectory(), 'pretrained', `${name}${extension}`));
}

function nowhere(pretrained: string, places: readonly string[]): UserError {
  if (/^https?:/.test(pretrained)) {
    return new UserError(
      `The pretrained backbone ${pretrained} is no link to a file that could be checked.`,
      'Give an https link whose last part ends in a hyphen, the first 8 hexadecimal digits of the SHA-256, and .pth or .safetensors.',
    );
  }
  return new UserError(
    `The pretrained backbone ${pretrained} is not there: looked for ${places.join(' and ')}.`,
    'Put the file there, or give --set pretrained=FILE; --set pretrained=null trains from scratch (a recorded deviation).',
  );
}

/**
 * The file of a recipe's backbone; a published one is fetched unless it is in the cache.
 * @throws UserError if it is not here and cannot be fetched; the signal's reason on abort.
 */
export async function fetchBackbone(
  pretrained: string,
  settings: FetchSettings,
): Promise<Pick<FetchedFile, 'file' | 'sha256'>> {
  const found = await backboneState(pretrained, settings);
  if (found.state === 'missing') throw found.error;
  if (found.state === 'present' && found.isOwn) {
    const { file } = found;
    const sha256 = await sha256Once(file, settings.signal).catch((error) => {
      throw explainFileError(error, file, 'read');
    });
    return { file, sha256 };
  }
  return fetchFile(backboneRequest((await findBackbone(pretrained))!), settings);
}

/** The network whose backbone is published under this name, as the rows have it that start from it; undefined if there is none. */
function publishedNetwork(pretrained: string): ModelRecipe | undefined {
  return selectRows({ all: true }).find(({ recipe }) => recipe.model.pretrained === pretrained)?.recipe.model;
}

/**
 * Checks by names and shapes that a recipe's backbone fits its network, as `loadPretrained` does, without fetching it: by the file
 * or, of a published one, by the network that it is of. A link of the user's whose file is not here is not checked.
 * @throws OverridesNeeded if a published one would fit another size of the network; UserError if a file does not fit or cannot be
 * read.
 */
export async function requireFittingBackbone(
  model: ModelRecipe,
  pretrained: string,
  found: BackboneState,
): Promise<void> {
  const specs = parameterSpecs(architecture(model));
  const isOwn = found.state === 'present' && found.isOwn;
  const published = isOwn ? undefined : publishedNetwork(pretrained);
  if (published !== undefined) {
    try {
      fitBackbone(specs, backboneShapes(published), pretrained);
    } catch (error) {
      const needed = otherSizes(published, model);
      if (!(error instanceof UserError) || needed.length === 0) throw error;
      throw new OverridesNeeded(error.message, needed, { cause: error });
    }
  } else if (isOwn) {
    fitBackbone(specs, (await readCheckpoint(found.file)).tensors, found.file);
  }
}

/**
 * Loads a recipe's backbone into a network.
 * @throws UserError as `fetchBackbone`, or if it does not fit the network.
 */
export async function loadPretrained(
  engine: Engine,
  segmentor: Segmentor,
  pretrained: string,
  settings: FetchSettings,
): Promise<LoadedBackbone> {
  const { file, sha256 } = await fetchBackbone(pretrained, settings);
  const report = await loadBackbone(engine, segmentor, file);
  return { file: path.basename(file), sha256, loadReport: summarise(report) };
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
