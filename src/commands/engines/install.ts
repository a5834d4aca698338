import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';

export default class EnginesInstall extends BaseCommand {
  static override summary = "Set the native engine up: TensorFlow's library, and the addon compiled against it.";
  static override description =
    'Takes the library from a TensorFlow wheel, checks it, unpacks only what is needed into a cache folder shared by ' +
    'projects (FCN_CACHE_DIR) and compiles the addon. Needs Python with pip (unless --from is given) and a C++ compiler. ' +
    'Repeated, it finds the work done; broken off, it goes on where it stopped. What is installed last is in use.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --gpu',
    '<%= config.bin %> <%= command.id %> --tensorflow 2.20.0',
    '<%= config.bin %> <%= command.id %> --from ~/venv/lib/python3.11/site-packages/tensorflow',
  ];
  static override flags = {
    tensorflow: Flags.string({
      summary: 'Release of TensorFlow; the default is the tested one.',
      helpValue: 'VERSION',
    }),
    from: Flags.string({
      summary: 'Take the library from this TensorFlow wheel, or from this installed TensorFlow, where it stays.',
      helpValue: 'PATH',
    }),
    gpu: Flags.boolean({ summary: "The CUDA build, with NVIDIA's run-time libraries (Linux x64)." }),
    force: Flags.boolean({ summary: 'Install anew even where everything is in place.' }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(EnginesInstall);
    const { installTensorflow } = await import('../../engines/install.js');
    let said = '';
    const { installed, folder, manifest } = await installTensorflow({
      ...(flags.tensorflow === undefined ? {} : { version: flags.tensorflow }),
      ...(flags.from === undefined ? {} : { from: flags.from }),
      gpu: flags.gpu,
      force: flags.force,
      signal: this.interruptSignal(),
      onProgress: ({ text }) => {
        if (text !== said) this.note(`${text} …`);
        said = text;
      },
    });
    const what = `TensorFlow ${manifest.tensorflow} (${manifest.variant})`;
    this.print(installed ? `${what} is installed in ${folder}.` : `${what} was installed already, in ${folder}.`);
    return { installed, folder, ...manifest };
  }
}
