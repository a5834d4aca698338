import test from 'ava';
import { compareDownloads, RAW_SETS } from '../helpers/raw-sets.js';

for (const id of Object.keys(RAW_SETS)) {
  test(`${id}: generated downloads are prepared, verified and trained on, with the labels of the generated set`, (t) =>
    compareDownloads(t, id, true));
}
