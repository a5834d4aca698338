import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';

/** Seconds between two lines about a download. */
const PROGRESS_EVERY = 5;

export default class EnginesInstall extends BaseCommand {
  static override summary = "Install the native engine: TensorFlow's library and the addons for it.";
  static override description =
    'Downloads a TensorFlow wheel from the package index, checks it, and unpacks the library into a cache folder that projects share ' +
    '(FCN_CACHE_DIR). Uses the compiled addons of the package if they fit the library, and otherwise compiles them, which needs a C++ ' +
    'compiler. Needs no Python: pip is used only if the public index cannot be read. Resumes an interrupted installation, and does ' +
    'nothing if the engine is installed already. The build installed last is in use.';
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
    index: Flags.string({
      summary:
        'Package index to download from: the https address that pip --index-url takes; it must answer in JSON (PEP 691). ' +
        'Default: the public one.',
      env: 'FCN_INDEX',
      helpValue: 'URL',
    }),
    gpu: Flags.boolean({ summary: "Install the CUDA build, with NVIDIA's run-time libraries (Linux x64)." }),
    mpi: Flags.boolean({
      summary: 'Compile the operations for several processes against the MPI of this machine: mpicxx in PATH.',
    }),
    mpicxx: Flags.string({
      summary: "The MPI's C++ compiler, or its folder, in place of the one in PATH.",
      helpValue: 'PATH',
      dependsOn: ['mpi'],
    }),
    force: Flags.boolean({ summary: 'Install again, even if everything is in place.' }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(EnginesInstall);
    if (flags.mpi) return this.installMpi(flags);
    const { installTensorflow } = await import('../../engines/install.js');
    const { formatDownload } = await import('../../support/format.js');
    let lastNote = '';
    let lastProgress = performance.now();
    const { installed, folder, manifest } = await installTensorflow({
      ...(flags.tensorflow === undefined ? {} : { version: flags.tensorflow }),
      ...(flags.from === undefined ? {} : { from: flags.from }),
      index: flags.index,
      gpu: flags.gpu,
      force: flags.force,
      signal: this.interruptSignal(),
      onProgress: ({ text, download }) => {
        if (text !== lastNote) this.note(`${text} …`);
        lastNote = text;
        if (download === undefined || performance.now() - lastProgress < PROGRESS_EVERY * 1000) return;
        lastProgress = performance.now();
        this.note(formatDownload(download));
      },
    });
    const what = `TensorFlow ${manifest.tensorflow} (${manifest.variant})`;
    this.print(installed ? `${what} is installed in ${folder}.` : `${what} was installed already, in ${folder}.`);
    return { installed, folder, ...manifest };
  }

  private async installMpi({ mpicxx, force }: { mpicxx?: string | undefined; force: boolean }): Promise<object> {
    const { installMpi } = await import('../../engines/mpi/install.js');
    const signal = this.interruptSignal();
    const { installed, mpi } = await installMpi({ mpi: mpicxx, force, signal, note: (text) => this.note(text) });
    const state = installed ? 'are compiled' : 'were compiled already';
    this.print(`The operations for MPI ${state}: ${mpi.library}, ${mpi.addon}.`);
    return { installed, ...mpi };
  }
}
