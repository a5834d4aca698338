import { wheelSource } from '../../src/engines/tensorflow/release.js';
import { FAKE_VERSION } from './fake-tools.js';
import type { WheelContent } from './wheel.js';

const { project, libraries } = wheelSource('cpu');

/** The name of the wheel that is asked for; the project depends on the platform. */
export const WHEEL_NAME = `${project.replaceAll('-', '_')}-${FAKE_VERSION}-cp311-cp311-any.whl`;

/** A wheel as TensorFlow's, with small files in place of the libraries. */
export function wheelContent(changes: Partial<WheelContent> = {}): WheelContent {
  return {
    distribution: `tensorflow_cpu-${FAKE_VERSION}`,
    members: {
      ...Object.fromEntries(libraries.map((name) => [`tensorflow/${name}`, `library ${name}`])),
      'tensorflow/include/tensorflow/c/c_api.h': '// header',
      'tensorflow/include/tensorflow/c/kernels.h': '// header',
      'tensorflow/python/unneeded.py': 'program',
    },
    ...changes,
  };
}
