import type { Hook } from '@oclif/core/hooks';
import { UserError } from '../support/errors.js';
import { nearest } from '../support/suggest.js';

/** Says which command a mistyped one may have been. */
const commandNotFound: Hook.CommandNotFound = async ({ id, config }) => {
  const words = id.split(':');
  // oclif joins every word before the first flag into the name of the command.
  for (let length = words.length - 1; length > 0; length--) {
    if (config.findCommand(words.slice(0, length).join(':')) === undefined) continue;
    const command = words.slice(0, length).join(' ');
    throw new UserError(
      `fcn ${command} takes no argument, got: ${words.slice(length).join(' ')}.`,
      `See fcn ${command} --help.`,
    );
  }
  const meant = nearest(id, [...config.commandIDs, ...config.topics.map((topic) => topic.name)]);
  throw new UserError(
    `Unknown command: ${words.join(' ')}.`,
    meant === undefined ? 'See fcn --help for the commands.' : `Did you mean fcn ${meant.replaceAll(':', ' ')}?`,
  );
};

export default commandNotFound;
