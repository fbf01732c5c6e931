import { getOperationAST } from 'graphql';

const endpoint = '/graphql';

/** GraphiQL's fetcher: one POST per operation; a subscription's answer is read as server-sent events. */
export async function fetcher(params, { headers = {}, documentAST } = {}) {
  const operation = documentAST && getOperationAST(documentAST, params.operationName);
  if (operation?.operation === 'subscription') return subscribe(params, headers);
  return answer(await post(params, headers, 'application/graphql-response+json, application/json;q=0.9'));
}

function post(params, headers, accept, signal) {
  return fetch(endpoint, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: accept, ...headers },
    body: JSON.stringify(params),
    signal,
  });
}

// A proxy or a login page answers in HTML; its status says more than a JSON parse error would.
async function answer(response) {
  if (response.headers.get('Content-Type')?.includes('json')) return response.json();
  const text = (await response.text()).trim().slice(0, 500);
  throw new Error(`${endpoint} answered ${response.status} ${response.statusText} without JSON: ${text}`);
}

function subscribe(params, headers) {
  const abort = new AbortController();
  const results = read(params, headers, abort.signal);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => results.next(),
    // A generator ends only after its pending read; the abort ends that read.
    return() {
      abort.abort();
      return results.return();
    },
  };
}

async function* read(params, headers, signal) {
  try {
    const response = await post(params, headers, 'text/event-stream', signal);
    if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
      yield await answer(response);
      return;
    }
    for await (const { name, data } of events(response.body)) {
      if (name === 'complete') return;
      if (name === 'next') yield JSON.parse(data);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (text + value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      yield* blocks.map(event);
    }
  } finally {
    await reader.cancel();
  }
}

function event(block) {
  const field = (name) =>
    block
      .split(/\r?\n/)
      .filter((line) => line.startsWith(name + ':'))
      .map((line) => line.slice(name.length + 1).replace(/^ /, ''))
      .join('\n');
  return { name: field('event') || 'message', data: field('data') };
}
