import path from 'node:path';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';

export default class Report extends BaseCommand {
  static override summary = 'Write a page of runs: curves, classes, confusion, predictions, recipe.';
  static override description =
    'Writes a single file, index.html, that needs no other file and no network; or, with --format svg or png, a file for each chart. ' +
    'Shows a run in progress up to now.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --out report',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --predictions DIR --data-root DIR --out report',
    '<%= config.bin %> <%= command.id %> runs/camvid_r18-d8/RUN --format png --chart iou --out charts',
  ];
  static override args = { runs: flags.runsOrAll };
  static override flags = {
    out: Flags.string({ summary: 'Folder to write to.', required: true, env: 'FCN_REPORT', helpValue: 'DIR' }),
    format: Flags.option({
      summary: 'A page, or a file for each chart.',
      default: 'html' as const,
      options: ['html', 'svg', 'png'] as const,
    })(),
    chart: Flags.option({
      summary: 'Only this chart; may be given several times.',
      options: ['loss', 'lr', 'accuracy', 'miou', 'iou', 'confusion', 'throughput', 'memory'] as const,
      ...flags.repeatable,
    })(),
    theme: Flags.option({
      summary: "Colours of chart files. Default: an SVG follows the reader's device, a PNG is light.",
      options: ['light', 'dark'] as const,
    })(),
    predictions: Flags.string({
      summary: 'Folder that fcn evaluate --predictions wrote: show its best and worst predictions.',
      helpValue: 'DIR',
    }),
    examples: Flags.integer({
      summary: 'Number of best and of worst predictions. Default: 3.',
      min: 1,
      max: 50,
      helpValue: 'N',
      dependsOn: ['predictions'],
    }),
    log: Flags.string({
      summary: "The row's published training log (log.json), to draw with the curves.",
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
      writeRunReport({
        ...options,
        references,
        dataRoot: flags['data-root'],
        isDataRootGiven: this.isDataRootGiven(),
        ...(onProgress && { onProgress }),
      });
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
