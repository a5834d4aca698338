import test from 'ava';
import { prepareEnvironment } from '../../src/engines/tensorflow/environment.js';

const DETERMINISTIC = { TF_DETERMINISTIC_OPS: '1', TF_CUDNN_DETERMINISTIC: '1', TF_CUDNN_USE_AUTOTUNE: '0' };

test("settings are added, and the user's own stay", (t) => {
  const environment: NodeJS.ProcessEnv = { TF_CPP_MIN_LOG_LEVEL: '0' };
  t.false(prepareEnvironment(false, environment));
  t.like(environment, { TF_CPP_MIN_LOG_LEVEL: '0', TF_ENABLE_ONEDNN_OPTS: '1', NVIDIA_TF32_OVERRIDE: '0' });
  t.false('TF_DETERMINISTIC_OPS' in environment);
});

test('deterministic overrides what else is set', (t) => {
  const environment: NodeJS.ProcessEnv = { TF_DETERMINISTIC_OPS: '0', TF_CUDNN_USE_AUTOTUNE: '1' };
  t.true(prepareEnvironment(true, environment));
  t.like(environment, DETERMINISTIC);
});

test("the user's own TF_DETERMINISTIC_OPS asks for all that it needs", (t) => {
  for (const value of ['1', 'true', 'True']) {
    const environment: NodeJS.ProcessEnv = { TF_DETERMINISTIC_OPS: value };
    t.true(prepareEnvironment(false, environment), value);
    t.like(environment, DETERMINISTIC);
  }
});
