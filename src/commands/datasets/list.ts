import path from 'node:path';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class DatasetsList extends BaseCommand {
  static override summary = 'List the data sets and which of them are present.';
  static override description =
    'Reads only folders, split lists and names of files; fcn datasets verify reads the files.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --data-root /data --json',
  ];
  static override flags = { 'data-root': flags.dataRoot };

  async run(): Promise<object> {
    const { flags } = await this.parse(DatasetsList);
    const { formatDatasets, listDatasets } = await import('../../datasets/list.js');
    const dataRoot = path.resolve(flags['data-root']);
    const datasets = await listDatasets(dataRoot);
    const { fitTerminal } = await import('../../terminal/layout.js');
    this.print(fitTerminal(formatDatasets(datasets, dataRoot)));
    return { dataRoot, datasets };
  }
}
