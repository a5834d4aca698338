import path from 'node:path';
import type { ObservedJob } from '../jobs/observe.js';
import { hasEnded, isRetried } from '../jobs/states.js';
import type { RunRecord } from '../records/record.js';
import { shellWords } from '../support/format.js';
import { breakCommand, TERMINAL_WIDTH } from '../terminal/layout.js';

/** A command that may come next, and what it gives. */
export interface NextStep {
  readonly command: readonly string[];
  readonly gives: string;
}

/** The folders that commands about a run look in. */
interface Places {
  readonly runs: string;
  readonly results: string;
}

const DEFAULTS: readonly (readonly [place: keyof Places, variable: string])[] = [
  ['runs', 'FCN_RUNS'],
  ['results', 'FCN_RESULTS'],
];

/** The flags that a suggested command needs to look in these folders: none for the defaults. */
export function placeFlags(places: Partial<Places>): string[] {
  return DEFAULTS.flatMap(([place, variable]) => {
    const folder = places[place];
    const isDefault = folder === undefined || path.resolve(folder) === path.resolve(process.env[variable] || place);
    return isDefault ? [] : [`--${place}`, folder];
  });
}

/** What may follow a completed run. @param predictions The folder that it wrote its predictions to. */
export function stepsAfterRun(record: RunRecord, places: Places, predictions?: string): NextStep[] {
  const { run, stages, details } = record;
  const done = new Set(stages.map(({ stage }) => stage));
  const weights = details.train?.bestValidation === undefined ? run : `${run}:best`;
  const inRuns = placeFlags({ runs: places.runs });
  const evaluation = { command: ['evaluate', '--weights', weights, ...inRuns], gives: 'IoU of each class' };
  const prediction = { command: ['predict', 'IMAGE', '--weights', weights, ...inRuns], gives: 'classes of an image' };
  const shown = predictions === undefined ? [] : ['--predictions', predictions];
  const report = {
    command: ['report', run, ...shown, '--out', 'report', ...placeFlags(places)],
    gives: predictions === undefined ? 'a page about it' : 'best and worst images',
  };
  return [
    ...(done.has('train') && !done.has('evaluate') ? [evaluation] : []),
    report,
    ...(done.has('train') ? [prediction] : []),
  ];
}

/** What may follow predictions. */
export function stepsAfterPrediction(
  given: { readonly weights: string; readonly row: string | undefined; readonly isOfRun: boolean },
  { runs }: Pick<Places, 'runs'>,
): NextStep[] {
  const row = given.isOfRun || given.row === undefined ? [] : [given.row];
  if (row.length === 0 && !given.isOfRun) return [];
  const command = ['evaluate', ...row, '--weights', given.weights, ...(given.isOfRun ? placeFlags({ runs }) : [])];
  return [{ command, gives: 'IoU of each class' }];
}

/** What may follow the check of a data set. @param where The flags that say where it is. @param file Its experiment file. */
export function stepsAfterVerification(name: string, where: readonly string[], file: string | undefined): NextStep[] {
  const browse = { command: ['datasets', 'browse', name, ...where, '--out', 'look'], gives: 'what training will see' };
  if (file === undefined) return [browse, { command: ['list'], gives: 'the rows' }];
  const reproduce = ['reproduce', '--file', file];
  return [
    browse,
    { command: [...reproduce, '--profile', 'smoke', '--set', 'iterations=20'], gives: 'a try in a minute' },
    { command: [...reproduce, '--dry-run'], gives: 'time and memory of the whole' },
  ];
}

/** What may follow the submission of a job, or its end. */
export function stepsAfterJob({ id, tasks }: ObservedJob, places: Partial<Places>): NextStep[] {
  const inRuns = placeFlags({ runs: places.runs });
  const failed = tasks.find(({ state }) => ['failed', 'given up', 'lost'].includes(state));
  const watch = { command: ['jobs', 'watch', id, ...inRuns], gives: 'its tasks as they go on' };
  const hasAllEnded = tasks.every(hasEnded);
  return [
    ...(hasAllEnded ? [] : [watch]),
    ...(failed === undefined
      ? []
      : [{ command: ['jobs', 'logs', id, failed.name, ...inRuns], gives: 'what the task said' }]),
    ...(tasks.some(isRetried)
      ? [{ command: ['jobs', 'retry', id, ...inRuns], gives: 'another start of what has not completed' }]
      : []),
    ...(hasAllEnded && tasks.some(({ state }) => state === 'completed')
      ? [{ command: ['runs', 'table', id, ...placeFlags(places)], gives: 'the figures of its runs' }]
      : []),
  ];
}

const INDENT = '  ';

/** The steps as lines of at most `width` characters: each command with what it gives beside it or, if that is too wide, below it. */
export function formatNextSteps(steps: readonly NextStep[], width: number = TERMINAL_WIDTH): string {
  const commands = steps.map(({ command }) => shellWords(['fcn', ...command]));
  const column = Math.max(...commands.map(({ length }) => length));
  const isWide = steps.some(({ gives }) => INDENT.length + column + 2 + gives.length > width);
  const lines = steps.flatMap(({ gives }, i) => {
    const command = commands[i]!;
    if (!isWide) return [`${INDENT}${command.padEnd(column)}  ${gives}`];
    return [
      ...breakCommand(command, width - INDENT.length).map((line) => `${INDENT}${line}`),
      `${INDENT}${INDENT}${gives}`,
    ];
  });
  return ['Next:', ...lines].join('\n');
}
