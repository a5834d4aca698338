import test from 'ava';
import { formatRows, listRows } from '../../src/tables/rows.js';

const rows = listRows({});

test('all rows fit a terminal of 80 columns, a line a row, with their published figures', (t) => {
  const lines = formatRows(rows, 80).split('\n');
  t.true(lines.every((line) => line.length <= 80));
  for (const { row, published } of rows) {
    const found = lines.filter((line) => line.split(' ')[0] === row);
    t.is(found.length, 1, row);
    // Without published figures, the columns of a table end with the crop and the iterations.
    const last = published.mIoU === null ? found[0]!.split(/ +/).at(-1) : found[0]!.split(/ +/).at(-2);
    t.is(last, published.mIoU?.toFixed(2) ?? '4000');
  }
  t.is(lines.at(-1), 'Left out to fit 80 columns: Method, Crop, Iterations. --wide has all columns.');
});

test('with all columns each row says what it is', (t) => {
  const text = formatRows(rows);
  t.regex(text, /│ fcn_r50-d8_769x769_40k_cityscapes +│ FCN +│ R-50-D8 +│ 769x769 +│ 40000 +│/);
  t.notRegex(text, /Left out/);
});
