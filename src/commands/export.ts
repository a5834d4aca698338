import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import { INPUTS, OUTPUTS, WEIGHT_TYPES } from '../export/onnx/network.js';
import { UserError } from '../support/errors.js';

/** Flags without a meaning for a web page. */
const ONNX_FLAGS = ['input', 'output', 'weight-type', 'size'] as const;

export default class Export extends BaseCommand {
  static override summary = 'Write a network with its weights as an ONNX file, or as a web page that runs it.';
  static override description =
    'Batch norm is folded into the convolutions. With --to web, OUTPUT is a folder that any web server can offer: its page segments images ' +
    'in the browser, on a GPU or with WebAssembly, and sends them nowhere; its weights are float16. With --to onnx, the input is a ' +
    'batch of RGB images of any size, or of the size that --size fixes; the output has the size of the ' +
    'images. The file also holds the classes, their colours, and the hashes of weights and recipe. ' +
    'The network sees images at the size at which it gets them: fcn predict first fits them into the scale of the recipe, which the file names.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 street.onnx',
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes --weights published city.onnx',
    '<%= config.bin %> <%= command.id %> RUN street.onnx --input raw --output classes --size 360x480',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 page --to web',
  ];
  static override args = {
    name: Args.string({
      description: 'A run (RUN, RUN:best, RUN:last), for its weights; with --weights, the row of the network.',
      required: true,
      completes: 'RUN:best|ROW',
    }),
    output: Args.string({
      description: 'What to write: a file, NAME.onnx, or a folder.',
      required: true,
      completes: 'PATH',
    }),
  };
  static override flags = {
    weights: Flags.string({
      summary: "Weights of the network: a file, the row's published weights, or a run's.",
      ...flags.weightsValue,
    }),
    key: flags.weightsKey,
    to: Flags.option({
      summary: 'Format to write: an ONNX file, or a folder with a web page.',
      options: ['onnx', 'web'] as const,
      default: 'onnx' as const,
    })(),
    input: Flags.option({
      summary:
        'normalised: float32 [N, 3, height, width], less the mean, divided by the standard deviation; raw: uint8 RGB [N, height, width, 3].',
      options: INPUTS,
      default: 'normalised' as const,
    })(),
    output: Flags.option({
      summary:
        'logits: float32 [N, classes, height, width]; classes: the class of each pixel, uint8 [N, height, width].',
      options: OUTPUTS,
      default: 'logits' as const,
    })(),
    'weight-type': Flags.option({
      summary: 'How weights are stored; float16 halves the file. The network computes in float32.',
      options: WEIGHT_TYPES,
      default: 'float32' as const,
    })(),
    size: Flags.string({
      summary: 'Fix height and width of the images, and the batch to one image. Default: any size.',
      helpValue: 'HEIGHTxWIDTH',
    }),
    force: Flags.boolean({
      summary: 'Replace the output if it exists; a folder only if it holds an exported page and nothing else.',
    }),
    ...flags.experiment,
    runs: flags.runs,
    offline: flags.offline,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Export);
    const { exportOnnx, exportWebPage, formatOnnxExport, formatWebExport } = await import('../runs/export.js');
    const { file, profile, seed, weights, runs, offline, force } = flags;
    const exported = {
      name: args.name,
      weights,
      recipe: { file, profile, isProfileGiven: this.isGiven('profile'), seed, overrides: overridesOf(flags) },
      weightsKey: flags.key,
      ...{ runs, force, offline, output: args.output },
      signal: this.interruptSignal(),
      note: (text: string) => this.note(text),
      display: this.displayMode(),
    };
    const isOnnxName = args.output.endsWith('.onnx');
    if (isOnnxName !== (flags.to === 'onnx')) {
      const [expected, next] = isOnnxName
        ? ['a folder', 'Name a folder, or leave out --to web.']
        : ['NAME.onnx', 'Name a file that ends in .onnx, or give --to web.'];
      throw new UserError(`${args.output}: expected ${expected}.`, next);
    }
    if (flags.to === 'web') {
      const ofOnnx = ONNX_FLAGS.find((name) => this.isGiven(name));
      if (ofOnnx !== undefined) {
        throw new UserError(
          `--${ofOnnx} is for ONNX files; a web page has no such choice.`,
          'Leave it out, or give --to onnx.',
        );
      }
      const written = await exportWebPage(exported);
      this.print(formatWebExport(written));
      return written;
    }
    const written = await exportOnnx({
      ...exported,
      graph: {
        input: flags.input,
        output: flags.output,
        weightType: flags['weight-type'],
        size: flags.size === undefined ? null : parseSize(flags.size),
      },
    });
    this.print(formatOnnxExport(written));
    return written;
  }
}

/** @throws UserError unless the text is two whole numbers with an x between them. */
function parseSize(text: string): { readonly height: number; readonly width: number } {
  const [, height, width] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  const size = { height: Number(height), width: Number(width) };
  if (size.height >= 1 && size.width >= 1) return size;
  throw new UserError(`--size ${text} is no size.`, 'Give height and width in pixels, for instance --size 512x1024.');
}
