import test from 'ava';
import { hardwareName } from '../../src/records/environment.js';
import { makeRecord } from '../helpers/record.js';

const { environment } = makeRecord({ row: 'camvid_r18-d8' });

test('figures of speed carry the name of the hardware and of the engine', (t) => {
  t.is(hardwareName(environment), 'Processor 9000, 2 cores (wasm)');
  const gpus = [{ name: 'Card 1', driver: '1.0', memoryBytes: null }];
  t.is(hardwareName({ ...environment, engine: 'tensorflow', device: 'gpu', gpus }), 'Card 1 (tensorflow)');
  t.is(
    hardwareName({ ...environment, gpus }),
    'Processor 9000, 2 cores (wasm)',
    'a GPU that was not used is not named',
  );
});
