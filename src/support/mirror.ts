import { UserError } from './errors.js';

/**
 * The address from which a published file is really fetched. FCN_MIRROR, an https address, replaces the host of the link: with
 * https://mirror.example/models, https://host/a/b.pth is fetched from https://mirror.example/models/a/b.pth.
 * @throws UserError if FCN_MIRROR is not an https address.
 */
export function mirrored(link: string, environment: NodeJS.ProcessEnv = process.env): string {
  const mirror = environment['FCN_MIRROR'];
  if (!mirror) return link;
  if (!mirror.startsWith('https://') || !URL.canParse(mirror)) {
    throw new UserError(
      `FCN_MIRROR is ${mirror}; expected an https address.`,
      'Set it to the address that replaces the host of links, such as https://mirror.example/models, or unset it.',
    );
  }
  const { pathname, search } = new URL(link);
  return `${mirror.replace(/\/+$/, '')}${pathname}${search}`;
}
