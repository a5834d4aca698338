import * as Args from '@oclif/core/args';
import { BaseCommand } from '../cli/base.js';
import { completionScript, SHELLS } from '../cli/completion/scripts.js';

export default class Completion extends BaseCommand {
  static override summary = 'Print a script with which a shell completes commands, flags and values.';
  static override description =
    'Values are rows (with --file, those of the file), tables, data sets, names of runs, and the words that a flag takes. ' +
    'For this shell: source <(fcn completion bash), or the same with zsh, after compinit. For good, put that line into ~/.bashrc or ' +
    '~/.zshrc; or write the script where the shell looks for completions, in zsh a folder of $fpath, which makes it start faster.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> bash > ~/.local/share/bash-completion/completions/fcn',
    '<%= config.bin %> <%= command.id %> zsh > ~/.zsh/completions/_fcn',
    '<%= config.bin %> <%= command.id %> fish > ~/.config/fish/completions/fcn.fish',
  ];
  static override args = {
    shell: Args.option({ description: 'Your shell.', options: SHELLS })({ required: true }),
  };

  async run(): Promise<object> {
    const { args } = await this.parse(Completion);
    const shell = SHELLS.find((known) => known === args.shell)!;
    const script = completionScript(shell);
    if (!this.jsonEnabled()) process.stdout.write(script);
    return { shell, script };
  }
}
