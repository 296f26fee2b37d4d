/** Entry point of the page of sources: what its buttons and forms do. */

import { actingDialog } from '../acting-dialog.js';
import { download, json, request } from '../http.js';
import { toast } from '../toast.js';

const page = /** @type {HTMLElement} */ (document.getElementById('page'));
const list = /** @type {HTMLElement} */ (document.getElementById('list'));
const { user = 'guest', named } = page.dataset;
const who = user === 'guest' ? {} : { user_id: user };
const MOST_BYTES = 4 * 1024 * 1024;

/** @type {Record<string, (row: HTMLElement, control: HTMLElement) => unknown>} */
const ROW_ACTIONS = {
  refresh, rename, remove,
  mute: (row, button) => prefer(row, { muted: button.getAttribute('aria-pressed') !== 'true' }),
};

/** @type {Record<string, (control: HTMLElement) => unknown>} */
const PAGE_ACTIONS = {
  'refresh-all': refreshAll,
  choose: () => file?.click(),
  export: () => attempt(() => download('/api/sources/opml', 'sources.opml')),
};

document.addEventListener('click', (event) => {
  const control = /** @type {Element} */ (event.target).closest('button[data-do]');
  if (!(control instanceof HTMLElement)) return;
  const row = control.closest('li[data-id]');
  const what = control.dataset.do ?? '';
  if (row instanceof HTMLElement) ROW_ACTIONS[what]?.(row, control);
  else PAGE_ACTIONS[what]?.(control);
});

list.addEventListener('change', (event) => {
  const choice = /** @type {HTMLSelectElement} */ (event.target);
  const row = choice.closest('li[data-id]');
  if (row instanceof HTMLElement) void prefer(row, { weight: Number(choice.value) });
});

document.getElementById('cap')?.addEventListener('change', (event) => {
  const { value } = /** @type {HTMLSelectElement} */ (event.target);
  void attempt(async () => {
    const path = `/api/users/${encodeURIComponent(user)}/preferences`;
    const known = await json(path);
    const body = { ...known, most_per_source: value === '' ? null : Number(value) };
    await json(path, { method: 'PUT', body });
    toast('Your next page shows it.');
  });
});

const form = /** @type {HTMLFormElement | null} */ (document.getElementById('add'));
form?.addEventListener('submit', (event) => {
  event.preventDefault();
  void subscribe(form);
});

const file = /** @type {HTMLInputElement | null} */ (document.getElementById('opml'));
file?.addEventListener('change', () => void importList(file));

/** @param {HTMLFormElement} from */
async function subscribe(from) {
  const field = /** @type {HTMLInputElement} */ (from.elements.namedItem('url'));
  const button = /** @type {HTMLButtonElement} */ (from.querySelector('button'));
  const problem = /** @type {HTMLElement} */ (document.getElementById('add-problem'));
  problem.textContent = '';
  button.disabled = true;
  try {
    const done = await json('/api/sources', { method: 'POST', body: { url: field.value, ...who } });
    field.value = '';
    const known = done.status === 'known' ? 'was known; ' : '';
    toast(`${done.source.title}: ${known}${notes(done.added)} new.`);
    await show(`#source-${done.source.id} h2 a`);
  } catch (error) {
    problem.textContent = /** @type {Error} */ (error).message;
    field.focus();
  } finally {
    button.disabled = false;
  }
}

/** @param {HTMLElement} row @param {HTMLElement} button */
async function refresh(row, button) {
  button.setAttribute('aria-busy', 'true');
  await attempt(async () => {
    const done = await json(`${path(row)}/refresh`, { method: 'POST' });
    const said = done.result === 'news' ? `${notes(done.added)} new, ${done.updated} changed`
      : done.result === 'unchanged' ? 'nothing new' : done.source.error;
    toast(`${done.source.title}: ${said}.`);
    await show(`#${row.id} [data-do=refresh]`);
  });
  button.removeAttribute('aria-busy');
}

async function refreshAll() {
  await attempt(async () => {
    const { asked } = await json('/api/sources/refresh', { method: 'POST' });
    toast(`${asked} sources are asked now.`, { label: 'Show', act: () => void show() });
  });
}

const renaming = document.getElementById('rename') ? actingDialog('rename') : undefined;

/** @param {HTMLElement} row */
function rename(row) {
  const field = /** @type {HTMLInputElement} */ (document.getElementById('rename-name'));
  field.value = row.dataset.given ?? '';
  renaming?.ask('Rename', async () => {
    await json(path(row), { method: 'PATCH', body: { title: field.value.trim() || null } });
    await show(`#${row.id} [data-do=rename]`);
  });
}

const removing = document.getElementById('remove') ? actingDialog('remove') : undefined;

/** @param {HTMLElement} row */
function remove(row) {
  const text = /** @type {HTMLElement} */ (document.getElementById('remove-text'));
  text.textContent = `${row.dataset.title} is not asked any more. Its notes stay.`;
  removing?.ask('Remove', async () => {
    await json(path(row), { method: 'DELETE' });
    await show('#add-url');
    toast(`${row.dataset.title} is removed.`);
  });
}

/** Set what the user wants of a source. @param {HTMLElement} row @param {object} wanted */
async function prefer(row, wanted) {
  const what = 'muted' in wanted ? 'mute' : 'weigh';
  await attempt(async () => {
    await json(`${path(row)}/preference`, { method: 'PUT', body: { ...wanted, ...who } });
    await show(`#${row.id} [data-do=${what}]`);
    toast('Your next page shows it.');
  });
}

/** @param {HTMLInputElement} chosen */
async function importList(chosen) {
  const given = chosen.files?.[0];
  if (given === undefined) return;
  await attempt(async () => {
    if (given.size > MOST_BYTES) throw new Error('The file is too large: at most 4 MiB are read.');
    const body = { opml: await given.text(), ...who };
    const done = await json('/api/sources/opml', { method: 'POST', body });
    const left = done.left_out.length ? ` Left out: ${done.left_out.slice(0, 3).join('; ')}.` : '';
    toast(`${done.added} sources added, ${done.known} known before.${left}`);
    await show();
  });
  chosen.value = '';
}

/** Load the list again, and focus an element in it. @param {string} [focus] a selector */
async function show(focus) {
  const query = new URLSearchParams(location.search);
  if (named) query.set('user', named);
  list.innerHTML = await (await request(`/sources/list?${query}`)).text();
  if (focus) /** @type {HTMLElement | null} */ (document.querySelector(focus))?.focus();
}

/** @param {() => Promise<unknown>} act */
async function attempt(act) {
  try {
    await act();
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
  }
}

/** @param {HTMLElement} row */
function path(row) {
  return `/api/sources/${encodeURIComponent(row.dataset.id ?? '')}`;
}

/** @param {number} count */
function notes(count) {
  return count === 1 ? '1 note' : `${count} notes`;
}

// Tests wait for this before they click.
document.documentElement.dataset.sources = 'ready';
