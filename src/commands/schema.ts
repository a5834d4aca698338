import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';

export default class Schema extends BaseCommand {
  static override summary = 'Print the JSON Schema of experiment files, with which editors check and complete them.';
  static override description =
    'Save it beside your file and name it in the first line: # yaml-language-server: $schema=./schema.json';
  static override examples = ['<%= config.bin %> <%= command.id %> > schema.json'];
  static override flags = {
    of: Flags.option({
      summary:
        "table: for your own tables and the package's; base: for experiments/base.yaml, which the package's tables share.",
      default: 'table' as const,
      options: ['table', 'base'] as const,
    })(),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(Schema);
    const { experimentJsonSchema } = await import('../recipe/experiment.js');
    const schema = experimentJsonSchema(flags.of);
    this.print(JSON.stringify(schema, null, 2));
    return schema;
  }
}
