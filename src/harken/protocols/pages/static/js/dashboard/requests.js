/** Requests to the API, and the time of the server's clock. */

import { key, request, root } from '../http.js';

/** Milliseconds that this clock is ahead of the server's. */
let ahead = 0;

/** Return milliseconds since 1970, corrected by the server's clock if it is known. */
export function now() {
  return Date.now() - ahead;
}

/**
 * GET a path of the API and return the parsed JSON.
 * @template {keyof Api.Answers} Path
 * @param {Path} path @param {Record<string, string>} [query]
 * @returns {Promise<Api.Answers[Path]>}
 * @throws {import('../http.js').Refused}
 */
export async function ask(path, query = {}) {
  const parameters = new URLSearchParams(query).toString();
  const answer = await request(parameters ? `${path}?${parameters}` : path);
  const at = Date.parse(answer.headers.get('Date') ?? '');
  // The header has whole seconds, so a smaller difference is ignored.
  if (Number.isFinite(at)) ahead = Math.abs(Date.now() - at) > 2_000 ? Date.now() - at : 0;
  return answer.json();
}

/** GET /readyz. The answer 503 is returned, too, not thrown. @returns {Promise<any>} */
export async function askHealth() {
  const sent = key();
  const answer = await fetch(`${root}/readyz`, sent ? { headers: { 'X-API-Key': sent } } : {});
  return answer.json();
}
