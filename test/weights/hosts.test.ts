import test from 'ava';
import { PublishedHosts } from '../../src/weights/hosts.js';

const { signal } = new AbortController();

/** Hosts that answer so, and the addresses that were asked. */
function hostsThat(answer: (url: string, init: RequestInit) => Promise<Response>, seconds?: number) {
  const asked: string[] = [];
  const fetcher = (url: string, init: RequestInit) => {
    asked.push(url);
    return answer(url, init);
  };
  return { asked, hosts: new PublishedHosts(signal, { fetcher, ...(seconds !== undefined && { seconds }) }) };
}

test('each host is asked once, and says the size of the file that it was asked for', async (t) => {
  const partial = { status: 206, headers: { 'content-range': 'bytes 0-0/1234' } };
  const { asked, hosts } = hostsThat(async () => new Response('x', partial));
  const links = ['https://one.test/a.pth', 'https://one.test/b.pth', 'https://two.test/c.pth'];
  const answers = await Promise.all(links.map((link) => hosts.ask(link)));
  t.deepEqual(answers, [{ bytes: 1234 }, { bytes: null }, { bytes: 1234 }]);
  t.deepEqual(asked, [links[0]!, links[2]!]);
  t.deepEqual(await hosts.ask(links[0]!), { bytes: 1234 });
  t.is(asked.length, 2);
});

test('a host that is away fails for all its files; a file that is missing, or a server that is overloaded, for this one', async (t) => {
  const away = hostsThat(async () => {
    throw new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ENOTFOUND' }) });
  });
  for (const link of ['https://one.test/a.pth', 'https://one.test/b.pth']) {
    t.like(await away.hosts.ask(link), { problem: { message: 'Cannot reach one.test: ENOTFOUND.' }, mayPass: false });
  }
  t.is(away.asked.length, 1);
  for (const [status, mayPass] of [
    [404, false],
    [403, false],
    [429, true],
    [503, true],
  ] as const) {
    const { hosts } = hostsThat(async () => new Response('', { status }));
    const answer = await hosts.ask('https://one.test/a.pth');
    t.true('problem' in answer && answer.mayPass === mayPass, String(status));
    t.deepEqual(await hosts.ask('https://one.test/b.pth'), { bytes: null });
  }
});

test('a host that does not answer in time may do so later', async (t) => {
  const never = (_: string, { signal: limit }: RequestInit) =>
    new Promise<Response>((_resolve, reject) => {
      limit!.addEventListener('abort', () => reject(limit!.reason));
    });
  const { hosts } = hostsThat(never, 0.01);
  const message = 'one.test has not answered within 0.01 s.';
  t.like(await hosts.ask('https://one.test/a.pth'), { problem: { message }, mayPass: true });
  t.like(await hosts.ask('https://one.test/b.pth'), { problem: { message }, mayPass: true });
});
