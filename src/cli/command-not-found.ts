import type { Hook } from '@oclif/core/hooks';
import { UserError } from '../support/errors.js';
import { nearest } from '../support/suggest.js';

/** Suggests the command that a mistyped one may mean. */
const commandNotFound: Hook.CommandNotFound = async ({ id, config }) => {
  const words = id.split(':');
  if (words[0]!.startsWith('-')) {
    throw new UserError(`The flag ${words[0]} stands where a command is expected.`, 'See fcn --help for the commands.');
  }
  // oclif joins all words before the first flag into the name of the command.
  for (let length = words.length - 1; length > 0; length--) {
    if (config.findCommand(words.slice(0, length).join(':')) === undefined) continue;
    const command = words.slice(0, length).join(' ');
    throw new UserError(
      `fcn ${command} takes no argument, got: ${words.slice(length).join(' ')}.`,
      `See fcn ${command} --help.`,
    );
  }
  const topics = config.topics.map((topic) => topic.name);
  const known = words.filter((_, i) => topics.includes(words.slice(0, i + 1).join(':'))).length;
  const typed = words.slice(0, known + 1);
  const topic = words.slice(0, known);
  const inTopic = [...config.commandIDs, ...topics].flatMap((name) => {
    const parts = name.split(':');
    return parts.length === known + 1 && topic.every((word, i) => parts[i] === word) ? parts.slice(known) : [];
  });
  const meant = nearest(words[known] ?? '', inTopic);
  throw new UserError(
    `Unknown command: ${typed.join(' ')}.`,
    meant === undefined
      ? `See ${['fcn', ...topic].join(' ')} --help for the commands.`
      : `Did you mean ${['fcn', ...topic, meant].join(' ')}?`,
  );
};

export default commandNotFound;
