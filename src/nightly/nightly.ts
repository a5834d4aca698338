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
  appendEntry,
  type Entry,
  joinShards,
  type MeasuredNight,
  NIGHT_PARTS,
  type Quantity,
  readEntries,
  readHistory,
} from './history.js';
import { missingFigures, recordEntry } from './measurements.js';

/** A hash by its start, bytes as people count them, anything else with four digits. */
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

/** A judgement that failed, as one line. */
export function failureLine({ gate, subject, value, baseline, note }: Judgement): string {
  const than = baseline === null || 'atMost' in gate.rule ? '' : `, baseline ${formatValue(baseline, gate.quantity)}`;
  const what =
    gate.of === 'median'
      ? `ratio to the baseline ${Number(value).toPrecision(3)}`
      : `${formatValue(value, gate.quantity)}${than}`;
  const where = note === null ? '' : ` (${note})`;
  return `${gate.name}: ${gate.quantity} of ${subject}${where}: ${what}; ${formatRule(gate)}: ${gate.reason}`;
}

/** What a night that was not asked for everything was asked for. */
function askedLines({ asked }: Entry): string[] {
  if (asked === undefined) return [];
  const { parts, rows } = asked;
  const others = NIGHT_PARTS.filter((part) => !parts.includes(part));
  return [
    ...(others.length === 0 ? [] : [`- not asked for: ${others.join(', ')}`]),
    ...(rows === null || !parts.includes('smoke')
      ? []
      : [`- smoke runs only of ${rows.map((row) => `\`${row}\``).join(', ')}`]),
  ];
}

function leftOutLines({ leftOut = [] }: Entry): string[] {
  return leftOut.map(({ part, quantities, reason }) => {
    const what = quantities === undefined ? part : `${quantities.join(', ')} of ${part}`;
    return `- left out: ${what}: ${reason}`;
  });
}

function hardwareOf({ measurements }: Entry): string[] {
  return [...new Set(measurements.map(({ hardware }) => hardware))];
}

/** The median over subjects of a quantity, night by night, on the engine and hardware of the last. */
function trend(nights: readonly Entry[], quantity: Quantity): number[] {
  const last = nights.at(-1)!;
  const here = hardwareOf(last);
  return nights
    .filter(({ engine }) => engine === last.engine)
    .flatMap(({ measurements }) => {
      const values = measurements.flatMap((one) =>
        one.quantity === quantity && here.includes(one.hardware) && typeof one.value === 'number' ? [one.value] : [],
      );
      return values.length === 0 ? [] : [median(values)];
    })
    .slice(-30);
}

function gatesSection(judgements: readonly Judgement[], nights: readonly Entry[]): Section {
  const gates = [...new Set(judgements.map(({ gate }) => gate))];
  return {
    title: 'Gates',
    table: {
      head: ['Gate', 'Asks', 'Result', 'Median', 'Last nights'],
      body: gates.map((gate) => {
        const ofGate = judgements.filter((judgement) => judgement.gate === gate);
        const count = (verdict: Judgement['verdict']) => ofGate.filter((one) => one.verdict === verdict).length;
        const said = (['fail', 'pass', 'no baseline', 'not measured'] as const)
          .filter((verdict) => count(verdict) > 0)
          .map((verdict) => (verdict === 'not measured' ? verdict : `${count(verdict)} ${verdict}`));
        const values = trend(nights, gate.quantity);
        return [
          gate.name,
          `${gate.quantity} ${formatRule(gate)}`,
          `${count('fail') > 0 ? '❌ ' : ''}${said.join(', ')}`,
          formatValue(values.at(-1) ?? null, gate.quantity),
          values.length < 2 ? '' : sparklineOf(values),
        ].map(plain);
      }),
    },
    notes: [],
  };
}

const SUBJECT_COLUMNS = ['mIoU', 'mIoUMsFlip', 'trainingTensorBytes', 'trainingShare', 'inferenceShare'] as const;

/** A line a row: its figures of this night, and the mIoU of those before. */
function rowsSection(nights: readonly Entry[]): Section[] {
  const night = nights.at(-1)!;
  const value = ({ measurements }: Entry, quantity: Quantity, subject: string) =>
    measurements.find((one) => one.quantity === quantity && one.subject === subject)?.value ?? null;
  const rows = night.measurements.filter(({ quantity }) => quantity === 'recipe').map(({ subject }) => subject);
  if (rows.length === 0) return [];
  const body = rows.map((row) => {
    const past = nights
      .filter(({ engine }) => engine === night.engine)
      .flatMap((one) => {
        const mIoU = value(one, 'mIoU', row);
        return typeof mIoU === 'number' ? [mIoU] : [];
      })
      .slice(-30);
    return [
      row,
      ...SUBJECT_COLUMNS.map((quantity) => formatValue(value(night, quantity, row), quantity)),
      past.length < 2 ? '' : sparklineOf(past),
    ].map(plain);
  });
  return [
    {
      title: 'Smoke runs',
      table: {
        head: [
          'Row',
          'mIoU',
          'ms+flip',
          'Training tensors',
          'Training share',
          'Inference share',
          'mIoU of last nights',
        ],
        body,
      },
      notes: [
        plain(
          'Figures of the smoke profile: they show that everything works, no more. Shares: of the rate of a bare convolution.',
        ),
      ],
    },
  ];
}

/**
 * A night as markdown for a job's page: what failed first, then the gates and the rows, with the course of the last nights.
 * @param history Oldest first, without the night itself.
 */
export function nightSummary(night: Entry, judgements: readonly Judgement[], history: readonly Entry[]): string {
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
  /** The gates' file; that of the package where not given. */
  readonly gates?: string | undefined;
  /** The history's file; it need not be there yet. */
  readonly history: string;
  /** The kept smoke records under it are older than any night. */
  readonly results: string;
  /** Why this night is what later ones are compared with. */
  readonly accept?: string | undefined;
}

interface JudgedNight {
  readonly night: Entry;
  readonly judgements: readonly Judgement[];
  /** Of the job's page, markdown. */
  readonly summary: string;
  /** What failed, a line each; empty where nothing did. */
  readonly failures: readonly string[];
}

/**
 * Judges a night by what came before it, and adds it to the history.
 * @throws UserError where nothing was measured: that is no night.
 */
export async function closeNight(measured: MeasuredNight, options: JudgeOptions): Promise<JudgedNight> {
  const gates = await loadGates(options.gates);
  requireFigures(measured);
  const history = readHistory(options.history);
  const kept = findKeptRecords(options.results).map(({ record }) => record);
  const smoke = kept.filter(({ profile }) => profile === 'smoke').map(recordEntry);
  const before = [...smoke, ...history];
  const judgements = judgeNight(gates, measured, before);
  const gated = new Set(gates.gates.map(({ quantity }) => quantity));
  const missing = missingFigures(measured, soundNights(before, measured.engine), gated);
  const failed = judgements.filter(({ verdict }) => verdict === 'fail');
  const night: Entry = {
    ...measured,
    problems: [...measured.problems, ...missing],
    failed: [...new Set(failed.map(({ gate }) => gate.name))],
    accepted: options.accept ?? null,
  };
  await appendEntry(options.history, night);
  const failures = [...night.problems, ...failed.map(failureLine)];
  return { night, judgements, summary: nightSummary(night, judgements, history), failures };
}

/** Writes a night that is judged elsewhere, together with other parts of it. */
export async function writeMeasurements(file: string, night: Entry): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(night)}\n`);
}

/**
 * The night that files hold, each a part of it.
 * @throws UserError where a file holds none, or they do not belong together.
 */
export function readMeasurements(files: readonly string[]): MeasuredNight {
  const shards = files.flatMap((file) => {
    const entries = readEntries(file);
    if (entries.length === 0) {
      throw new UserError(`${file} is empty.`, 'Give files that fcn nightly --measure has written.');
    }
    return entries.map((entry) => ({ file, entry }));
  });
  return joinShards(shards);
}

/** A night that failed to measure anything has problems, which are shown; one without any was asked for what is not there. */
function requireFigures({ measurements, problems, leftOut = [] }: MeasuredNight): void {
  if (measurements.length > 0 || problems.length > 0) return;
  const reasons = leftOut.map(({ part, reason }) => ` ${part} is left out: ${reason}.`);
  throw new UserError(`Nothing was measured.${reasons.join('')}`, 'Ask for parts that this machine can measure.');
}
