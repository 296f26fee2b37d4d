/** The page for signing in: sends the token of a link, which is in the fragment of the address. */

import { Refused, json } from '../http.js';
import { signOut } from './sign-out.js';

const section = /** @type {HTMLElement} */ (document.getElementById('sign-in'));
const form = /** @type {HTMLFormElement} */ (document.getElementById('with-link'));
const button = /** @type {HTMLButtonElement} */ (form.querySelector('button'));
const problem = /** @type {HTMLElement} */ (document.getElementById('sign-in-problem'));
const INCOMPLETE = 'This link is not complete. Copy all of it, or ask whoever gave it to you for a new one.';
let token = '';

/** Offer to sign in by the link in the address, if there is one. */
function begin() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given === null) return;
  // The token stays neither in the address nor in the history.
  history.replaceState(null, '', location.pathname);
  token = given;
  const who = readerOf(given);
  problem.textContent = who === undefined ? INCOMPLETE : '';
  form.hidden = who === undefined;
  /** @type {HTMLElement} */ (document.getElementById('without-link')).hidden = who !== undefined;
  if (who === undefined) return;
  /** @type {HTMLElement} */ (document.getElementById('who')).textContent = who;
  button.focus();
}

/**
 * Return the reader that a token names; the server checks its signature.
 * @param {string} given @returns {string | undefined}
 */
function readerOf(given) {
  try {
    const payload = given.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (each) => each.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === 'string' && sub !== '' ? sub : undefined;
  } catch {
    return undefined;
  }
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  problem.textContent = '';
  try {
    await json('/sign-in', { method: 'POST', body: { token } });
    location.replace(section.dataset.home ?? '/');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problem.textContent = error.message;
    button.disabled = false;
  }
});
document.getElementById('end')?.addEventListener('click', () => void signOut());
// Who pastes another link into the address of this page stays on it.
addEventListener('hashchange', begin);
begin();
document.documentElement.dataset.signIn = 'ready';
