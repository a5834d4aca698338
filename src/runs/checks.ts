import { setImmediate } from 'node:timers/promises';
import type { ConvolutionMode, Engine } from '../engines/engine.js';
import type { Experiment } from '../recipe/experiment.js';
import { type ReportedProblem, SeveralProblems } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { showCounted } from '../terminal/display.js';
import { breakCommand, wrap } from '../terminal/layout.js';
import { checkDataset, checkStart, checkWeights, type InputCheckOptions } from './input-checks.js';
import {
  CHECKED_THERE,
  checkCacheDisk,
  checkEngine,
  checkFolders,
  checkPrecision,
  checkResources,
  type OtherMachine,
  resumableCheckpoints,
} from './machine-checks.js';
import type { PlannedRun } from './plan.js';
import { askHosts, plannedFetches } from './planned-fetches.js';
import type { InPrecision } from './precision.js';
import { assertTrains, type RunData, readingStages } from './preflight.js';
import type { ResourcesOptions } from './resources.js';
import type { Resume } from './resumption.js';
import { type CommandWith, flagsAlone, passed, type RunCheck } from './run-check.js';

export interface RunCheckOptions
  extends Omit<InputCheckOptions, 'commandWith'>,
    Omit<ResourcesOptions, 'experiment' | 'stages'> {
  readonly engine: Parameters<typeof checkEngine>[1]['engine'];
  /** Same bits in every run also on a GPU. */
  readonly deterministic: boolean;
  /** As far as the engine has fast ones. */
  readonly convolution: ConvolutionMode;
  /** Folder of the kept records. */
  readonly results: string;
  /** The machine that executes the run; default: this one. */
  readonly machine?: OtherMachine | undefined;
  /** `never`: no existing checkpoint counts for the disk. */
  readonly resume: Resume;
  /** Default: fixes name flags alone. */
  readonly commandWith?: CommandWith;
}

/** What the checks of a run found. */
export interface CheckedRun {
  readonly run: PlannedRun;
  readonly checks: readonly RunCheck[];
  /** Null if no stage reads data, or it is missing. */
  readonly data: RunData | null;
  /** The file of the initial weights, or `published`; null if the run has none, or they cannot be used. */
  readonly initialWeights: string | null;
  /** Null if it cannot be started. */
  readonly engine: Engine | null;
  /** The experiment in the engine's precision; null if there is none. */
  readonly available: InPrecision | null;
}

/**
 * Checks everything that a run needs, and writes nothing. Fetches nothing either; `hosts`, if given, are asked whether they answer.
 * @param resources `always`: memory and disk, too; `if refused`: only if something else is missing, because the run itself checks
 * them once it knows which checkpoints it continues.
 * @throws UserError for flags that do not fit together; the signal's reason on abort.
 */
export async function checkRun(
  run: PlannedRun,
  options: RunCheckOptions,
  resources: 'always' | 'if refused',
): Promise<CheckedRun> {
  assertTrains(options);
  const { experiment } = run;
  const { row } = experiment;
  const { runs, resume, commandWith = flagsAlone } = options;
  const all = { ...options, commandWith };
  const found = await checkDataset(experiment, all);
  const start = await checkStart(experiment, all);
  const inputs = [found?.check ?? null, start?.check ?? null, await checkWeights(experiment, all)];
  const started = await checkEngine(row, all);
  const { engine } = started;
  // The precision of a GPU says nothing of this machine's processor.
  const isForHere = engine !== null && options.machine?.hasGpu !== true;
  const fitted = isForHere ? await checkPrecision(engine, run, commandWith) : null;
  const precision = fitted?.check ?? (engine === null ? null : passed('precision', CHECKED_THERE));
  const available = fitted?.available ?? null;
  const fetches = await plannedFetches(experiment, all);
  const folders = await checkFolders(experiment, { ...all, fetches });
  const cacheDisk = await checkCacheDisk(experiment, { ...all, fetches });
  const needs = [...inputs, started.check, precision].filter((check) => check !== null);
  const late = [cacheDisk, folders].filter((check) => check !== null);
  const isRefused = [...needs, ...late].some(({ state }) => state === 'missing');
  const sizes: RunCheck[] = [];
  if (engine !== null && (resources === 'always' || isRefused)) {
    const checkpoints = resume === 'never' ? 0 : await resumableCheckpoints(runs, row);
    const sized = {
      ...all,
      experiment: available?.experiment ?? inFloat32(experiment),
      stages: readingStages(options),
    };
    sizes.push(...(await checkResources(sized, engine, checkpoints)));
  }
  return {
    run,
    checks: [...needs, ...sizes, ...late],
    data: found?.data ?? null,
    initialWeights: start?.initialWeights ?? null,
    engine,
    available,
  };
}

/** What an experiment in a precision that the engine lacks would be run in. */
function inFloat32(experiment: Experiment): Experiment {
  return { ...experiment, training: { ...experiment.training, precision: 'fp32' } };
}

/** Checks all runs of a command completely. @throws as `checkRun`. */
export async function checkRuns(plan: readonly PlannedRun[], options: RunCheckOptions): Promise<CheckedRun[]> {
  const checked: CheckedRun[] = [];
  const { hosts } = options;
  const all = async (onProgress: (done: number, total: number) => void) => {
    if (hosts !== undefined) {
      await askHosts(
        plan.map(({ experiment }) => experiment),
        { ...options, hosts },
      );
    }
    for (const run of plan) {
      // Shapes keep the thread busy: progress is drawn, and signals arrive, before.
      await setImmediate();
      options.signal.throwIfAborted();
      checked.push(await checkRun(run, options, 'always'));
      onProgress(checked.length, plan.length);
    }
    return checked;
  };
  if (plan.length === 1) return all(() => {});
  // Samples of the data sets have a progress of their own, so they are checked first; what is found is found again at once.
  const withCommands = { commandWith: flagsAlone, ...options };
  for (const { experiment } of plan) await checkDataset(experiment, withCommands);
  return showCounted('Check what the runs need', 'run', options.display, all);
}

/** A check that came out the same for several rows. */
interface GroupedCheck extends RunCheck {
  readonly rows: readonly string[];
}

/**
 * Each distinct check once, by name in the order of the checks, with the rows that it is about. Rows that do not fit into memory or on
 * the disk are one group, although each has its own figures.
 */
export function groupChecks(checked: readonly Pick<CheckedRun, 'run' | 'checks'>[]): GroupedCheck[] {
  const groups = new Map<string, GroupedCheck[]>();
  for (const { run, checks } of checked) {
    for (const check of checks) {
      const { name, state } = check;
      const sized = (name === 'memory' || name === 'disk') && state !== 'ok';
      const key = JSON.stringify(sized ? [name, state] : check);
      groups.set(key, [...(groups.get(key) ?? []), { ...check, rows: [run.experiment.row] }]);
    }
  }
  const names = [...new Set(checked.flatMap(({ checks }) => checks.map(({ name }) => name)))];
  const merged = [...groups.values()].map(merge);
  return names.flatMap((name) => merged.filter((group) => group.name === name));
}

/** The group of checks of one name and state; of commands, those that fix all of them. */
function merge(checks: readonly GroupedCheck[]): GroupedCheck {
  const [first] = checks as [GroupedCheck];
  const rows = [...new Set(checks.flatMap((check) => check.rows))];
  const others = rows.length - 1;
  if (checks.every(({ text, next }) => text === first.text && next === first.next)) return { ...first, rows };
  const commands = checks.map(({ next }) => next?.split('\n') ?? []);
  const next = commands[0]!.filter((command) => commands.every((all) => all.includes(command))).join('\n');
  const text = `${rows[0]}: ${first.text} The same holds for ${formatNumber(others, 'other row')}: fcn doctor ROW says what each needs.`;
  return { ...first, text, rows, next: next === '' ? null : next };
}

/** Rows named in a message. */
const MOST_NAMED = 3;

/** "fcn_a, fcn_b and 3 more rows". */
function nameRows(rows: readonly string[]): string {
  const more = rows.length - MOST_NAMED;
  return more > 0 ? `${rows.slice(0, MOST_NAMED).join(', ')} and ${formatNumber(more, 'more row')}` : rows.join(', ');
}

/** The error that reports everything that is missing, each problem once; null if the runs may start. */
export function refusalOf(checked: readonly Pick<CheckedRun, 'run' | 'checks'>[]): SeveralProblems | null {
  const count = new Set(checked.map(({ run }) => run.experiment.row)).size;
  const missing = groupChecks(checked).filter(({ state }) => state === 'missing');
  if (missing.length === 0) return null;
  return new SeveralProblems(
    missing.map(({ name, text, next, rows }): ReportedProblem & Pick<GroupedCheck, 'name' | 'rows'> => ({
      name,
      rows,
      message: rows.length < count ? `${nameRows(rows)}: ${text}` : text,
      next,
    })),
  );
}

const MARKS: Readonly<Record<RunCheck['state'], string>> = { ok: '✓', missing: '✗', warning: '!' };

/** Columns before the text of a check: mark, name, spaces. */
const INDENT = 12;

/**
 * The checks of runs, each distinct one once, in lines of at most `width` characters, with the commands that fix what is missing.
 * Commands are broken with backslashes, so that they can be pasted.
 * @param refused What follows from something missing. Default: runs would not start.
 */
export function formatChecks(
  checked: readonly Pick<CheckedRun, 'run' | 'checks'>[],
  width: number,
  refused?: string,
): string {
  const groups = groupChecks(checked);
  const count = new Set(checked.map(({ run }) => run.experiment.row)).size;
  return [
    ...summarise(groups).flatMap((group) => checkLines(group, count, width)),
    '',
    verdictOn(checked, refused),
  ].join('\n');
}

/** Whether runs would start, and how many problems there are, in a sentence. @param refused As in `formatChecks`. */
export function verdictOn(checked: readonly Pick<CheckedRun, 'run' | 'checks'>[], refused?: string): string {
  const missing = groupChecks(checked).filter(({ state }) => state === 'missing').length;
  const [all, some] = checked.length === 1 ? ['the run', 'the run'] : ['all runs', 'some runs'];
  return missing === 0
    ? `Nothing is missing: ${all} would start.`
    : `${formatNumber(missing, 'problem')}: ${refused ?? `${some} would not start`}.`;
}

/** Checks of one name that all passed, in different words for different rows, become one. */
function summarise(groups: readonly GroupedCheck[]): GroupedCheck[] {
  const seen = new Set<RunCheck['name']>();
  return groups.flatMap((group) => {
    const alike = groups.filter(({ name, state }) => name === group.name && state === 'ok');
    if (group.state !== 'ok' || alike.length === 1) return [group];
    if (seen.has(group.name)) return [];
    seen.add(group.name);
    const rows = [...new Set(alike.flatMap((one) => one.rows))];
    return [{ ...group, rows, text: `fine for ${formatNumber(rows.length, 'row')}` }];
  });
}

function checkLines({ name, state, text, next, rows }: GroupedCheck, count: number, width: number): string[] {
  const room = width - INDENT;
  const about = rows.length < count && state !== 'ok' ? wrap(`Rows: ${nameRows(rows)}`, room) : [];
  const commands = (next ?? '').split('\n').filter((command) => command !== '');
  const lines = [...textLines(text, room), ...about, ...commands.flatMap((command) => breakCommand(command, room))];
  const head = `${MARKS[state]} ${name.padEnd(INDENT - 2)}`;
  return lines.map((line, i) => {
    if (i === 0) return `${head}${line}`;
    // A long link or path has the whole width.
    return `${' '.repeat(line.length > room ? 2 : INDENT)}${line}`;
  });
}

/** Lines of a text; a word that is longer than a line, such as a link, stays whole so that it can be copied. */
function textLines(text: string, room: number): string[] {
  const [before = '', word, after = ''] = splitAtLongWord(text, room);
  const lines = before === '' ? [] : wrap(before, room).map((line) => line.trimStart());
  return word === undefined ? lines : [...lines, word, ...textLines(after, room)];
}

function splitAtLongWord(text: string, room: number): string[] {
  const words = text.split(' ');
  const at = words.findIndex((word, i) => i > 0 && word.length > room);
  return at < 0 ? [text] : [words.slice(0, at).join(' '), words[at]!, words.slice(at + 1).join(' ')];
}
