/** The form of a definition: groups of fields for arms and guardrails, and saving it as a draft. */

import { json, Refused, root } from '../http.js';
import { clear, describe, mark, read, write } from './fields.js';

const panel = /** @type {HTMLElement} */ (document.getElementById('create'));
const form = /** @type {HTMLFormElement} */ (document.getElementById('definition'));
const opener = /** @type {HTMLButtonElement} */ (document.getElementById('new'));
const subject = /** @type {HTMLSelectElement} */ (document.getElementById('subject'));
const kind = /** @type {HTMLSelectElement} */ (form.querySelector('[data-field=kind]'));

/** @typedef {'arm' | 'guardrail'} Group */
const LISTS = { arm: 'arms', guardrail: 'guardrails' };
const LEAST = { arm: 2, guardrail: 0 };

opener.addEventListener('click', () => (panel.hidden ? open() : close()));
form.querySelector('#cancel')?.addEventListener('click', close);
form.addEventListener('submit', save);
form.addEventListener('click', remove);
subject.addEventListener('change', adapt);
kind.addEventListener('change', adapt);
form.querySelector('#add-arm')?.addEventListener('click', () => add('arm').focus());
form.querySelector('#add-guardrail')?.addEventListener('click', () => add('guardrail').focus());

/** Open the form, empty or with a definition. @param {Record<string, any>} [definition] */
export function open(definition) {
  form.reset();
  clear(form);
  for (const group of /** @type {Group[]} */ (['arm', 'guardrail'])) {
    document.getElementById(LISTS[group])?.replaceChildren();
    const wanted = definition?.[LISTS[group]]?.length ?? LEAST[group];
    for (let i = 0; i < wanted; i += 1) add(group);
  }
  if (definition) {
    write(form, definition);
    subject.value = definition.feeds.length ? 'feeds' : 'flag';
  }
  adapt();
  panel.hidden = false;
  opener.setAttribute('aria-expanded', 'true');
  /** @type {HTMLElement} */ (form.querySelector('[data-field=id]')).focus();
  suggestModels();
}

function close() {
  panel.hidden = true;
  opener.setAttribute('aria-expanded', 'false');
  opener.focus();
}

/** @param {SubmitEvent} event */
async function save(event) {
  event.preventDefault();
  const go = /** @type {HTMLButtonElement} */ (form.querySelector('button.primary'));
  go.disabled = true;
  try {
    /** @type {Api.Experiment} */
    const made = await json('/api/experiments', { method: 'POST', body: read(form) });
    location.assign(`${root}/experiments/${encodeURIComponent(made.id)}`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    mark(form, error.errors, error.message);
  } finally {
    go.disabled = false;
  }
}

/** Add a group, and return its first field. @param {Group} group @returns {HTMLElement} */
function add(group) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(group));
  document.getElementById(LISTS[group])?.append(template.content.cloneNode(true));
  adapt();
  const all = groups(group);
  return /** @type {HTMLElement} */ (all[all.length - 1].querySelector('input, select'));
}

/** @param {MouseEvent} event */
function remove(event) {
  const button = /** @type {Element} */ (event.target).closest('[data-remove]');
  if (!button) return;
  const group = button.closest('.arm') ? 'arm' : 'guardrail';
  button.closest(`.${group}`)?.remove();
  adapt();
  /** @type {HTMLElement} */ (form.querySelector(`#add-${group}`)).focus();
}

/** Show the fields that go with what is compared, and number the groups. */
function adapt() {
  const isFlag = subject.value === 'flag';
  const holds = { feeds: !isFlag, flag: isFlag, ab: kind.value === 'ab' };
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll('[data-if], [data-of]'))) {
    const name = /** @type {keyof typeof holds} */ (each.dataset.if ?? each.dataset.of);
    const at = each.dataset.of ? /** @type {HTMLElement} */ (each.closest('.field')) : each;
    at.hidden = !holds[name];
  }
  for (const group of /** @type {Group[]} */ (['arm', 'guardrail'])) number(group);
  for (const each of form.querySelectorAll('[data-kind]')) describe(/** @type {HTMLElement} */ (each));
}

/** @param {Group} group */
function number(group) {
  const all = groups(group);
  all.forEach((each, i) => {
    const name = `${group === 'arm' ? 'Arm' : 'Guardrail'} ${i + 1}`;
    const legend = /** @type {HTMLElement} */ (each.querySelector('legend'));
    legend.textContent = group === 'arm' && i === 0 ? `${name}, the control` : name;
    const button = /** @type {HTMLButtonElement} */ (each.querySelector('[data-remove]'));
    button.hidden = all.length <= LEAST[group];
    button.setAttribute('aria-label', `Remove ${name}`);
  });
  const most = Number(group === 'arm' ? panel.dataset.mostArms : panel.dataset.mostGuardrails);
  /** @type {HTMLButtonElement} */ (form.querySelector(`#add-${group}`)).disabled = all.length >= most;
}

/** @param {Group} group */
function groups(group) {
  return [...form.querySelectorAll(`.${group}`)];
}

/** Suggest the ids of models; without them, people type one. */
async function suggestModels() {
  const list = /** @type {HTMLElement} */ (document.getElementById('models'));
  if (list.childElementCount) return;
  const { models } = await json('/api/models').catch(() => ({ models: [] }));
  list.replaceChildren(...models.map((/** @type {Api.Model} */ model) => new Option(model.id)));
}
