import { SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import type { RunRecord, Stage } from '../records/record.js';
import type { Lock } from '../support/lock.js';
import { type DisplayMode, showStages } from '../terminal/display.js';
import { weightsIdentity } from '../weights/load.js';
import type { RunDirectory } from './directory.js';
import { describeWeights } from './plan.js';
import { type CompletedStage, keepStageResult, readStageResult, type StageContext } from './stage-results.js';
import { runStage, STAGE_TITLES } from './stages.js';

/** What stages need of how a run is executed. */
export interface StageOptions
  extends Pick<
    StageContext,
    | 'experiment'
    | 'dataRoot'
    | 'keepCheckpoints'
    | 'mostSecondsLost'
    | 'signal'
    | 'evaluateEvery'
    | 'tensorboard'
    | 'saveRequested'
    | 'note'
    | 'predictions'
    | 'labelIds'
  > {
  /** In the order they are done. */
  readonly stages: readonly Stage[];
  /** Samples that may be left out where they cannot be read. */
  readonly skipBad: number;
  readonly display: DisplayMode;
}

/** The stages of a run while it is executed, and what they have found so far. */
export class StageRunner {
  readonly details: RunRecord['details'] = { train: null, evaluate: null, 'evaluate-ms': null, benchmark: null };
  readonly completed: RunRecord['stages'] = [];
  /** The stage that runs. */
  current: Stage | null = null;

  constructor(
    private readonly options: StageOptions,
    private readonly engine: Engine,
    private readonly directory: RunDirectory,
    private readonly lock: Lock,
    /** The file to evaluate: given, or trained meanwhile. */
    public weights: string | undefined,
    /** What the record says of it. */
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
    const of = weights === null ? null : { weights, predictions, labelIds };
    const earlier = await readStageResult(this.directory.path, stage, of, note);
    if (earlier !== null) {
      await this.take(stage, earlier);
      return `${earlier.summary} (done before)`;
    }
    signal.throwIfAborted();
    this.current = stage;
    await this.lock.assertHeld();
    await this.directory.writeStatus('running', stage);
    const startedAt = new Date();
    // The clock may be set meanwhile.
    const start = performance.now();
    const result = await runStage(stage, await this.context(), say);
    const seconds = (performance.now() - start) / 1000;
    const completed = { ...result, startedAt: startedAt.toISOString(), seconds };
    await this.lock.assertHeld();
    await keepStageResult(this.directory.path, stage, completed, of);
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
      weights: this.weights,
      weightsKey: this.used?.key,
    };
  }

  private async take(stage: Stage, { details, weights, startedAt, seconds }: CompletedStage): Promise<void> {
    Object.assign(this.details, { [stage]: details });
    if (weights !== undefined) {
      this.weights = weights;
      this.used = await describeWeights(weights, 'trained');
    }
    this.completed.push({ stage, startedAt, seconds });
  }
}
