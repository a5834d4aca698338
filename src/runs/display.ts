/** A stage of a run, as it is shown. */
export interface ShownStage {
  readonly title: string;
  /** Does the work; `say` takes how far it is and may be called at any rate. Resolves to what came out of it, one line. */
  readonly run: (say: (progress: string) => void) => Promise<string>;
}

/** `live`: redrawn in place in a terminal; `plain`: lines on standard error; `silent`: nothing. */
export type DisplayMode = 'live' | 'plain' | 'silent';

/** Milliseconds between two updates of a stage. */
const INTERVAL: Readonly<Record<DisplayMode, number>> = { live: 1000, plain: 5000, silent: Number.POSITIVE_INFINITY };

/**
 * Runs stages one after the other and shows how far they are. The first that fails ends it with its error.
 * Interrupting is the caller's business: listr2's own signal handling would end the process with nothing saved.
 */
export async function showStages(stages: readonly ShownStage[], mode: DisplayMode): Promise<void> {
  const { Listr, ListrLogger, ListrLogLevels } = await import('listr2');
  const tasks = stages.map(({ title, run }) => ({
    title,
    task: async (_: unknown, task: { title: string }) => {
      let shown = performance.now();
      const say = (progress: string) => {
        const now = performance.now();
        if (now - shown < INTERVAL[mode]) return;
        shown = now;
        if (mode === 'live') task.title = `${title}: ${progress}`;
        else if (mode === 'plain') process.stderr.write(`  ${title}: ${progress}\n`);
      };
      task.title = `${title}: ${await run(say)}`;
    },
  }));
  const common = { registerSignalListeners: false, exitOnError: true } as const;
  if (mode === 'live') {
    // The command prints the error; here it would stand twice.
    await new Listr(tasks, { ...common, renderer: 'default', rendererOptions: { showErrorMessage: false } }).run();
  } else if (mode === 'plain') {
    const logger = new ListrLogger({ useIcons: true, toStderr: Object.values(ListrLogLevels) });
    await new Listr(tasks, { ...common, renderer: 'simple', rendererOptions: { logger } }).run();
  } else {
    await new Listr(tasks, { ...common, renderer: 'silent' }).run();
  }
}
