import { formatNumber, printable } from '../support/format.js';

/** A stage of a run, as it is shown. */
export interface ShownStage {
  readonly title: string;
  /** Does the work; `say` takes how far it is and may be called at any rate. Resolves to what came out of it, one line. */
  readonly run: (say: (progress: string) => void) => Promise<string>;
}

/** All on standard error. `live`: redrawn in place in a terminal; `plain`: lines; `silent`: nothing. */
export type DisplayMode = 'live' | 'plain' | 'silent';

/** Milliseconds between two updates of a stage. */
const INTERVAL = { live: 1000, plain: 5000 } as const;

/** Passes on at most one call in each interval, the first one after a whole interval. */
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
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  const tasks = stages.map(({ title, run }) => ({
    title,
    task: async (_: unknown, task: { title: string }) => {
      const say = atMostEvery(INTERVAL.live, (progress) => {
        task.title = printable(`${title}: ${progress}`);
      });
      task.title = printable(`${title}: ${await run(say)}`);
    },
  }));
  // Standard output is for results: listr2's "standard output" is ours for progress, standard error.
  const logger = new ListrLogger({ useIcons: true, processOutput: new ProcessOutput(process.stderr, process.stdout) });
  // Interrupting is the caller's business: listr2's own signal handling would end the process with nothing saved. And the
  // command prints the error: here it would stand twice.
  const rendererOptions = { showErrorMessage: false, logger };
  await new Listr(tasks, { registerSignalListeners: false, rendererOptions }).run();
}

async function showPlain(stages: readonly ShownStage[]): Promise<void> {
  const write = (line: string) => process.stderr.write(`${printable(line)}\n`);
  for (const { title, run } of stages) {
    write(`> ${title}`);
    write(`  ${await run(atMostEvery(INTERVAL.plain, (progress) => write(`  ${progress}`)))}`);
  }
}

/** Runs stages one after the other and shows how far they are. The first that fails ends it with its error. */
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
 * Does work that goes on in equal steps, one stage of its own, and shows how many of them are done.
 * @param unit What a step is, in the singular.
 */
export async function showCounted<Result>(
  title: string,
  unit: string,
  mode: DisplayMode,
  work: (onProgress: (done: number, total: number) => void) => Promise<Result>,
): Promise<Result> {
  const results: Result[] = [];
  const run = async (say: (progress: string) => void) => {
    let count = 0;
    const onProgress = (done: number, total: number) => {
      count = total;
      say(`${done} of ${formatNumber(total, unit)}`);
    };
    results.push(await work(onProgress));
    return formatNumber(count, unit);
  };
  await showStages([{ title, run }], mode);
  return results[0]!;
}
