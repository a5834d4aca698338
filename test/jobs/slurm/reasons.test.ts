import test from 'ava';
import { reasonInWords } from '../../../src/jobs/slurm/reasons.js';

test('reasons of Slurm in words; others as Slurm has them', (t) => {
  t.is(reasonInWords('JobArrayTaskLimit'), 'as many tasks run as --max-parallel lets');
  t.is(reasonInWords('ReqNodeNotAvail, UnavailableNodes:n[1-2]'), 'a node that it needs is not available');
  t.is(reasonInWords('QOSMaxJobsPerUserLimit'), 'a limit of its QOS is reached (QOSMaxJobsPerUserLimit)');
  t.is(reasonInWords('AssocGrpCpuLimit'), 'a limit of its account is reached (AssocGrpCpuLimit)');
  t.is(reasonInWords('NewInAnotherVersion'), 'NewInAnotherVersion');
  t.is(reasonInWords('constructor'), 'constructor');
});
