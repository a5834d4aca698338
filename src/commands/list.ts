import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';

export default class List extends BaseCommand {
  static override summary = 'List the rows that can be reproduced, with their published figures.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --table Cityscapes --json',
    "<%= config.bin %> <%= command.id %> 'fcn_r50*769*' --wide",
  ];
  static override args = { rows: flags.rows };
  static override flags = { table: flags.tableName, file: flags.file, wide: flags.wide };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(List);
    const { listRows, formatRows } = await import('../tables/rows.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const rows = listRows({ ...flags, patterns: args.rows });
    this.print(formatRows(rows, flags.wide ? undefined : outputWidth()));
    return { rows };
  }
}
