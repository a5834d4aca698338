import { usedValues } from '../../recipe/backbones.js';
import type { Deviation } from '../../recipe/resolve.js';
import { hasPublished } from '../../records/comparability.js';
import { environmentEntries } from '../../records/environment.js';
import type { KnownRun } from '../../runs/catalogue.js';
import { htmlTable } from '../markup.js';

interface Described {
  readonly run: KnownRun;
  readonly deviations: readonly Deviation[];
}

const formatValue = (value: unknown) => (value === undefined ? '–' : JSON.stringify(value));

/** What a run changed in the recipe of its row, the whole recipe, and what it ran on. */
export function recipeSection({ run, deviations }: Described): string {
  const changed = new Set(deviations.map(({ path }) => path));
  const [title, nothing, before] = hasPublished(run.experiment.published)
    ? ['Deviations from the published recipe', 'Nothing deviates from the published recipe.', 'Published']
    : ["Changes to the row's recipe", "Nothing was changed in the row's recipe.", 'Row'];
  const deviating =
    deviations.length === 0
      ? `<p class="note">${nothing}</p>`
      : htmlTable({
          name: title,
          head: ['Value', before, 'Here'],
          body: deviations.map(({ path, published, value }) => [path, formatValue(published), formatValue(value)]),
        });
  const all = htmlTable({
    name: 'The whole recipe',
    head: ['Value', 'Here'],
    body: [...usedValues(run.experiment)].map(([path, value]) => [
      changed.has(path) ? `${path} *` : path,
      formatValue(value),
    ]),
  });
  const machine = htmlTable({
    name: 'Environment',
    head: ['What', 'Which'],
    body: [
      ...environmentEntries(run.environment),
      ...(run.record
        ? [['fcn', `${run.record.code.version}${run.record.code.commit ? `, commit ${run.record.code.commit}` : ''}`]]
        : []),
    ],
  });
  return `<div class="two">
<section><h3>${title}</h3>${deviating}
<details class="more"><summary>The whole recipe (* changed)</summary>${all}</details></section>
<section><h3>Environment</h3>${machine}</section>
</div>`;
}
