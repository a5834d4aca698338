import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UserError } from '../support/errors.js';
import { isLoopback } from './callers.js';

/** Where a server listens. */
export interface Listening {
  /** The IP address. */
  readonly address: string;
  readonly port: number;
  /** Of the page. */
  readonly url: string;
  /** Whether only programs of this machine reach it. */
  readonly isLocal: boolean;
}

const OTHER_PORT = 'Choose another with --port, or --port 0 for any that is free.';
const OTHER_HOST =
  'Give --host a name or an address of this machine; without it, only this machine reaches the server.';

function explainListenError(error: NodeJS.ErrnoException, host: string, port: number): unknown {
  const explained = (message: string, next: string) => new UserError(message, next, { cause: error });
  switch (error.code) {
    case 'EADDRINUSE':
      return explained(`Port ${port} of ${host} is in use by another program.`, OTHER_PORT);
    case 'EACCES':
      return explained(`No permission to listen on port ${port} of ${host}.`, OTHER_PORT);
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EINVAL':
      return explained(`${host} is no address of this machine (${error.code}).`, OTHER_HOST);
    default:
      return error;
  }
}

/** @throws UserError if the port is in use, or the host is not this machine. */
export async function listen(server: Server, host: string, port: number): Promise<Listening> {
  // Node would listen on all addresses.
  if (host === '') throw new UserError('--host is empty.', OTHER_HOST);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    throw explainListenError(error as NodeJS.ErrnoException, host, port);
  });
  const { address, port: bound, family } = server.address() as AddressInfo;
  const name = family === 'IPv6' ? `[${address}]` : address;
  return { address, port: bound, url: `http://${name}:${bound}/`, isLocal: isLoopback(address) };
}
