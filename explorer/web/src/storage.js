const prefix = 'graphiql:';
const history = [prefix + 'queries', prefix + 'favorites'];

const ownKeys = () => Object.keys(localStorage).filter((key) => key.startsWith(prefix));

/** True until GraphiQL has kept a set of tabs in this browser. */
export const isFirstVisit = () => localStorage.getItem(prefix + 'tabState') === null;

// The history keeps the headers of each request, even where headers are not to be persisted: a bearer token would stay on disk.
const withoutHeaders = (json) =>
  JSON.stringify(JSON.parse(json), (key, value) => (key === 'headers' ? undefined : value));

/** GraphiQL's storage: localStorage, except that no request header is ever written to it. */
export const storage = {
  getItem: (key) => localStorage.getItem(key),
  setItem: (key, value) => localStorage.setItem(key, history.includes(key) ? withoutHeaders(value) : value),
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => ownKeys().forEach((key) => localStorage.removeItem(key)),
  get length() {
    return ownKeys().length;
  },
};
