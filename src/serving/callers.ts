import type { IncomingHttpHeaders } from 'node:http';
import { RequestProblem } from './problem.js';

/** Whether only programs of this machine reach an address. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(address);
}

/** The name in the header Host: "localhost" of "localhost:8080"; null if it is no name with a port. */
function hostName(host: string): string | null {
  if (/[^\w.:[\]-]/.test(host) || !URL.canParse(`http://${host}`)) return null;
  return new URL(`http://${host}`).hostname.replace(/\.$/, '');
}

function isOwnName(name: string | null): boolean {
  return name !== null && (/^(.+\.)?localhost$/.test(name) || isLoopback(name.replace(/^\[(.*)\]$/, '$1')));
}

/**
 * For a server on loopback: its own names only, and the one by which it was told to listen. A page of another site could have its own name
 * lead to this machine, and its scripts would then be of the same origin (DNS rebinding).
 * @throws RequestProblem
 */
export function requireOwnHost({ host = '' }: IncomingHttpHeaders, given: string): void {
  const name = hostName(host);
  if (isOwnName(name) || name === given.toLowerCase()) return;
  throw new RequestProblem(
    403,
    `This server answers to localhost, 127.0.0.1 and [::1], not to "${host}".`,
    'Use one of these names, or start the server with --host.',
  );
}

/** Headers that let scripts of an allowed origin read the answer; none for others. */
export function originHeaders(
  { origin }: IncomingHttpHeaders,
  allowed: string | undefined,
): Readonly<Record<string, string>> {
  if (allowed === undefined) return {};
  if (allowed === '*') return { 'access-control-allow-origin': '*' };
  return { vary: 'Origin', ...(origin === allowed && { 'access-control-allow-origin': allowed }) };
}

/** @throws RequestProblem if a script of another site sends the request, whose origin is not allowed. */
export function requireAllowedOrigin({ origin, host }: IncomingHttpHeaders, allowed: string | undefined): void {
  if (origin === undefined || allowed === '*' || origin === allowed) return;
  if (URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()) return;
  throw new RequestProblem(
    403,
    `Pages of ${origin} may not use this server.`,
    'Start it with --allow-origin to let them.',
  );
}
