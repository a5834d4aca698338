import * as Flags from '@oclif/core/flags';
import { BaseCommand } from './base.js';
import * as flags from './flags.js';

export default class List extends BaseCommand {
  static override summary = 'List the rows that can be reproduced, with their published figures.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --table Cityscapes --json',
  ];
  static override flags = {
    table: Flags.string({ summary: 'Only the rows of this table.', helpValue: 'NAME' }),
    file: flags.file,
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(List);
    const { listRows, formatRows } = await import('../report/list.js');
    const rows = listRows(flags);
    this.print(formatRows(rows));
    return { rows };
  }
}
