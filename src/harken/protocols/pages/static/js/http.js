/** Requests to the server, with the API key if it needs one. */

import { askForKey } from './key-dialog.js';

/** The path that the application is mounted at, without a trailing slash. */
export const root = document.documentElement.dataset.root ?? '';
const hasKeys = 'hasKeys' in document.documentElement.dataset;
/** Whether the browser is signed in: then its cookie or the proxy says who reads, and no key does. */
const isSignedIn = 'signedIn' in document.documentElement.dataset;
/** The page for signing in asks for no key. */
const isSigning = document.getElementById('with-link') !== null;
const asksForKey = hasKeys && !isSignedIn && !isSigning;
const KEY = 'harken.key';

/** @typedef {{field: string, message: string}} FieldProblem an invalid field of a request */

/** An error answer: its `status` (0 if there was no answer), the problem, and the invalid fields. */
export class Refused extends Error {
  /** @param {number} status @param {string} detail @param {FieldProblem[]} [errors] */
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

/** @returns {string | undefined} the API key that this tab stores */
export function key() {
  return (hasKeys && !isSignedIn && sessionStorage.getItem(KEY)) || undefined;
}

/**
 * Send a request. If the server needs a key, ask the person for it and send the request again.
 * @param {string} path path below the root, with a leading slash
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} an answer with a status below 400
 * @throws {Refused}
 */
export async function request(path, options = {}) {
  for (let problem = ''; ; problem = 'The server does not accept this key.') {
    const sent = key();
    if (asksForKey && (sent === undefined || problem)) {
      sessionStorage.setItem(KEY, await askForKey(problem));
    }
    const answer = await ask(path, options);
    if (answer.status !== 401 || isSigning || isSignedIn) return checked(answer);
    if (!hasKeys) throw new Refused(401, 'This server needs an API key now. Load the page again.');
  }
}

/**
 * Send a request with an optional JSON body, and return the parsed JSON of the answer.
 * @param {string} path
 * @param {{method?: string, body?: unknown}} [options]
 * @returns {Promise<any>}
 * @throws {Refused}
 */
export async function json(path, { method = 'GET', body } = {}) {
  const sent = body === undefined ? {} : {
    headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  };
  const answer = await request(path, { method, ...sent });
  return answer.status === 204 ? undefined : answer.json();
}

/**
 * Download the answer of a path as a file; the request carries the key.
 * @param {string} path @param {string} name the file's name
 */
export async function download(path, name) {
  const address = URL.createObjectURL(await (await request(path)).blob());
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** @param {string} path @param {RequestInit} options */
async function ask(path, options) {
  const headers = new Headers(options.headers);
  const sent = key();
  if (sent !== undefined) headers.set('X-API-Key', sent);
  try {
    return await fetch(root + path, { ...options, headers });
  } catch {
    throw new Refused(0, 'The server does not answer.');
  }
}

/** @param {Response} answer */
async function checked(answer) {
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem.detail ?? `The server answered ${answer.status}.`, problem.errors);
}
