import path from 'node:path';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';

export default class Report extends BaseCommand {
  static override summary = 'Write a page of runs: curves, classes, confusion, predictions, recipe and environment.';
  static override description =
    'One file, index.html, that needs no other and no network. With --format svg or png each chart is a file of its own ' +
    'instead. A run that is still going on is shown as far as it is.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --out report',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --predictions DIR --data-root DIR --out report',
    '<%= config.bin %> <%= command.id %> runs/camvid_r18-d8/RUN --format png --chart loss --chart iou --out charts',
  ];
  static override args = {
    runs: Args.string({
      description: `${flags.SEVERAL_RUNS_FORMS}. All runs if left out.`,
      multiple: true,
    }),
  };
  static override flags = {
    out: Flags.string({ summary: 'Folder to write to.', required: true, env: 'FCN_REPORT', helpValue: 'DIR' }),
    format: Flags.option({
      summary: 'A page, or each chart as a file.',
      default: 'html' as const,
      options: ['html', 'svg', 'png'] as const,
    })(),
    chart: Flags.option({
      summary: 'Only this chart; may be given several times.',
      options: ['loss', 'lr', 'accuracy', 'miou', 'iou', 'confusion', 'throughput', 'memory'] as const,
      multiple: true,
      multipleNonGreedy: true,
    })(),
    theme: Flags.option({
      summary: "Colours of charts as files; an SVG follows the reader's device if not given, a PNG is light.",
      options: ['light', 'dark'] as const,
    })(),
    predictions: Flags.string({
      summary: 'Folder that fcn evaluate --predictions wrote, to show the best and the worst of.',
      helpValue: 'DIR',
    }),
    examples: Flags.integer({
      summary: 'How many of the best and of the worst predictions; 3 if not given.',
      min: 1,
      max: 50,
      helpValue: 'N',
      dependsOn: ['predictions'],
    }),
    log: Flags.string({
      summary: "The row's published training log (log.json), drawn beside the curves.",
      helpValue: 'FILE',
    }),
    'data-root': flags.dataRoot,
    results: flags.results,
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Report);
    const signal = this.interruptSignal();
    const { writeRunReport } = await import('../pages/runs/write.js');
    const { showCounted } = await import('../terminal/display.js');
    const { formatFileSize } = await import('../support/format.js');
    const { out, format, chart = [], theme = null, predictions, examples, log, results, runs } = flags;
    const warnings: string[] = [];
    const warn = (text: string) => {
      warnings.push(text);
      this.note(text);
    };
    const options = { out, format, charts: chart, theme, predictions, examples, log, results, runs, signal, warn };
    const references = args.runs ?? [];
    const write = (onProgress?: (done: number, total: number) => void) =>
      writeRunReport({ ...options, references, dataRoot: flags['data-root'], ...(onProgress && { onProgress }) });
    const written =
      predictions === undefined
        ? await write()
        : await showCounted('Compare predictions with labels', 'image', this.displayMode(), write);
    for (const { file, bytes } of written.files) {
      this.print(`${path.relative(process.cwd(), file)}  ${formatFileSize(bytes)}`);
    }
    return { ...written, warnings };
  }
}
