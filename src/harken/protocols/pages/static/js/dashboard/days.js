/** The days that a person picked: from the beginning of one to the end of another, in UTC. */

import { now } from './requests.js';
import * as format from './format.js';

const DAY = 86_400_000;
const DEFAULT_DAYS = 7;

export class Days {
  /** @param {HTMLFormElement} form @param {URLSearchParams} given @param {() => void} changed */
  constructor(form, given, changed) {
    const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
    this._fields = [field('from'), field('to')];
    this._labels = /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll('[data-of-days]'));
    this._fields[0].value = given.get('from') ?? '';
    this._fields[1].value = given.get('to') ?? '';
    for (const each of this._fields) each.addEventListener('change', changed);
  }

  /** Show or hide the fields; without days, they get the last week. @param {boolean} isChosen */
  show(isChosen) {
    for (const each of this._labels) each.hidden = !isChosen;
    const [from, to] = this._fields;
    if (!isChosen) return;
    if (!to.valueAsDate) to.value = format.day(now());
    if (!from.valueAsDate) from.value = format.day(Number(to.valueAsDate) - (DEFAULT_DAYS - 1) * DAY);
  }

  /** Return the first moment and the one after the last, in milliseconds; the order of the two does not matter. */
  ends() {
    const [from, to] = this._fields.map((each) => each.valueAsNumber).sort((a, b) => a - b);
    return { since: from, until: to + DAY };
  }

  get label() {
    const { since, until } = this.ends();
    const [first, last] = [format.day(since), format.day(until - DAY)];
    return first === last ? first : `the days ${first} to ${last}`;
  }

  /** @returns {Record<string, string>} the days as parameters of the address */
  get inAddress() {
    const [from, to] = this._fields;
    return { from: from.value, to: to.value };
  }
}
