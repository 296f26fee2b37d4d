/** The selected range of time and length of buckets; both are in the address of the page. */

import { remember } from './address.js';
import { Days } from './days.js';
import { now } from './requests.js';
import * as format from './format.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The highest number of points of the API, minus one for the partial bucket at the start. */
const MOST_POINTS = 1_499;

const BUCKETS = /** @type {const} */ ({ minute: MINUTE, hour: HOUR, day: DAY });
/** @type {Record<string, {length: number, bucket: keyof typeof BUCKETS, label: string}>} */
const RANGES = {
  hour: { length: HOUR, bucket: 'minute', label: 'the last hour' },
  day: { length: DAY, bucket: 'hour', label: 'the last 24 hours' },
  week: { length: 7 * DAY, bucket: 'hour', label: 'the last 7 days' },
  month: { length: 30 * DAY, bucket: 'day', label: 'the last 30 days' },
  quarter: { length: 90 * DAY, bucket: 'day', label: 'the last 90 days' },
  year: { length: 365 * DAY, bucket: 'day', label: 'the last 365 days' },
  all: { length: Infinity, bucket: 'day', label: 'the whole log' },
  days: { length: 0, bucket: 'day', label: '' }, // by the fields of `Days`
};

/**
 * @typedef {object} RangeQuery the parameters of requests for the range
 * @property {string} bucket
 * @property {string} label the range in words
 * @property {Record<string, string>} times `since` and `until` for the API
 * @property {boolean} isAll whether it is all time
 */

export class Range {
  /** @param {HTMLFormElement} form @param {() => void} changed */
  constructor(form, changed) {
    this._range = /** @type {HTMLSelectElement} */ (form.elements.namedItem('range'));
    this._bucket = /** @type {HTMLSelectElement} */ (form.elements.namedItem('bucket'));
    /** @type {{first: number, last: number} | null} */
    this.extent = null;
    const given = new URLSearchParams(location.search);
    this._days = new Days(form, given, () => { this._picked(); changed(); });
    this.isChosen = this._choose(this._range, given.get('range'));
    this._days.show(this._isDays);
    this._selectBucket(given.get('by'));
    this._range.addEventListener('change', () => { this._picked(); changed(); });
    this._bucket.addEventListener('change', () => { this._storeInAddress(); changed(); });
  }

  /**
   * Set the extent of the log. If the person has not chosen a range, select the shortest one with
   * events.
   * @param {string | null} first @param {string | null} last
   */
  setExtent(first, last) {
    this.extent = first && last ? { first: Date.parse(first), last: Date.parse(last) } : null;
    if (!this.isChosen && this.extent) {
      const age = now() - this.extent.last;
      const holding = Object.entries(RANGES).find(([name, { length }]) => name !== 'hour' && age < length);
      this._range.value = holding?.[0] ?? 'day';
      this.isChosen = true;
      this._selectBucket(null);
    }
    this._enableBuckets();
    if (this._bucket.selectedOptions[0]?.disabled) this._bucket.value = this._defaultBucket();
  }

  /** @returns {RangeQuery} the parameters for the selected range */
  get query() {
    const isAll = this._range.value === 'all';
    return { bucket: this._bucket.value, label: this._label, times: this._times, isAll };
  }

  get _isDays() {
    return this._range.value === 'days';
  }

  _picked() {
    this._days.show(this._isDays);
    this._selectBucket(null);
    this._storeInAddress();
  }

  get _label() {
    if (this._isDays) return this._days.label;
    const { since } = this._ends();
    const isAll = this._range.value !== 'all' || !this.extent || since <= this.extent.first;
    return isAll ? RANGES[this._range.value].label : `the last ${MOST_POINTS} days`;
  }

  /** @returns {Record<string, string>} */
  get _times() {
    const { since, until } = this._ends();
    const times = { since: new Date(since).toISOString() };
    return until === undefined ? times : { ...times, until: new Date(until).toISOString() };
  }

  /** @returns {string} a hint if the log ended before the selected range, else an empty text */
  get hint() {
    const { since } = this._ends();
    if (this.extent === null || this.extent.last >= since) return '';
    return `There are no events in ${this._label}: the last event was on ${format.day(this.extent.last)}.`;
  }

  /** Select the range of the whole log. */
  showAll() {
    this._range.value = 'all';
    this._range.dispatchEvent(new Event('change'));
  }

  _ends() {
    if (this._isDays) return this._days.ends();
    const { length } = RANGES[this._range.value];
    const present = now();
    if (Number.isFinite(length)) return { since: present - length, until: undefined };
    const { first, last } = this.extent ?? { first: present - DAY, last: present };
    // A live log ends now; an imported one ends with its last event.
    const end = present - last < DAY ? undefined : last + 1;
    return { since: Math.max(first, (end ?? present) - MOST_POINTS * DAY), until: end };
  }

  /** @param {HTMLSelectElement} select @param {string | null} value */
  _choose(select, value) {
    const option = [...select.options].find((each) => each.value === value && !each.disabled);
    if (option) select.value = option.value;
    return option !== undefined;
  }

  /** Select a bucket, or the default one of the range. @param {string | null} name */
  _selectBucket(name) {
    this._enableBuckets();
    if (!this._choose(this._bucket, name)) this._bucket.value = this._defaultBucket();
  }

  /** Return the default bucket; for the whole log and for days, the longest one with at least 8 points. */
  _defaultBucket() {
    if (this._range.value !== 'all' && !this._isDays) return RANGES[this._range.value].bucket;
    return /** @type {const} */ (['day', 'hour']).find((each) => this._points(each) >= 8) ?? 'minute';
  }

  /** @param {keyof typeof BUCKETS} bucket */
  _points(bucket) {
    const { since, until = now() } = this._ends();
    return (until - since) / BUCKETS[bucket];
  }

  /** Enable the buckets with at least one point and at most as many as the API returns. */
  _enableBuckets() {
    for (const option of this._bucket.options) {
      const points = this._points(/** @type {keyof typeof BUCKETS} */ (option.value));
      option.disabled = option.value !== this._defaultBucket() && !(points >= 1 && points <= MOST_POINTS);
    }
  }

  _storeInAddress() {
    this.isChosen = true;
    const days = this._isDays ? this._days.inAddress : { from: '', to: '' };
    remember({ range: this._range.value, by: this._bucket.value, ...days });
  }
}
