import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class EnginesList extends BaseCommand {
  static override summary = 'List the engines: which are available, and which is used by default.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];

  static override flags = flags.adapterChoice;

  async run(): Promise<object> {
    await this.parse(EnginesList);
    const { engineStatus } = await import('../../engines/selection.js');
    const engines = await engineStatus();
    for (const engine of engines) {
      const state = engine.available ? (engine.isDefault ? 'available, default' : 'available') : 'not available';
      this.print(`${engine.name} (${state})`);
      this.print(`  ${engine.reason}`);
      const versions = Object.entries(engine.versions).map(([name, version]) => `${name} ${version}`);
      this.print(`  ${versions.join(', ')}`);
      if (engine.path !== null) this.print(`  ${engine.path}`);
      for (const { index, name, backend, driver, software } of engine.adapters ?? []) {
        this.print(
          `  adapter ${index}: ${name} (${backend}${software ? ', software' : ''}), driver ${driver || 'unknown'}`,
        );
      }
    }
    return { engines };
  }
}
