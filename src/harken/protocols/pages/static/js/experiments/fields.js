/** The fields of a definition: what people typed, and what the API says of it. */

/** @typedef {HTMLInputElement | HTMLSelectElement} Control */
/** @typedef {import('../http.js').FieldProblem} FieldProblem */

/** The groups whose fields are numbered. */
const GROUPS = { arm: 'arms', guardrail: 'guardrails' };

let made = 0;

/**
 * Return the definition that a form has. What is hidden or empty is left out. What is no number is
 * kept as text, so that the API refuses it and says why.
 * @param {HTMLFormElement} form @returns {Record<string, any>}
 */
export function read(form) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const control of shown(form, '[data-kind]')) {
    const value = valueOf(control);
    if (value !== undefined) put(found, pathOf(control), value);
  }
  return withAllocation(found);
}

/** Write a definition into a form that has a group for each of its arms and guardrails. @param {HTMLFormElement} form @param {Record<string, any>} definition */
export function write(form, definition) {
  for (const control of form.querySelectorAll('[data-kind]')) {
    const field = /** @type {HTMLElement} */ (control);
    const value = get(definition, pathOf(field));
    if (field.dataset.kind === 'checks') {
      for (const box of boxes(field)) box.checked = (value ?? []).includes(box.value);
    } else if (value !== undefined && value !== null) {
      const isJson = field.dataset.kind === 'json';
      /** @type {Control} */ (field).value = isJson ? JSON.stringify(value) : String(value);
    } else if (field.dataset.field === 'ranking') /** @type {Control} */ (field).value = '';
  }
}

/** Show problems beside their fields and in a list above, and go to the first one. @param {HTMLFormElement} form @param {FieldProblem[]} problems @param {string} detail */
export function mark(form, problems, detail) {
  clear(form);
  const list = document.createElement('ul');
  const at = problems.map((each) => {
    const control = find(form, each.field);
    if (control) say(control, each.message);
    list.append(Object.assign(document.createElement('li'), { textContent: `${each.field}: ${each.message}` }));
    return control;
  });
  const above = /** @type {HTMLElement} */ (form.querySelector('#problems'));
  above.replaceChildren(problems.length ? list : detail);
  focus(at.find((each) => each !== null) ?? above);
}

/** @param {HTMLFormElement} form */
export function clear(form) {
  form.querySelector('#problems')?.replaceChildren();
  for (const each of form.querySelectorAll('[data-said]')) each.remove();
  for (const each of form.querySelectorAll('[aria-invalid]')) each.removeAttribute('aria-invalid');
  for (const each of form.querySelectorAll('[data-kind]')) describe(/** @type {HTMLElement} */ (each));
}

/** Describe a field by its hint and its problem. @param {HTMLElement} control */
export function describe(control) {
  const about = control.matches('fieldset') ? control.querySelectorAll(':scope > [data-said]')
    : control.closest('.field')?.querySelectorAll('.hint, [data-said]') ?? [];
  const ids = [...about].map((each) => {
    if (!each.id) {
      made += 1;
      each.id = `about-${made}`;
    }
    return each.id;
  });
  if (ids.length) control.setAttribute('aria-describedby', ids.join(' '));
  else control.removeAttribute('aria-describedby');
}

/** Return the name of a field in the definition, such as `arms.0.ranking`. @param {HTMLElement} control */
function pathOf(control) {
  const name = control.dataset.field ?? '';
  for (const [kind, group] of Object.entries(GROUPS)) {
    const within = control.closest(`.${kind}`);
    const all = within?.parentElement?.querySelectorAll(`.${kind}`) ?? [];
    if (within) return `${group}.${[...all].indexOf(within)}.${name}`;
  }
  return name;
}

/** @param {HTMLElement} control */
function valueOf(control) {
  const { kind } = control.dataset;
  if (kind === 'checks') return boxes(control).filter((box) => box.checked).map((box) => box.value);
  const text = /** @type {Control} */ (control).value.trim();
  if (text === '') return undefined;
  if (kind === 'number') return Number.isFinite(Number(text)) ? Number(text) : text;
  return kind === 'json' ? parsed(text) : text;
}

/** Return JSON, or what is none as text. @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {HTMLElement} within @returns {HTMLInputElement[]} */
function boxes(within) {
  return [...within.querySelectorAll('input')];
}

/** @param {Record<string, any>} found */
function withAllocation(found) {
  const { arms = [] } = found;
  if (arms.some((/** @type {any} */ arm) => arm.share !== undefined)) {
    found.allocation = Object.fromEntries(arms.map((/** @type {any} */ arm) => [arm.name, arm.share ?? 0]));
  }
  return { ...found, arms: arms.map((/** @type {any} */ { share: _share, ...arm }) => arm) };
}

/** @param {Record<string, any>} into @param {string} path @param {unknown} value */
function put(into, path, value) {
  const names = path.split('.');
  const last = /** @type {string} */ (names.pop());
  let at = into;
  names.forEach((name, i) => {
    const next = names[i + 1] ?? last;
    at[name] ??= /^\d+$/.test(next) ? [] : {};
    at = at[name];
  });
  at[last] = value;
}

/** @param {any} from @param {string} path */
function get(from, path) {
  const share = /^arms\.(\d+)\.share$/.exec(path);
  if (share) return from.allocation?.[from.arms[Number(share[1])]?.name];
  return path.split('.').reduce((at, name) => at?.[name], from);
}

/** Return the field that a problem is about, or the one that it is in. @param {HTMLFormElement} form @param {string} path @returns {HTMLElement | null} */
function find(form, path) {
  const all = shown(form, '[data-field]');
  const shares = all.filter((each) => each.dataset.field === 'share');
  if (path === 'allocation') return shares[0] ?? null;
  if (path.startsWith('allocation.')) {
    const names = all.filter((each) => /^arms\.\d+\.name$/.test(pathOf(each)));
    return shares[names.findIndex((each) => /** @type {Control} */ (each).value === path.slice(11))] ?? null;
  }
  for (let at = path; at; at = at.slice(0, Math.max(at.lastIndexOf('.'), 0))) {
    const exact = all.find((each) => pathOf(each) === at);
    const first = exact ?? all.find((each) => pathOf(each).startsWith(`${at}.`));
    if (first) return first;
  }
  return null;
}

/** @param {HTMLElement} control @param {string} message */
function say(control, message) {
  const said = Object.assign(document.createElement('span'), { className: 'problem', textContent: message });
  said.dataset.said = '';
  if (control.matches('fieldset')) {
    control.querySelector('legend')?.after(said);
  } else {
    control.setAttribute('aria-invalid', 'true');
    control.closest('.field')?.append(said);
  }
  describe(control);
}

/** @param {HTMLElement} control */
function focus(control) {
  for (let at = control.closest('details'); at; at = at.parentElement?.closest('details') ?? null) at.open = true;
  const at = control.matches('fieldset') ? control.querySelector('input, select, button') : control;
  /** @type {HTMLElement} */ (at ?? control).focus();
}

/** @param {HTMLElement} within @param {string} selector @returns {HTMLElement[]} */
function shown(within, selector) {
  const all = /** @type {NodeListOf<HTMLElement>} */ (within.querySelectorAll(selector));
  return [...all].filter((each) => !each.closest('[hidden]') || each.closest('[hidden]')?.contains(within));
}
