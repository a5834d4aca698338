import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import {
  formatInitialWeights,
  type InitialWeightsReport,
  loadInitialWeights,
  readInitialWeights,
} from '../network/initial-weights.js';
import { formatLoadReport } from '../network/load.js';
import type { Segmentor } from '../network/segmentor.js';
import { backboneOf } from '../recipe/backbones.js';
import type { Experiment } from '../recipe/experiment.js';
import { type LoadedBackbone, loadPretrained, writeLoadedBackbone } from './pretrained.js';

export interface WeightsFile {
  readonly file: string;
  readonly sha256: string;
}

/** Initial weights, and how they fitted the network. */
export interface FittedInitialWeights extends WeightsFile, Omit<InitialWeightsReport, 'loaded'> {
  readonly loaded: number;
}

interface StartOptions {
  readonly experiment: Experiment;
  readonly engine: Engine;
  /** The run directory. */
  readonly directory: string;
  /** The file of the recipe's initial weights, if it has any. */
  readonly initialWeights?: WeightsFile | undefined;
  /** Never fetch a missing backbone. */
  readonly offline?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly beforeWrite?: (() => Promise<void>) | undefined;
  /** Gets a message about what was loaded. */
  readonly note?: ((text: string) => void) | undefined;
}

/** What a training started from; neither if all weights were drawn. */
interface TrainingStart {
  readonly initialWeights?: FittedInitialWeights;
  readonly backbone?: LoadedBackbone;
}

const resetsClassifier = ({ model }: Experiment) => model.reset === 'classifier';

/**
 * Draws the weights of a new training, then loads what the recipe starts from: its initial weights, which take the place of a
 * backbone, or else its backbone.
 * @throws UserError if these cannot be read or do not fit.
 */
export async function startTraining(options: StartOptions, segmentor: Segmentor): Promise<TrainingStart> {
  const { experiment, engine, initialWeights: given, note } = options;
  const pretrained = backboneOf(experiment.model);
  segmentor.initialise(experiment.seed, pretrained !== null || given !== undefined);
  if (given === undefined) {
    return pretrained === null ? {} : { backbone: await startFromBackbone(options, segmentor, pretrained) };
  }
  const isReset = resetsClassifier(experiment);
  const report = await loadInitialWeights(engine, segmentor, given.file, isReset);
  note?.(formatInitialWeights(report, path.basename(given.file), isReset));
  return { initialWeights: fitted(given, report) };
}

async function startFromBackbone(
  { engine, directory, note, beforeWrite, offline, signal }: StartOptions,
  segmentor: Segmentor,
  pretrained: string,
): Promise<LoadedBackbone> {
  const backbone = await loadPretrained(engine, segmentor, pretrained, { offline, signal });
  note?.(formatLoadReport('Backbone', backbone.loadReport));
  await beforeWrite?.();
  await writeLoadedBackbone(directory, backbone);
  return backbone;
}

/** How the initial weights of a training that is resumed fitted; the values are not read. */
export async function fitInitialWeights(
  { experiment, initialWeights: given }: StartOptions,
  segmentor: Segmentor,
): Promise<FittedInitialWeights | undefined> {
  if (given === undefined) return undefined;
  const { report } = await readInitialWeights(segmentor.parameters.specs, given.file, resetsClassifier(experiment));
  return fitted(given, report);
}

/** The file's folder means nothing elsewhere. */
function fitted({ file, sha256 }: WeightsFile, report: InitialWeightsReport): FittedInitialWeights {
  return { file: path.basename(file), sha256, ...report, loaded: report.loaded.length };
}
