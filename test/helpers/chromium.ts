import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** The browser of the tests: FCN_TEST_CHROMIUM, or the first that PATH has; null if there is none, or the variable is empty. */
export function findChromium(): string | null {
  const given = process.env['FCN_TEST_CHROMIUM'];
  if (given !== undefined) return given === '' ? null : given;
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  const candidates = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return candidates.find(isProgram) ?? null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Options with which Chromium has a WebGPU adapter without a GPU. */
export const SOFTWARE_WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/**
 * A headless Chromium, driven by the DevTools protocol over two pipes: this needs neither a package nor a WebSocket, which Node 20 has
 * none of.
 */
export class Chromium {
  private readonly answers = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  private next = 1;
  private hasEnded = false;

  private constructor(
    private readonly child: ChildProcess,
    private readonly profile: string,
    private readonly listeners: Set<(message: Message) => void>,
  ) {
    let text = '';
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (chunk: string) => {
      const messages = (text + chunk).split('\0');
      text = messages.pop()!;
      for (const message of messages) this.take(JSON.parse(message) as Message);
    });
    child.on('exit', () => {
      this.hasEnded = true;
      for (const { reject } of this.answers.values()) reject(new Error('Chromium has ended.'));
    });
    // Its end is told by its exit.
    (child.stdio[3] as Writable).on('error', () => {});
  }

  static async start(file: string, options: readonly string[] = []): Promise<Chromium> {
    const profile = await mkdtemp(path.join(os.tmpdir(), 'fcn-chromium-'));
    const parameters = [
      '--headless=new',
      '--remote-debugging-pipe',
      `--user-data-dir=${profile}`,
      '--no-first-run',
      '--disable-background-networking',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      // Chromium has no sandbox for root.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ...options,
    ];
    const child = spawn(file, parameters, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    return new Chromium(child, profile, new Set());
  }

  /** Opens a page, and waits until it has loaded. */
  async open(address: string, width = 1200, height = 900): Promise<Tab> {
    const { targetId } = await this.send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
    const attached = { targetId, flatten: true };
    const { sessionId } = await this.send<{ sessionId: string }>('Target.attachToTarget', attached);
    const tab = new Tab(this, sessionId);
    await tab.prepare(width, height);
    await tab.navigate(address);
    return tab;
  }

  send<R>(method: string, params: object = {}, sessionId?: string): Promise<R> {
    if (this.hasEnded) throw new Error('Chromium has ended.');
    const id = this.next++;
    const answer = new Promise<R>((resolve, reject) => {
      this.answers.set(id, { resolve: (result) => resolve(result as R), reject });
    });
    (this.child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return answer;
  }

  listen(listener: (message: Message) => void): void {
    this.listeners.add(listener);
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('close', resolve));
    this.child.kill('SIGKILL');
    await ended;
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  private take(message: Message): void {
    const answer = this.answers.get(message.id ?? 0);
    if (answer === undefined) {
      for (const listener of this.listeners) listener(message);
      return;
    }
    this.answers.delete(message.id!);
    if (message.error === undefined) answer.resolve(message.result);
    else answer.reject(new Error(message.error.message));
  }
}

/** A page in Chromium. */
export class Tab {
  /** What the browser reports: errors of scripts and what its policies refuse. */
  readonly problems: string[] = [];

  constructor(
    private readonly browser: Chromium,
    private readonly session: string,
  ) {}

  async prepare(width: number, height: number): Promise<void> {
    this.browser.listen(({ sessionId, method, params }) => {
      if (sessionId !== this.session) return;
      if (method === 'Runtime.exceptionThrown' || (method === 'Log.entryAdded' && isError(params)))
        this.problems.push(JSON.stringify(params));
    });
    for (const domain of ['Page', 'Runtime', 'Log']) await this.send(`${domain}.enable`);
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  }

  async navigate(address: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.browser.listen(({ sessionId, method }) => {
        if (sessionId === this.session && method === 'Page.loadEventFired') resolve();
      });
    });
    await this.send('Page.navigate', { url: address });
    await loaded;
  }

  send<R>(method: string, params: object = {}): Promise<R> {
    return this.browser.send(method, params, this.session);
  }

  /** The value of an expression, awaited if it is a promise. */
  async value<R>(expression: string): Promise<R> {
    const { result, exceptionDetails } = await this.send<{
      readonly result: { readonly value: R };
      readonly exceptionDetails?: { readonly exception?: { readonly description?: string } };
    }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? 'failed');
    return result.value;
  }

  /** Waits until an expression is true; asks again at each frame. */
  until(expression: string): Promise<unknown> {
    return this.value(
      `new Promise((resolve) => { const look = () => { const found = ${expression}; if (found) resolve(found); else setTimeout(look, 10); }; look(); })`,
    );
  }

  async press(key: string, modifiers = 0): Promise<void> {
    for (const type of ['keyDown', 'keyUp'])
      await this.send('Input.dispatchKeyEvent', { type, key, code: key, modifiers });
  }

  /** A PNG of what is seen. */
  async screenshot(): Promise<Buffer> {
    const options = { format: 'png', captureBeyondViewport: true };
    const { data } = await this.send<{ data: string }>('Page.captureScreenshot', options);
    return Buffer.from(data, 'base64');
  }
}

function isError(params: Record<string, unknown> | undefined): boolean {
  return (params?.['entry'] as { readonly level?: string } | undefined)?.level === 'error';
}
