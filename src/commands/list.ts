import { BaseCommand } from './base.js';
import * as flags from './flags.js';

export default class List extends BaseCommand {
  static override summary = 'List the rows that can be reproduced, with their published figures.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --table Cityscapes --json',
    "<%= config.bin %> <%= command.id %> 'fcn_r50*769*'",
  ];
  static override args = { rows: flags.rows };
  static override flags = { table: flags.table, file: flags.file };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(List);
    const { listRows, formatRows } = await import('../report/list.js');
    const rows = listRows({ ...flags, patterns: args.rows });
    this.print(formatRows(rows));
    return { rows };
  }
}
