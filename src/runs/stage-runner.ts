import { SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import { formatLoadReport } from '../network/load.js';
import type { RunRecord, Stage } from '../records/record.js';
import type { Lock } from '../support/lock.js';
import { type DisplayMode, showStages } from '../terminal/display.js';
import { weightsIdentity } from '../weights/load.js';
import type { RunDirectory } from './directory.js';
import { recordedWeights } from './plan.js';
import { type CompletedStage, keepStageResult, readStageResult, type StageContext } from './stage-results.js';
import { runStage, STAGE_TITLES } from './stages.js';

/** The options of a run for its stages. */
export interface StageOptions
  extends Omit<
    StageContext,
    'engine' | 'directory' | 'skipped' | 'beforeWrite' | 'evaluatesLast' | 'weights' | 'weightsKey' | 'onLoad'
  > {
  /** In order. */
  readonly stages: readonly Stage[];
  /** Unreadable samples that may be left out. */
  readonly skipBad: number;
  readonly display: DisplayMode;
}

/** Does the stages of a run, and holds their results so far. */
export class StageRunner {
  readonly details: RunRecord['details'] = { train: null, evaluate: null, 'evaluate-ms': null, benchmark: null };
  readonly completed: RunRecord['stages'] = [];
  /** The load report that was said last. */
  private said: string | null = null;
  /** The current stage. */
  current: Stage | null = null;

  constructor(
    private readonly options: StageOptions,
    private readonly engine: Engine,
    private readonly directory: RunDirectory,
    private readonly lock: Lock,
    /** The file to evaluate: given, or trained by an earlier stage. */
    public weights: string | undefined,
    /** Its description in the record. */
    public used: RunRecord['weights'],
  ) {}

  async doStages(): Promise<void> {
    const { stages, display } = this.options;
    const shown = stages.map((stage) => ({
      title: STAGE_TITLES[stage],
      run: (say: (progress: string) => void) => this.doStage(stage, say),
    }));
    await showStages(shown, display);
  }

  private async doStage(stage: Stage, say: (progress: string) => void): Promise<string> {
    const { signal, note, predictions, labelIds = false } = this.options;
    const weights = this.used === null ? null : weightsIdentity(this.used.sha256, this.used.key);
    const evaluation = weights === null ? null : { weights, predictions, labelIds };
    const earlier = await readStageResult(this.directory.path, stage, evaluation, note);
    if (earlier !== null) {
      await this.take(stage, earlier);
      return `${earlier.summary} (done before)`;
    }
    signal.throwIfAborted();
    this.current = stage;
    await this.lock.assertHeld();
    await this.directory.writeStatus('running', stage);
    const startedAt = new Date();
    // The system clock may be adjusted meanwhile.
    const start = performance.now();
    const result = await runStage(stage, await this.context(), say);
    const seconds = (performance.now() - start) / 1000;
    const completed = { ...result, startedAt: startedAt.toISOString(), seconds };
    await this.lock.assertHeld();
    await keepStageResult(this.directory.path, stage, completed, evaluation);
    await this.take(stage, completed);
    return result.summary;
  }

  private async context(): Promise<StageContext> {
    const beforeWrite = () => this.lock.assertHeld();
    return {
      ...this.options,
      engine: this.engine,
      directory: this.directory.path,
      skipped: await SkippedSamples.open(this.directory.file('skipped.jsonl'), this.options.skipBad, beforeWrite),
      beforeWrite,
      evaluatesLast: this.options.stages.includes('evaluate'),
      weights: this.weights,
      weightsKey: this.used?.key,
      onLoad: (report) => this.sayLoaded(formatLoadReport('Weights', report)),
    };
  }

  /** Says how given weights fit, once; those that an earlier stage trained fit. */
  private sayLoaded(text: string): void {
    if (this.used?.source === 'given' && text !== this.said) this.options.note(text);
    this.said = text;
  }

  private async take(stage: Stage, { details, weights, startedAt, seconds }: CompletedStage): Promise<void> {
    Object.assign(this.details, { [stage]: details });
    if (weights !== undefined) {
      this.weights = weights;
      this.used = await recordedWeights(weights, 'trained');
    }
    this.completed.push({ stage, startedAt, seconds });
  }
}
