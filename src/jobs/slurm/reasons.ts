/** Reasons of a pending job that users meet, from squeue(1), JOB REASON CODES, in words. */
const WORDS: Readonly<Record<string, string>> = {
  BeginTime: 'starts again soon',
  JobArrayTaskLimit: 'as many tasks run as --max-parallel lets',
  Resources: 'no node is free',
  Priority: 'other jobs come first',
  Licenses: 'a licence that it needs is not free',
  Reservation: 'its reservation has not begun',
  Dependency: 'a job that it depends on has not ended',
  JobHeldUser: 'held: scontrol release lets it start',
  JobHeldAdmin: 'held by an administrator',
  JobHoldMaxRequeue: 'held: Slurm requeued it too often',
  PartitionDown: 'its partition is down',
  PartitionInactive: 'its partition is closed',
  PartitionNodeLimit: 'it asks for more nodes than its partition has',
  PartitionTimeLimit: 'its time limit is above that of the partition',
  ReqNodeNotAvail: 'a node that it needs is not available',
};

/**
 * Why a task waits, in words. A reason without words of its own stays as Slurm calls it.
 * @param reason As squeue has it; details may follow after a comma.
 */
export function reasonInWords(reason: string): string {
  const [code = ''] = reason.split(',', 1);
  if (Object.hasOwn(WORDS, code)) return WORDS[code]!;
  if (code.startsWith('QOS')) return `a limit of its QOS is reached (${reason})`;
  return code.startsWith('Assoc') ? `a limit of its account is reached (${reason})` : reason;
}
