import { valuesOf } from '../../experiments/overrides.js';
import { environmentEntries } from '../environment.js';
import { table } from './markup.js';
import type { ReportedRun } from './page.js';

const show = (value: unknown) => (value === undefined ? '–' : JSON.stringify(value));

/** Deviations from the published recipe, the whole recipe, and what the run ran on. */
export function recipeSection({ run, deviations }: Pick<ReportedRun, 'run' | 'deviations'>): string {
  const changed = new Set(deviations.map(({ path }) => path));
  const deviating =
    deviations.length === 0
      ? '<p class="note">Nothing deviates from the published recipe.</p>'
      : table({
          name: 'Deviations from the published recipe',
          head: ['Value', 'Published', 'Here'],
          body: deviations.map(({ path, published, value }) => [path, show(published), show(value)]),
        });
  const all = table({
    name: 'The whole recipe',
    head: ['Value', 'Here'],
    body: [...valuesOf(run.experiment)].map(([path, value]) => [changed.has(path) ? `${path} *` : path, show(value)]),
  });
  const machine = table({
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
<section><h3>Deviations from the published recipe</h3>${deviating}
<details class="more"><summary>The whole recipe (* deviates)</summary>${all}</details></section>
<section><h3>Environment</h3>${machine}</section>
</div>`;
}
