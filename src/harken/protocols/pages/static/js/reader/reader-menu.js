/** The menu of the user: on a development server without keys, anybody may choose a name. */

import { isGuest, user } from './session.js';

const RECENT = 'harken.readers';
const MOST = 6;
const YEAR = 31_536_000;

const menu = /** @type {HTMLElement} */ (document.getElementById('reader-menu'));

/** List the recent users, and switch to the one that is chosen. */
export function start() {
  const form = /** @type {HTMLFormElement | null} */ (document.getElementById('user-form'));
  if (form === null) return;
  if (!isGuest) remember(user);
  const list = /** @type {HTMLElement} */ (document.getElementById('recent-users'));
  for (const name of ['guest', ...recent()].filter((each) => each !== user)) {
    const button = Object.assign(document.createElement('button'), {
      type: 'button', className: 'quiet', textContent: name,
    });
    button.addEventListener('click', () => switchTo(name));
    const item = document.createElement('li');
    item.append(button);
    list.append(item);
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    switchTo(/** @type {HTMLInputElement} */ (form.elements.namedItem('user')).value.trim());
  });
}

/** Switch to another user and reload the same feed. @param {string} name */
function switchTo(name) {
  if (!name) return;
  if (name !== 'guest') remember(name);
  const value = encodeURIComponent(name);
  document.cookie = `${menu.dataset.cookie}=${value}; path=/; max-age=${YEAR}; samesite=strict`;
  const address = new URL(location.href);
  address.searchParams.delete('user');
  if (address.href === location.href) location.reload();
  else location.assign(address);
}

/** @returns {string[]} the recent users, latest first */
function recent() {
  try {
    const known = JSON.parse(localStorage.getItem(RECENT) ?? '[]');
    return Array.isArray(known) ? known.filter((each) => typeof each === 'string') : [];
  } catch {
    return [];
  }
}

/** @param {string} name */
function remember(name) {
  const names = [name, ...recent().filter((each) => each !== name)].slice(0, MOST);
  localStorage.setItem(RECENT, JSON.stringify(names));
}
