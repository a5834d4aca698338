import { readFileSync } from 'node:fs';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import type { LogLine } from '../training/log.js';

export type { LogLine };

/** Name of a run's log in its directory: a JSON object a line, written by training. */
export const LOG_FILE = 'log.jsonl';

const NUMBERS = [
  'learningRate',
  'loss',
  'decodeLoss',
  'auxiliaryLoss',
  'accuracy',
  'secondsPerIteration',
  'dataSeconds',
  'liveTensorBytes',
  'peakLiveTensorBytes',
  'processBytes',
] as const;

/**
 * The objects of a text of JSON lines. Its last line may be incomplete: it is being written, or its writer was killed.
 * @throws UserError that names file and line of any other that is no JSON object.
 */
export function* jsonLines(
  text: string,
  file: string,
  parse: (line: string) => unknown = JSON.parse,
): Generator<{ readonly line: number; readonly value: Readonly<Record<string, unknown>> }> {
  const lines = text.split('\n');
  for (const [i, content] of lines.entries()) {
    if (content.trim() === '') continue;
    let value: unknown;
    try {
      value = parse(content);
    } catch (error) {
      if (i === lines.length - 1) return;
      throw notALog(file, i + 1, (error as Error).message, error);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw notALog(file, i + 1, 'expected an object');
    }
    yield { line: i + 1, value: value as Record<string, unknown> };
  }
}

function notALog(file: string, line: number, message: string, cause?: unknown): UserError {
  return new UserError(
    `${file}:${line}: no line of a training log: ${message}.`,
    'Give a log with one JSON object a line.',
    { cause },
  );
}

/**
 * Reads the text of a run's log, by iteration. Of a training that went back to an earlier state, the later lines count.
 * @throws UserError that names file and line where it is damaged.
 */
export function parseLog(text: string, file: string): LogLine[] {
  const lines: LogLine[] = [];
  for (const { line, value } of jsonLines(text, file)) {
    const { iteration } = value;
    // Lines of another kind say of themselves what they are.
    if (iteration === undefined || value['loss'] === undefined) continue;
    if (!Number.isSafeInteger(iteration) || (iteration as number) < 1) {
      throw notALog(file, line, `iteration ${JSON.stringify(iteration)} is no whole number from 1`);
    }
    const numbers = Object.fromEntries(
      NUMBERS.map((name) => [name, typeof value[name] === 'number' ? value[name] : Number.NaN]),
    ) as Record<(typeof NUMBERS)[number], number>;
    while (lines.length > 0 && lines.at(-1)!.iteration >= (iteration as number)) lines.pop();
    lines.push({ iteration: iteration as number, ...numbers });
  }
  return lines;
}

/** The log of a run directory; empty where nothing was logged yet. */
export function readLog(file: string): LogLine[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw explainFileError(error, file, 'read');
  }
  return parseLog(text, file);
}
