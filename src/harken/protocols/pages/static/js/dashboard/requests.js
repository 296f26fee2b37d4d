/** Asking the API, and what the time is by the server's clock. */

import { key, request, root } from '../http.js';

let ahead = 0;

/** Milliseconds since 1970, by the server's clock as far as it is known. */
export function now() {
  return Date.now() - ahead;
}

/**
 * @template {keyof Api.Answers} Path
 * @param {Path} path @param {Record<string, string>} [query]
 * @returns {Promise<Api.Answers[Path]>}
 * @throws {import('../http.js').Refused}
 */
export async function ask(path, query = {}) {
  const parameters = new URLSearchParams(query).toString();
  const answer = await request(parameters ? `${path}?${parameters}` : path);
  const at = Date.parse(answer.headers.get('Date') ?? '');
  // The header has whole seconds: a second more or less is no difference of clocks.
  if (Number.isFinite(at)) ahead = Math.abs(Date.now() - at) > 2_000 ? Date.now() - at : 0;
  return answer.json();
}

/** Ask how the server is. That it is not ready is an answer too. @returns {Promise<any>} */
export async function askHealth() {
  const sent = key();
  const answer = await fetch(`${root}/readyz`, sent ? { headers: { 'X-API-Key': sent } } : {});
  return answer.json();
}
