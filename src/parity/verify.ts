import type { ConvolutionMode, Engine, EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/selection.js';
import { createKernels } from '../kernels/create.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { formatSeconds } from '../support/format.js';
import { type Pause, pauses } from '../support/pauses.js';
import { wildcardExpression } from '../support/suggest.js';
import { type DisplayMode, type ShownStage, showStages } from '../terminal/display.js';
import { terminalTable } from '../terminal/layout.js';
import { type Check, Collector, type Findings } from './check.js';
import { checkpointChecks } from './checkpoints.js';
import { metricsChecks } from './metrics.js';
import { isHead, NetworkCase, weightsChecks } from './network/case.js';
import { inferenceChecks } from './network/inference.js';
import { firstStepChecks, trajectoryChecks } from './network/training.js';
import {
  caseNames,
  type OtherPart,
  openSet,
  type ReferenceFolder,
  type ReferenceSet,
  shippedSet,
} from './reference-set.js';
import {
  checkCategoryRule,
  checkCrop,
  checkFlip,
  checkHsv,
  checkPhotometric,
  checkResize,
  checkSizes,
  TransformReference,
} from './transforms/geometry.js';
import {
  checkNormalise,
  checkPad,
  checkTestViews,
  checkTrainingSamples,
  checkZeroLabel,
} from './transforms/samples.js';

interface TransformPart {
  /** Folder in the pipeline's reference; null: the pipeline's own. */
  readonly folder: string | null;
  /** Lists the part's cases. */
  readonly file: string;
  /** Whether it needs the source images. */
  readonly sources: boolean;
  readonly run: (folder: ReferenceFolder, findings: Collector, reference: TransformReference) => void | Promise<void>;
}

/** The data transforms that have a reference, by name. */
const TRANSFORMS = {
  sizes: { folder: null, file: 'rescale_sizes.json', sources: false, run: checkSizes },
  resize: { folder: 'resize', file: 'cases.json', sources: true, run: checkResize },
  crop: { folder: 'crop', file: 'cases.json', sources: true, run: checkCrop },
  'category rule': { folder: 'crop', file: 'cat_cases.json', sources: true, run: checkCategoryRule },
  flip: { folder: 'flip', file: 'cases.json', sources: true, run: checkFlip },
  HSV: { folder: 'hsv', file: 'hsv.npy', sources: false, run: checkHsv },
  photometric: { folder: 'photo', file: 'cases.json', sources: true, run: checkPhotometric },
  normalise: { folder: 'normalize', file: 'cases.json', sources: false, run: checkNormalise },
  pad: { folder: 'pad', file: 'cases.json', sources: true, run: checkPad },
  'training samples': { folder: 'full', file: 'cases.json', sources: true, run: checkTrainingSamples },
  'test views': { folder: 'msflip', file: 'cases.json', sources: true, run: checkTestViews },
  'zero label': { folder: null, file: 'reduce_zero_label.json', sources: false, run: checkZeroLabel },
} as const satisfies Record<string, TransformPart>;

export type TransformName = keyof typeof TRANSFORMS;

/**
 * Compares data transforms with the reference in `top`, a set's `pipeline` folder.
 * @throws UserError if a file is damaged.
 */
export async function transformChecks(
  top: ReferenceFolder,
  names: readonly TransformName[] = Object.keys(TRANSFORMS) as TransformName[],
): Promise<Findings> {
  const findings = new Collector('pipeline');
  const reference = new TransformReference(top);
  for (const name of names) {
    const { folder: subfolder, file, sources, run }: TransformPart = TRANSFORMS[name];
    const folder = subfolder === null ? top : top.folder(subfolder);
    const hasSources = top.list().files.some((entry) => /^in_.*\.(png|npy)$/.test(entry));
    if (!folder.has(file) || (sources && !hasSources)) findings.missing(name);
    else await run(folder, findings, reference);
  }
  return findings;
}

interface VerifyOptions {
  readonly engine: EngineName | 'auto';
  readonly convolution: ConvolutionMode;
  /** Folder of a set of reference data; default: the one that comes with the package. */
  readonly reference?: string | undefined;
  /** Only cases with matching names; may contain `*` and `?`. */
  readonly cases?: string | undefined;
  readonly signal: AbortSignal;
  readonly display: DisplayMode;
}

export interface Verification {
  readonly passed: boolean;
  readonly engine: EngineName;
  readonly device: Engine['device'];
  readonly convolution: ConvolutionMode;
  readonly versions: Engine['versions'];
  /** Folder of the reference data. */
  readonly set: string;
  readonly checks: readonly Check[];
  /** Quantities for which the set has no reference. */
  readonly absent: readonly { readonly case: string; readonly quantity: string }[];
  /** Files of the set that no check reads. */
  readonly unread: readonly string[];
  readonly seconds: number;
}

/**
 * Compares this program on an engine with reference data of the original, case by case.
 * @throws UserError if the set is empty, damaged or has no case of that name; InterruptedError on abort.
 */
export async function verify(options: VerifyOptions): Promise<Verification> {
  const start = performance.now();
  const set = openSet(options.reference ?? shippedSet());
  const chosen = chooseCases(set, options.cases);
  const { signal } = options;
  const message = 'Verification interrupted.';
  const pause = pauses({ signal, message });
  const engine = await startEngine(options);
  const results: { name: string; findings: Findings }[] = [];
  const stages = chosen.map(
    (name): ShownStage => ({
      title: name,
      run: async (say) => {
        if (signal.aborted) throw InterruptedError.of(signal, message);
        const started = performance.now();
        const findings = await checkCase(engine, set, name, { say, pause });
        results.push({ name, findings });
        const failed = findings.checks.filter(({ passed }) => !passed).length;
        const seconds = formatSeconds((performance.now() - started) / 1000);
        return `${findings.checks.length} checks, ${failed === 0 ? 'all pass' : `${failed} FAIL`}, ${seconds}`;
      },
    }),
  );
  await showStages(stages, options.display);
  const checks = results.flatMap(({ findings }) => findings.checks);
  return {
    // A set without comparisons proves nothing.
    passed: checks.length > 0 && checks.every(({ passed }) => passed),
    engine: engine.name,
    device: engine.device,
    convolution: engine.convolution,
    versions: engine.versions,
    set: set.root.path,
    checks,
    absent: results.flatMap(({ name, findings }) => findings.absent.map((quantity) => ({ case: name, quantity }))),
    unread: set.networks.filter(({ name }) => chosen.includes(name)).flatMap((folder) => folder.unread()),
    seconds: (performance.now() - start) / 1000,
  };
}

function chooseCases(set: ReferenceSet, pattern: string | undefined): string[] {
  const names = caseNames(set);
  const chosen = pattern === undefined ? names : names.filter((name) => wildcardExpression(pattern).test(name));
  if (chosen.length > 0) return chosen;
  throw new UserError(
    names.length === 0 ? `${set.root.path} has no case.` : `No case of ${set.root.path} is named ${pattern}.`,
    names.length === 0 ? undefined : `The cases are: ${names.join(', ')}.`,
  );
}

interface Progress {
  readonly say: (progress: string) => void;
  readonly pause: Pause;
}

async function checkCase(engine: Engine, set: ReferenceSet, name: string, progress: Progress): Promise<Findings> {
  const network = set.networks.find((folder) => folder.name === name);
  return network === undefined ? checkPart(set, name as OtherPart) : checkNetwork(engine, network, progress);
}

function checkPart({ root }: ReferenceSet, part: OtherPart): Findings | Promise<Findings> {
  const folder = root.folder(part);
  switch (part) {
    case 'pipeline':
      return transformChecks(folder);
    case 'metrics':
      return metricsChecks(folder);
    case 'checkpoints':
      return checkpointChecks(folder);
  }
}

async function checkNetwork(engine: Engine, folder: ReferenceFolder, { say, pause }: Progress): Promise<Findings> {
  const networkCase = NetworkCase.read(folder);
  const kernels = createKernels(engine);
  const parts = [
    { title: 'weights', run: () => weightsChecks(networkCase) },
    { title: 'inference', run: () => inferenceChecks(engine, kernels, networkCase, pause) },
    { title: 'first training step', run: () => firstStepChecks(engine, kernels, networkCase, pause) },
    { title: 'low-rate steps', run: () => trajectoryChecks(engine, kernels, networkCase, pause) },
  ];
  const findings: Findings[] = [];
  for (const { title, run } of parts) {
    say(title);
    findings.push(await run());
  }
  return {
    checks: findings.flatMap(({ checks }) => checks),
    absent: findings.flatMap(({ absent }) => absent),
  };
}

/** Colours a text as good or bad, or returns it unchanged. */
type Paint = (text: string, good: boolean) => string;

/** A difference or a tolerance: counts in full, anything else with two digits. */
function formatAmount(value: number, unit: Check['unit']): string {
  if (!Number.isFinite(value)) return 'no number';
  if (unit === 'pixels') return `${value} px`;
  if (unit === 'files') return String(value);
  if (unit === 'levels') return `${Number(value.toPrecision(2))} lv`;
  return value === 0 ? '0' : value.toExponential(1).replace('.0e', 'e');
}

/** The kind of a quantity: its name without a network's image or parameter, a set of label maps, or a file. */
function kindOf({ case: name, quantity }: { readonly case: string; readonly quantity: string }): string {
  if (name === 'metrics') return quantity.replace(/^[^,]+, /, '');
  if (name === 'checkpoints') return quantity.replace(/^\w+_(?:zip|legacy)/, 'tensors');
  return quantity
    .replace(/^gradient of (.*)/, (_, parameter) => `gradients, ${isHead(parameter) ? 'heads' : 'backbone'}`)
    .replace(/ \w$/, '');
}

/** "All 150 checks of 43 kinds pass, in 12 s." and "Not in this set: resized logits." */
function summaryLines({ checks, absent, seconds, passed }: Verification, paint: Paint): string[] {
  const kinds = new Set(checks.map(kindOf));
  const failed = checks.filter((check) => !check.passed).length;
  const total = `${checks.length} checks of ${kinds.size} kinds`;
  const verdict = passed ? `All ${total} pass` : `${failed} of ${total} fail`;
  const missing = new Set(absent.map(kindOf).filter((kind) => !kinds.has(kind)));
  return [
    paint(`${verdict}, in ${formatSeconds(seconds)}.`, passed),
    ...(missing.size === 0 ? [] : [`Not in this set: ${[...missing].join(', ')}.`]),
  ];
}

/** The table of a verification, its failures again, the number of checks, and the kinds for which the set has no reference. */
export function formatVerification(found: Verification, paint: Paint): string {
  const { checks, unread, engine, device, convolution, versions, set } = found;
  const table = terminalTable({
    head: ['Case', 'Quantity', 'Tolerance', 'Worst', 'Verdict'],
    body: checks.map((check) => [
      check.case,
      check.quantity,
      formatAmount(check.tolerance, check.unit),
      formatAmount(check.difference, check.unit),
      paint(check.passed ? 'pass' : 'FAIL', check.passed),
    ]),
  });
  const failures = checks.filter((check) => !check.passed);
  const libraries = Object.entries(versions).map(([library, version]) => `${library} ${version}`);
  return [
    table,
    'px: pixels; lv: levels of 255; other figures are relative or absolute (--json says which, and why).',
    ...(unread.length === 0 ? [] : ['', 'Files that no check reads:', ...unread.map((file) => `  ${file}`)]),
    ...(failures.length === 0 ? [] : ['', paint('Failures:', false), ...failures.flatMap(failureLines)]),
    '',
    `${engine} engine on ${device}, ${convolution} convolutions: ${libraries.join(', ')}`,
    `reference ${set}`,
    ...summaryLines(found, paint),
  ].join('\n');
}

function failureLines({ case: name, quantity, difference, tolerance, unit, at, reason }: Check): string[] {
  const measured = `${formatAmount(difference, unit)}, at most ${formatAmount(tolerance, unit)}`;
  return [`  ${name}, ${quantity}: ${measured}`, `    worst at ${at}; ${reason}`];
}
