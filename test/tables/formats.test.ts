import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import { formatReport, TABLE_FORMATS } from '../../src/tables/report.js';
import { makeReport } from '../../src/tables/table.js';
import { makeRecord } from '../helpers/record.js';

const REPRODUCED = 'fcn_r50-d8_512x1024_40k_cityscapes';
const GIVEN = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';
const SMOKE = 'fcn_r18-d8_512x1024_80k_cityscapes';

/** Three rows of Cityscapes: one trained, one evaluated with given weights, one only run in small; and CamVid. */
function report() {
  const tables = loadTables()
    .map((table) => ({
      ...table,
      rows: table.rows.filter(({ id }) => [REPRODUCED, GIVEN, SMOKE, 'camvid_r18-d8'].includes(id)),
    }))
    .filter(({ rows }) => rows.length > 0);
  return makeReport(tables, [
    makeRecord({ row: REPRODUCED }, { figures: { memoryGB: 5.437, fps: 0.5, mIoU: 72.614, mIoUMsFlip: 71.2 } }),
    makeRecord(
      { row: GIVEN },
      {
        figures: { memoryGB: null, fps: null, mIoU: 76.8, mIoUMsFlip: 77.9 },
        weights: { file: 'published.pth', sha256: 'cd'.repeat(32), source: 'given' },
      },
    ),
    makeRecord({ row: SMOKE, profile: 'smoke' }, { figures: { memoryGB: 0.01, fps: 76, mIoU: 3.2, mIoUMsFlip: null } }),
    ...[41.5, 43].map((mIoU, seed) =>
      makeRecord(
        { row: 'camvid_r18-d8', overrides: ['width=32'], seed },
        { figures: { memoryGB: null, fps: null, mIoU, mIoUMsFlip: 44 } },
      ),
    ),
  ]);
}

for (const format of TABLE_FORMATS) {
  test(`a report as ${format}`, async (t) => {
    t.snapshot(await formatReport(report(), format));
  });
}

test('without any record every reproduced figure is a dash', async (t) => {
  const text = await formatReport(makeReport(loadTables(), []), 'markdown');
  t.false(text.includes('Smoke runs'));
  t.false(text.includes('Local runs'));
  const lines = text.split('\n').filter((line) => line.startsWith('| FCN'));
  t.is(lines.length, 41);
  for (const line of lines) t.regex(line, /^(\| [^|]+ ){4}(\| [^|]+ \/ – ){4}(\| [^|]+ ){2}\|$/);
});
