import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';

export default class Doctor extends BaseCommand {
  static override summary = 'Show the engines, hardware and data sets of this machine.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --data-root /data --json',
  ];
  static override flags = { engine: flags.engine, 'data-root': flags.dataRoot };

  async run(): Promise<object> {
    const { flags } = await this.parse(Doctor);
    const { examine, formatDoctor } = await import('../runs/doctor.js');
    const report = await examine({ engine: flags.engine, dataRoot: flags['data-root'] });
    this.print(formatDoctor(report));
    return report;
  }
}
