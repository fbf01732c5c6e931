const endpoint = '/graphql';

const accept = 'application/graphql-response+json, application/json;q=0.9';

/** GraphiQL's fetcher: one POST per operation. The service has no subscriptions. */
export async function fetcher(params, { headers = {} } = {}) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: accept, ...headers },
    body: JSON.stringify(params),
  });
  return answer(response);
}

// A proxy or a login page answers in HTML; its status says more than a JSON parse error would.
async function answer(response) {
  if (response.headers.get('Content-Type')?.includes('json')) return response.json();
  const text = (await response.text()).trim().slice(0, 500);
  throw new Error(`${endpoint} answered ${response.status} ${response.statusText} without JSON: ${text}`);
}
