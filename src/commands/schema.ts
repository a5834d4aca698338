import * as Args from '@oclif/core/args';
import { BaseCommand } from '../cli/base.js';

const KINDS = ['table', 'base', 'dataset', 'cluster'] as const;

export default class Schema extends BaseCommand {
  static override summary = 'Print the JSON Schema of your files, with which editors check and complete them.';
  static override description =
    'Save it beside your file and name it in the first line: # yaml-language-server: $schema=./schema.json';
  static override examples = [
    '<%= config.bin %> <%= command.id %> > schema.json',
    '<%= config.bin %> <%= command.id %> dataset > dataset.schema.json',
  ];
  static override args = {
    kind: Args.string({
      description:
        "table: an experiment file; dataset: a data set's file; cluster: what jobs ask of a cluster; base: what the package's tables share.",
      options: [...KINDS],
      default: 'table',
    }),
  };
  async run(): Promise<object> {
    const { args } = await this.parse(Schema);
    const schema = await schemaOf(KINDS.find((known) => known === args.kind) ?? 'table');
    this.print(JSON.stringify(schema, null, 2));
    return schema;
  }
}

async function schemaOf(kind: (typeof KINDS)[number]): Promise<object> {
  if (kind === 'dataset') {
    const { datasetJsonSchema } = await import('../data/description.js');
    return datasetJsonSchema();
  }
  if (kind === 'cluster') {
    const { clusterJsonSchema } = await import('../jobs/cluster-options.js');
    return clusterJsonSchema();
  }
  const { experimentJsonSchema } = await import('../recipe/experiment.js');
  return experimentJsonSchema(kind);
}
