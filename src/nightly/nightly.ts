import { median } from '../measurement/roofline.js';
import { findKeptRecords } from '../records/folder.js';
import { UserError } from '../support/errors.js';
import { writeFileAtomic } from '../support/files.js';
import { formatBytes } from '../support/format.js';
import { plain, type Section } from '../tables/document.js';
import { writeMarkdown } from '../tables/markdown.js';
import { sparklineOf } from '../terminal/layout.js';
import { type Gate, type Judgement, judgeNight, loadGates, soundNights } from './gates.js';
import {
  appendNight,
  joinShards,
  NIGHT_PARTS,
  type Night,
  type Quantity,
  readNightHistory,
  readNights,
} from './history.js';
import { missingFigures, nightOfRecord } from './measurements.js';

function formatValue(value: number | string | null, quantity: Quantity): string {
  if (value === null) return '–';
  if (typeof value === 'string') return value.slice(0, 12);
  return quantity.endsWith('Bytes') ? formatBytes(value) : String(Number(value.toPrecision(4)));
}

function formatRule({ rule, of }: Gate): string {
  const percent = (share: number) => `${Number((100 * share).toPrecision(3))} %`;
  const median = of === 'median' ? ', the median over all' : '';
  if ('staysEqual' in rule) return 'stays equal';
  if ('atMost' in rule) return `at most ${rule.atMost}`;
  if ('within' in rule) return `within ${rule.within} of the baseline`;
  return 'growsBy' in rule
    ? `grows by at most ${percent(rule.growsBy)}${median}`
    : `falls by at most ${percent(rule.fallsBy)}${median}`;
}

/** One line: the gate, the figure, its baseline, the rule and the reason for it. */
export function failureLine({ gate, subject, value, baseline, note }: Judgement): string {
  const compared =
    baseline === null || 'atMost' in gate.rule ? '' : `, baseline ${formatValue(baseline, gate.quantity)}`;
  const figure =
    gate.of === 'median'
      ? `ratio to the baseline ${Number(value).toPrecision(3)}`
      : `${formatValue(value, gate.quantity)}${compared}`;
  const details = note === null ? '' : ` (${note})`;
  return `${gate.name}: ${gate.quantity} of ${subject}${details}: ${figure}; ${formatRule(gate)}: ${gate.reason}`;
}

function askedLines({ asked: { parts, rows } }: Night): string[] {
  const others = NIGHT_PARTS.filter((part) => !parts.includes(part));
  const patterns = parts.includes('smoke') && rows !== null ? rows.map((row) => `\`${row}\``) : null;
  return [
    ...(others.length === 0 ? [] : [`- not asked for: ${others.join(', ')}`]),
    ...(patterns === null ? [] : [`- smoke runs only of ${patterns.join(', ')}`]),
  ];
}

function leftOutLines({ leftOut }: Night): string[] {
  return leftOut.map(({ part, quantities, reason }) => {
    const what = quantities === undefined ? part : `${quantities.join(', ')} of ${part}`;
    return `- left out: ${what}: ${reason}`;
  });
}

function hardwareOf({ measurements }: Night): string[] {
  return [...new Set(measurements.map(({ hardware }) => hardware))];
}

const NIGHTS_SHOWN = 30;

/** The median of a quantity over its subjects, night by night, on the engine and hardware of the last night. */
function medians(nights: readonly Night[], quantity: Quantity): number[] {
  const last = nights.at(-1)!;
  const hardware = hardwareOf(last);
  return nights
    .filter(({ engine }) => engine === last.engine)
    .flatMap(({ measurements }) => {
      const values = measurements.flatMap((one) =>
        one.quantity === quantity && hardware.includes(one.hardware) && typeof one.value === 'number' ? one.value : [],
      );
      return values.length === 0 ? [] : [median(values)];
    })
    .slice(-NIGHTS_SHOWN);
}

const barsOf = (values: readonly number[]) => (values.length < 2 ? '' : sparklineOf(values));

function gatesSection(judgements: readonly Judgement[], nights: readonly Night[]): Section {
  const gates = [...new Set(judgements.map(({ gate }) => gate))];
  return {
    title: 'Gates',
    table: {
      head: ['Gate', 'Rule', 'Result', 'Median', 'Last nights'],
      body: gates.map((gate) => {
        const ofGate = judgements.filter((judgement) => judgement.gate === gate);
        const count = (verdict: Judgement['verdict']) => ofGate.filter((one) => one.verdict === verdict).length;
        const counts = (['fail', 'pass', 'no baseline', 'not measured'] as const)
          .filter((verdict) => count(verdict) > 0)
          .map((verdict) => (verdict === 'not measured' ? verdict : `${count(verdict)} ${verdict}`));
        const values = medians(nights, gate.quantity);
        return [
          gate.name,
          `${gate.quantity} ${formatRule(gate)}`,
          `${count('fail') > 0 ? '❌ ' : ''}${counts.join(', ')}`,
          formatValue(values.at(-1) ?? null, gate.quantity),
          barsOf(values),
        ].map(plain);
      }),
    },
    notes: [],
  };
}

const ROW_COLUMNS: readonly (readonly [heading: string, quantity: Quantity])[] = [
  ['mIoU', 'mIoU'],
  ['ms+flip', 'mIoUMsFlip'],
  ['Training tensors', 'trainingTensorBytes'],
  ['Training share', 'trainingShare'],
  ['Inference share', 'inferenceShare'],
];

/** The figures of each row in the last night, and its mIoU in the last nights. */
function rowsSection(nights: readonly Night[]): Section[] {
  const night = nights.at(-1)!;
  const value = ({ measurements }: Night, quantity: Quantity, subject: string) =>
    measurements.find((one) => one.quantity === quantity && one.subject === subject)?.value ?? null;
  const rows = night.measurements.filter(({ quantity }) => quantity === 'recipe').map(({ subject }) => subject);
  if (rows.length === 0) return [];
  const body = rows.map((row) => {
    const past = nights
      .filter(({ engine }) => engine === night.engine)
      .map((one) => value(one, 'mIoU', row))
      .filter((mIoU) => typeof mIoU === 'number')
      .slice(-NIGHTS_SHOWN);
    const figures = ROW_COLUMNS.map(([, quantity]) => formatValue(value(night, quantity, row), quantity));
    return [row, ...figures, barsOf(past)].map(plain);
  });
  const head = ['Row', ...ROW_COLUMNS.map(([heading]) => heading), 'mIoU of last nights'];
  const note =
    'Figures of the smoke profile: they show that everything works, no more. Shares are of the rate of a bare convolution.';
  return [{ title: 'Smoke runs', table: { head, body }, notes: [plain(note)] }];
}

/**
 * Markdown for a job's page: the failures, then the gates and the rows with their figures of the last nights.
 * @param history Oldest first, without the night itself.
 */
export function nightSummary(night: Night, judgements: readonly Judgement[], history: readonly Night[]): string {
  const failures = [...night.problems, ...judgements.filter(({ verdict }) => verdict === 'fail').map(failureLine)];
  const nights = [...history, night];
  const verdict = failures.length === 0 ? 'No gate failed' : `${failures.length} failed`;
  const sections = [gatesSection(judgements, nights), ...rowsSection(nights)];
  return [
    `## Nightly: ${verdict}`,
    [
      `- ${night.at}, fcn ${night.version}${night.commit === null ? '' : `, commit ${night.commit.slice(0, 12)}`}`,
      ...(night.measurements.length === 0 ? [] : [`- ${hardwareOf(night).join('; ')}`]),
      ...askedLines(night),
      ...leftOutLines(night),
      ...(night.accepted === null ? [] : [`- accepted as baseline: ${night.accepted}`]),
    ].join('\n'),
    ...(failures.length === 0 ? [] : [['```', ...failures, '```'].join('\n')]),
    writeMarkdown(sections),
  ].join('\n\n');
}

interface JudgeOptions {
  /** File; default: the package's gates. */
  readonly gates?: string | undefined;
  /** File; it need not exist yet. */
  readonly history: string;
  /** Folder; its kept smoke records count as the oldest nights. */
  readonly results: string;
  /** The reason for comparing later nights with this one. */
  readonly accept?: string | undefined;
}

interface JudgedNight {
  readonly night: Night;
  readonly judgements: readonly Judgement[];
  /** Markdown. */
  readonly summary: string;
  /** Problems and failed gates, one line each. */
  readonly failures: readonly string[];
}

/** Judges a night and adds it to the history. @throws UserError if nothing was measured: the history gets no line then. */
export async function closeNight(measured: Night, options: JudgeOptions): Promise<JudgedNight> {
  const gates = await loadGates(options.gates);
  requireFigures(measured);
  const history = readNightHistory(options.history);
  const kept = findKeptRecords(options.results).map(({ record }) => record);
  const smoke = kept.filter(({ profile }) => profile === 'smoke').map(nightOfRecord);
  const before = [...smoke, ...history];
  const judgements = judgeNight(gates, measured, before);
  const gated = new Set(gates.gates.map(({ quantity }) => quantity));
  const missing = missingFigures(measured, soundNights(before, measured.engine), gated);
  const failed = judgements.filter(({ verdict }) => verdict === 'fail');
  const night: Night = {
    ...measured,
    problems: [...measured.problems, ...missing],
    failed: [...new Set(failed.map(({ gate }) => gate.name))],
    accepted: options.accept ?? null,
  };
  await appendNight(options.history, night);
  const failures = [...night.problems, ...failed.map(failureLine)];
  return { night, judgements, summary: nightSummary(night, judgements, history), failures };
}

/** Writes a night, or a shard of one, to be judged later. */
export async function writeMeasurements(file: string, night: Night): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(night)}\n`);
}

/** Joins the shards in files to one night. @throws UserError if a file is empty or the shards do not belong together. */
export function readMeasurements(files: readonly string[]): Night {
  const shards = files.flatMap((file) => {
    const nights = readNights(file);
    if (nights.length > 0) return nights.map((night) => ({ file, night }));
    throw new UserError(`${file} is empty.`, 'Give files that fcn nightly --measure has written.');
  });
  return joinShards(shards);
}

/** If measuring failed, the problems are shown. Without problems either, only what this machine lacks was asked for. */
function requireFigures({ measurements, problems, leftOut }: Night): void {
  if (measurements.length > 0 || problems.length > 0) return;
  const reasons = leftOut.map(({ part, reason }) => ` ${part} is left out: ${reason}.`);
  throw new UserError(`Nothing was measured.${reasons.join('')}`, 'Ask for parts that this machine can measure.');
}
