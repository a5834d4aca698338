import test from 'ava';
import type { EngineStatus } from '../../src/engines/selection.js';
import { type DoctorReport, formatDoctor } from '../../src/runs/doctor.js';

const GPU = { name: 'NVIDIA A100', driver: '580.1', memoryBytes: 80 * 2 ** 30 };

function report(gpus: DoctorReport['hardware']['gpus'], halfPrecision: EngineStatus['halfPrecision']): DoctorReport {
  const engine = { name: 'tensorflow', available: true, isDefault: true, halfPrecision, reason: 'Installed.' } as const;
  const machine = { processor: 'A processor', cores: 2, memoryBytes: 2 ** 33, node: '20.0.0', system: 'Linux x64' };
  return {
    version: '1.0.0',
    engine: 'tensorflow',
    chosenBy: 'auto',
    engines: [{ ...engine, versions: {}, path: null }],
    missing: [],
    hardware: { ...machine, gpus },
    cacheDirectory: 'cache',
    dataRoot: 'data',
    datasets: [],
  };
}

test('a GPU that the installed engine does not compute on is said, with the command that changes it', (t) => {
  t.regex(formatDoctor(report([GPU], 'bf16')), /NVIDIA A100, 80\.0 GiB[\s\S]+fcn engines install --gpu/);
  t.notRegex(formatDoctor(report([GPU], 'fp16')), /install --gpu/);
  t.notRegex(formatDoctor(report([], 'bf16')), /install --gpu/);
});

test('what is missing is said with the commands that make it', (t) => {
  const missing = {
    id: 'camvid',
    name: 'CamVid',
    folder: 'data/camvid',
    images: {},
    expected: {},
    classes: 11,
    isUnconfirmed: false,
    synthetic: false,
  };
  const dataset = { ...missing, present: false, unfinished: false, problem: 'There is none.', next: null };
  const found = { ...dataset, present: true, problem: null };
  t.regex(
    formatDoctor({ ...report([], null), datasets: [dataset] }),
    /✗ camvid missing\n {4}fcn datasets prepare NAME .*\n {4}fcn datasets generate NAME .*\n {4}fcn init /,
  );
  t.notRegex(formatDoctor({ ...report([], null), datasets: [found] }), /fcn datasets/);
});
