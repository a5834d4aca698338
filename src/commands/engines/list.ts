import { BaseCommand } from '../../cli/base.js';

export default class EnginesList extends BaseCommand {
  static override summary = 'List the engines: which are available, and which is used by default.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];

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
    }
    return { engines };
  }
}
