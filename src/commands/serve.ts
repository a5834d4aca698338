import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import { MAX_PIXELS } from '../data/image.js';
import type { ReadyServer } from '../serving/serve.js';
import { UserError } from '../support/errors.js';
import { parseDuration, withoutControls } from '../support/format.js';

/** The longest time that Node's timers take, about 24 days. */
const LONGEST_SECONDS = 2_000_000;

export default class Serve extends BaseCommand {
  static override summary = 'Serve predictions over HTTP: images in, PNG or JSON out.';
  static override description =
    'Loads a network once and answers POST /predict, one image at a time, until Ctrl-C or SIGTERM: then it finishes the request in work ' +
    'and exits with 0. Try: curl --data-binary @IMAGE http://127.0.0.1:8080/predict --output labels.png. Only programs of this machine reach it, unless --host says otherwise. Standard error has a line for each request. ' +
    'With --json, standard output has one line of JSON once it answers.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> camvid_r18-d8',
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes --weights published --port 9000',
  ];
  static override args = {
    name: Args.string({
      description: 'A run (RUN, RUN:best, RUN:last), for its weights; with --weights, the row of the network.',
      required: true,
      completes: 'RUN:best|ROW',
    }),
  };
  static override flags = {
    weights: Flags.string({
      summary: "Weights of the network: a file, the row's published weights, or a run's.",
      ...flags.weightsValue,
    }),
    key: flags.weightsKey,
    host: Flags.string({
      summary: 'Name or address of this machine to listen on; 0.0.0.0: all of them, so that others reach it.',
      env: 'FCN_HOST',
      default: '127.0.0.1',
      helpValue: 'HOST',
    }),
    port: Flags.integer({
      summary: 'Port to listen on; 0: any that is free.',
      env: 'FCN_PORT',
      default: 8080,
      min: 0,
      max: 65_535,
      helpValue: 'N',
    }),
    queue: Flags.integer({
      summary: 'Most requests that wait beside the one in work; others are answered with 503.',
      default: 8,
      min: 0,
      max: 1000,
      helpValue: 'N',
    }),
    'max-bytes': Flags.integer({
      summary: 'Most bytes of an image.',
      default: 32 * 2 ** 20,
      min: 1,
      max: 2 ** 30,
      helpValue: 'N',
    }),
    'max-pixels': Flags.integer({
      summary: 'Most pixels of an image.',
      default: 50_000_000,
      min: 1,
      max: MAX_PIXELS,
      helpValue: 'N',
    }),
    timeout: Flags.string({
      summary: 'Longest time that an image may take to arrive, or an answer to be taken.',
      default: '30s',
      helpValue: 'TIME',
    }),
    'allow-origin': Flags.string({
      summary: 'Let pages of this origin use the server, too, as in https://example.org; *: of any.',
      helpValue: 'ORIGIN',
    }),
    page: Flags.boolean({
      summary: 'Also serve the page of fcn export --to web, which runs the network in the browser.',
      allowNo: true,
      default: true,
    }),
    ...flags.experiment,
    runs: flags.runs,
    engine: flags.engine,
    ...flags.adapterChoice,
    convolution: flags.convolution,
    threads: flags.threads,
    offline: flags.offline,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Serve);
    const timeoutSeconds = parseTimeout(flags.timeout);
    const allowOrigin = flags['allow-origin'];
    if (allowOrigin !== undefined) requireOrigin(allowOrigin);
    const { serveNetwork } = await import('../serving/serve.js');
    const { file, profile, seed, weights, runs, offline, engine, convolution, threads, host, port, queue } = flags;
    await serveNetwork({
      name: args.name,
      weights,
      recipe: { file, profile, isProfileGiven: this.isGiven('profile'), seed, overrides: overridesOf(flags) },
      weightsKey: flags.key,
      ...{ runs, offline, engine, convolution, threads, host, port, queue },
      limits: { maxBytes: flags['max-bytes'], maxPixels: flags['max-pixels'], timeoutSeconds },
      allowOrigin,
      page: flags.page,
      signal: this.stopSignal(),
      note: (text) => this.note(text),
      display: this.displayMode(),
      onReady: (server) => this.announce(server),
    });
    return {};
  }

  /** --json prints its line when the server answers, not when it ends. */
  protected override logJson(): void {}

  private announce(server: ReadyServer): void {
    if (this.jsonEnabled()) process.stdout.write(`${withoutControls(JSON.stringify(server))}\n`);
    else this.print(`Serving ${server.row} on ${server.url}`);
  }
}

/** Seconds. @throws UserError for no time, or one that timers do not take. */
function parseTimeout(text: string): number {
  const seconds = parseDuration(text);
  if (seconds > 0 && seconds <= LONGEST_SECONDS) return seconds;
  throw new UserError(`--timeout ${text} is not between 1ms and ${LONGEST_SECONDS}s.`, 'Write it as 30s or 2m.');
}

/** @throws UserError unless it is what a browser sends as the header Origin, or `*`. */
function requireOrigin(text: string): void {
  if (text === '*' || (URL.canParse(text) && new URL(text).origin === text)) return;
  throw new UserError(
    `--allow-origin ${text} is no origin.`,
    'Give scheme, host and, if it has one, port, as in https://example.org, or * for all.',
  );
}
