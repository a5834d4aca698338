import { formatNumber, printable } from '../support/format.js';

/** A stage of some work, with its progress shown. */
export interface ShownStage {
  readonly title: string;
  /** Does the work; may call `report` with its progress at any rate. Resolves to its result, one line. */
  readonly run: (report: (progress: string) => void) => Promise<string>;
}

/** How progress is shown on standard error. `live`: redrawn in place in a terminal; `plain`: lines; `silent`: nothing. */
export type DisplayMode = 'live' | 'plain' | 'silent';

/** Milliseconds between two updates of a stage. */
const INTERVAL = { live: 1000, plain: 5000 } as const;

/** Passes on at most one call per interval, the first after a whole interval. */
function atMostEvery(milliseconds: number, show: (progress: string) => void): (progress: string) => void {
  let last = performance.now();
  return (progress) => {
    const now = performance.now();
    if (now - last < milliseconds) return;
    last = now;
    show(progress);
  };
}

async function showLive(stages: readonly ShownStage[]): Promise<void> {
  const { DefaultRenderer, Listr, ListrLogger, ProcessOutput } = await import('listr2');
  // listr2 would redraw only if standard output is a terminal, too; here it is often a file that gets the result.
  class TerminalRenderer extends DefaultRenderer {
    static override nonTTY = true;
  }
  const tasks = stages.map(({ title, run }) => ({
    title,
    task: async (_: unknown, task: { title: string }) => {
      const report = atMostEvery(INTERVAL.live, (progress) => {
        task.title = printable(`${title}: ${progress}`);
      });
      task.title = printable(`${title}: ${await run(report)}`);
    },
  }));
  // Standard output is for results, so listr2 gets standard error as its output.
  const logger = new ListrLogger({ useIcons: true, processOutput: new ProcessOutput(process.stderr, process.stdout) });
  // The caller handles signals: listr2's own handling would end the process with nothing saved. The command prints the error: here it
  // would appear twice.
  const rendererOptions = { showErrorMessage: false, logger };
  await new Listr(tasks, { registerSignalListeners: false, renderer: TerminalRenderer, rendererOptions }).run();
}

async function showPlain(stages: readonly ShownStage[]): Promise<void> {
  const write = (line: string) => process.stderr.write(`${printable(line)}\n`);
  for (const { title, run } of stages) {
    write(`> ${title}`);
    write(`  ${await run(atMostEvery(INTERVAL.plain, (progress) => write(`  ${progress}`)))}`);
  }
}

/** Runs stages one after the other and shows their progress. @throws the error of the first stage that fails. */
export async function showStages(stages: readonly ShownStage[], mode: DisplayMode): Promise<void> {
  switch (mode) {
    case 'live':
      return showLive(stages);
    case 'plain':
      return showPlain(stages);
    case 'silent':
      for (const { run } of stages) await run(() => undefined);
  }
}

/**
 * Does work of equal steps as a single stage and shows how many steps are done.
 * @param unit Name of a step, in the singular.
 */
export async function showCounted<Result>(
  title: string,
  unit: string,
  mode: DisplayMode,
  work: (onProgress: (done: number, total: number) => void) => Promise<Result>,
): Promise<Result> {
  const results: Result[] = [];
  const run = async (report: (progress: string) => void) => {
    let count = 0;
    const onProgress = (done: number, total: number) => {
      count = total;
      report(`${done} of ${formatNumber(total, unit)}`);
    };
    results.push(await work(onProgress));
    return formatNumber(count, unit);
  };
  await showStages([{ title, run }], mode);
  return results[0]!;
}
