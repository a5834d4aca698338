import { architecture } from '../network/architecture.js';
import { readInitialWeights } from '../network/initial-weights.js';
import { parameterSpecs } from '../network/parameters.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Deviation } from '../recipe/resolve.js';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File } from '../support/files.js';
import type { WeightsFile } from '../training/start.js';
import { PUBLISHED } from './plan.js';
import { findWeights } from './weights-argument.js';

/** The recipe's initial weights as it names them; null if it has none, or no stage trains. */
function namedWeights({ model }: Experiment, stages: readonly Stage[]): string | null {
  return stages.includes('train') ? (model.initialWeights ?? null) : null;
}

/**
 * Finds the initial weights of a run, without fetching any, and checks that some of them fit the network.
 * @returns Their file, `published`, or null if there are none.
 * @throws UserError if they cannot be used.
 */
export async function requireInitialWeights(
  experiment: Experiment,
  { stages, runs }: { readonly stages: readonly Stage[]; readonly runs: string },
): Promise<string | null> {
  const named = namedWeights(experiment, stages);
  if (named === null) return null;
  const { row, model, weights: url } = experiment;
  if (named === PUBLISHED) {
    const { weightsRequest } = await import('../weights/published.js');
    weightsRequest(row, url);
    return PUBLISHED;
  }
  const { file, run } = await findWeights(named, runs);
  const reference = named.replace(/:(best|last)$/, '');
  if (run !== null && (reference === row || /[*?{]/.test(reference))) {
    throw new UserError(
      `model.initialWeights is ${named}, which would be another run as soon as this one has begun.`,
      'Name one run: ROW/RUN, as fcn runs list shows it.',
    );
  }
  await readInitialWeights(parameterSpecs(architecture(model)), file, model.reset === 'classifier');
  return file;
}

interface InitialisedRun {
  readonly experiment: Experiment;
  readonly deviations: readonly Deviation[];
}

/**
 * The experiment with the content of its initial weights in place of their name: a run is the same if that is, wherever the file
 * lies. Sixteen digits of the SHA-256 fit a line.
 */
export async function withInitialWeights<R extends InitialisedRun>(
  run: R,
  file: string | null,
): Promise<R & { readonly initialWeights: WeightsFile | undefined }> {
  if (file === null) return { ...run, initialWeights: undefined };
  const sha256 = await sha256File(file).catch((error) => {
    throw explainFileError(error, file, 'read');
  });
  const value = `sha256:${sha256.slice(0, 16)}`;
  const path = 'model.initialWeights';
  const { experiment, deviations } = run;
  return {
    ...run,
    experiment: Object.freeze({ ...experiment, model: Object.freeze({ ...experiment.model, initialWeights: value }) }),
    deviations: deviations.map((deviation) => (deviation.path === path ? { ...deviation, value } : deviation)),
    initialWeights: { file, sha256 },
  };
}
