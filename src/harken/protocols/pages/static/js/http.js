/** Asking the server, with the key where it wants one. */

import { askForKey } from './key.js';

/** The path that the application stands under, without a slash at its end. */
export const root = document.documentElement.dataset.root ?? '';
const hasKeys = 'hasKeys' in document.documentElement.dataset;
const KEY = 'harken.key';

/** An answer that is an error: `status`, 0 where none came, and what the server says of it. */
export class Refused extends Error {
  /** @param {number} status @param {string} detail */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** @returns {string | undefined} the key of this tab */
export function key() {
  return (hasKeys && sessionStorage.getItem(KEY)) || undefined;
}

/**
 * Ask for a path; where a key is wanted, ask the reader for it and try again.
 * @param {string} path below the root, beginning with a slash
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} an answer that is no error
 * @throws {Refused}
 */
export async function request(path, options = {}) {
  for (let problem = ''; ; problem = 'That key is not known here.') {
    const sent = key();
    if (hasKeys && (sent === undefined || problem)) {
      sessionStorage.setItem(KEY, await askForKey(problem));
    }
    const answer = await ask(path, options);
    if (answer.status !== 401) return checked(answer);
    if (!hasKeys) throw new Refused(401, 'This server wants a key now; load the page again.');
  }
}

/**
 * Send JSON, if any, and read JSON.
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
 * Keep what is at a path as a file, also where a key is wanted.
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
  throw new Refused(answer.status, problem.detail ?? `The server answered ${answer.status}.`);
}
