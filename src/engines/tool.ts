export interface ToolResult {
  readonly outcome: 'success' | 'failure' | 'absent';
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end and returns what it printed. A program that is not there is an outcome, not an error.
 * @throws the signal's reason when aborted.
 */
export async function runTool(
  program: string,
  parameters: readonly string[],
  options: { readonly signal?: AbortSignal; readonly environment?: NodeJS.ProcessEnv } = {},
): Promise<ToolResult> {
  const { execa } = await import('execa');
  const result = await execa(program, parameters, {
    reject: false,
    stdin: 'ignore',
    ...(options.signal ? { cancelSignal: options.signal } : {}),
    ...(options.environment ? { env: options.environment } : {}),
  });
  options.signal?.throwIfAborted();
  const outcome =
    result.exitCode === 0 ? 'success' : result.code === 'ENOENT' || result.code === 'EACCES' ? 'absent' : 'failure';
  return { outcome, stdout: result.stdout, stderr: result.stderr };
}
