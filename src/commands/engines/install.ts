import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';

export default class EnginesInstall extends BaseCommand {
  static override summary = "Install the native engine: TensorFlow's library and the addon compiled against it.";
  static override description =
    'Takes the library from a TensorFlow wheel, checks it, unpacks what is needed into a cache folder that projects share ' +
    '(FCN_CACHE_DIR), and compiles the addon. Needs a C++ compiler, and Python with pip unless --from is given. Resumes an interrupted ' +
    'installation, and does nothing if the engine is installed already. The build installed last is in use.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --gpu',
    '<%= config.bin %> <%= command.id %> --tensorflow 2.20.0',
    '<%= config.bin %> <%= command.id %> --from ~/venv/lib/python3.11/site-packages/tensorflow',
  ];
  static override flags = {
    tensorflow: Flags.string({
      summary: 'Release of TensorFlow. Default: the tested one.',
      helpValue: 'VERSION',
    }),
    from: Flags.string({
      summary: 'Use this TensorFlow wheel, or this installed TensorFlow, which stays where it is.',
      helpValue: 'PATH',
    }),
    gpu: Flags.boolean({ summary: "Install the CUDA build, with NVIDIA's run-time libraries (Linux x64)." }),
    force: Flags.boolean({ summary: 'Install again, even if everything is in place.' }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(EnginesInstall);
    const { installTensorflow } = await import('../../engines/install.js');
    let lastNote = '';
    const { installed, folder, manifest } = await installTensorflow({
      ...(flags.tensorflow === undefined ? {} : { version: flags.tensorflow }),
      ...(flags.from === undefined ? {} : { from: flags.from }),
      gpu: flags.gpu,
      force: flags.force,
      signal: this.interruptSignal(),
      onProgress: ({ text }) => {
        if (text !== lastNote) this.note(`${text} …`);
        lastNote = text;
      },
    });
    const what = `TensorFlow ${manifest.tensorflow} (${manifest.variant})`;
    this.print(installed ? `${what} is installed in ${folder}.` : `${what} was installed already, in ${folder}.`);
    return { installed, folder, ...manifest };
  }
}
