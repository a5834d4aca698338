import test from 'ava';
import { type DisplayMode, showStages } from '../../src/terminal/display.js';

for (const mode of ['live', 'plain', 'silent'] satisfies DisplayMode[]) {
  test.serial(`stages run in order, and the first failure ends them with its own error (${mode})`, async (t) => {
    const done: string[] = [];
    const stage = (title: string, failure?: Error) => ({
      title,
      run: async (report: (progress: string) => void) => {
        report('half way');
        if (failure) throw failure;
        done.push(title);
        return 'all of it';
      },
    });
    const failure = new Error('broken');
    const thrown = await t.throwsAsync(showStages([stage('a'), stage('b'), stage('c', failure), stage('d')], mode));
    t.is(thrown, failure);
    t.deepEqual(done, ['a', 'b']);
  });
}
