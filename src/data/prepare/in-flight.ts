/**
 * Works tasks off, at most `ahead` at a time. After a failure or an end of the tasks by an error no more are begun, and those
 * that are under way are waited for, so that nothing is cut off in the middle.
 * @throws What the first task failed with, or what the tasks ended with.
 */
export async function inFlight<Task>(
  tasks: AsyncIterable<Task> | Iterable<Task>,
  ahead: number,
  work: (task: Task) => Promise<void>,
): Promise<void> {
  const pending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | null = null;
  const begin = (task: Task): void => {
    const one: Promise<void> = work(task)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => pending.delete(one));
    pending.add(one);
  };
  try {
    for await (const task of tasks) {
      if (failure) break;
      begin(task);
      if (pending.size >= ahead) await Promise.race(pending);
    }
  } finally {
    await Promise.all(pending);
  }
  if (failure) throw (failure as { readonly error: unknown }).error;
}
