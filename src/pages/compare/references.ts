import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { loadTables } from '../../recipe/tables.js';
import type { RunCatalogue } from '../../runs/catalogue.js';
import { LOG_FILE } from '../../runs/log.js';
import { UserError } from '../../support/errors.js';
import { formatDownload } from '../../support/format.js';
import { type DisplayMode, showStages } from '../../terminal/display.js';
import { fetchPublishedLog } from '../../training-logs/fetch.js';
import { parsePublishedLog, readPublishedLog } from '../../training-logs/read.js';
import { readLogText } from '../../training-logs/text.js';
import { findRow } from '../runs/figures.js';
import { type ComparisonInput, inputOfLog, inputOfOwnRow, inputOfRow, inputOfRun, rowIdOf } from './input.js';

/** The word for the row's published training log; `./published` is a file of that name. */
export const PUBLISHED_LOG = 'published';

/** Whether a file holds one JSON document, as a record does. A log holds one on each line. */
function isRecord(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'format' in value;
  } catch {
    return false;
  }
}

/** The result, or null if it throws a `UserError`. */
function unlessRefused<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

/** Whether a path can only be a published log: neither a record, nor a folder, nor the log of a run directory. */
function mayBeLog(reference: string): boolean {
  if (path.basename(reference) === LOG_FILE) return false;
  if (!existsSync(reference)) return /\.(json|log)(\.gz)?$/.test(reference);
  if (statSync(reference).isDirectory()) return false;
  const text = unlessRefused(() => readLogText(reference));
  return text === null || !isRecord(text);
}

/** @param reference As `RunCatalogue.findOne` takes it. @throws UserError if it is no run, or a log. */
export async function runInput(reference: string, catalogue: RunCatalogue): Promise<ComparisonInput> {
  if (mayBeLog(reference) && unlessRefused(() => readPublishedLog(reference)) !== null) {
    throw new UserError(
      `${reference} is a training log: the first of the two must be a run.`,
      `Name the run first: fcn compare RUN ${reference}.`,
    );
  }
  const run = await catalogue.findOne(reference);
  const known = await catalogue.all();
  const listed = known.some(({ file }) => path.resolve(file) === path.resolve(run.file));
  return inputOfRun(run, listed ? known : [...known, run]);
}

/**
 * The first of the two: a run. Beside a log also a row that has no run, with its published figures.
 * @param second As it was given.
 * @throws UserError if it is neither.
 */
export async function firstInput(
  reference: string,
  second: string | undefined,
  catalogue: RunCatalogue,
): Promise<ComparisonInput> {
  const row = findRow(reference, loadTables());
  const besideLog = second !== undefined && (second === PUBLISHED_LOG || mayBeLog(second));
  if (row === null || !besideLog || existsSync(reference)) return runInput(reference, catalogue);
  const hasRun = (await catalogue.all()).some(({ row: id }) => id === reference);
  return hasRun ? runInput(reference, catalogue) : inputOfRow(row);
}

/**
 * The second of the two: a published row by its id, a run, or the file of a published log. Default: the first one's row, as the package
 * has it or, if it does not, as the run's own experiment file had it.
 * @throws UserError if it is none of them.
 */
export async function secondInput(
  reference: string | undefined,
  first: ComparisonInput,
  catalogue: RunCatalogue,
): Promise<ComparisonInput> {
  const id = reference ?? rowIdOf(first)!;
  const row = findRow(id, loadTables());
  if (row !== null) return inputOfRow(row);
  // Without a reference the first is a run: a row needs a log beside it.
  if (reference === undefined) return inputOfOwnRow(first.run!);
  const isFile = existsSync(reference) && !statSync(reference).isDirectory();
  if (!isFile || path.basename(reference) === LOG_FILE) return runInput(reference, catalogue);
  const text = readLogText(reference);
  return isRecord(text) ? runInput(reference, catalogue) : inputOfLog(parsePublishedLog(text, reference), reference);
}

/**
 * The published log of the first one's row, fetched unless it is in the cache.
 * @throws UserError if the row has none or it cannot be fetched; the signal's reason on abort.
 */
export async function publishedLogInput(
  { run, row: published }: ComparisonInput,
  {
    signal,
    offline,
    display,
  }: { readonly signal: AbortSignal; readonly offline: boolean; readonly display: DisplayMode },
): Promise<ComparisonInput> {
  const row = run?.experiment.row ?? published!.id;
  const url = run === null ? published!.log : run.experiment.log;
  let input: ComparisonInput | undefined;
  const fetch = async (say: (progress: string) => void) => {
    const onProgress = (progress: Parameters<typeof formatDownload>[0]) => say(formatDownload(progress));
    const { file, log } = await fetchPublishedLog({ row, url, signal, offline, onProgress });
    input = inputOfLog(log, file);
    return file;
  };
  await showStages([{ title: 'Fetch the published log', run: fetch }], display);
  return input!;
}
