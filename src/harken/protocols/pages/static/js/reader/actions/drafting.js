/** Forms that store their text as a draft while it is typed, and restore it when opened again. */

import { toast } from '../../toast.js';
import * as drafts from './drafts.js';

const PAUSE_MS = 300;
const NOT_KEPT = 'This browser cannot store a draft. Send your text before you leave the page.';

/** Drafts that could not be stored and would be lost with the page. @type {Set<object>} */
const unkept = new Set();

addEventListener('beforeunload', (event) => {
  if (unkept.size > 0) event.preventDefault();
});

/**
 * Start to store the text of a form as a draft. Its fields contain the saved text; an earlier
 * draft replaces it, and the line `.draft` of the form says so.
 * @param {HTMLFormElement} form @param {drafts.Place} place
 * @param {string} [base] the version of the note in the form
 */
export function drafting(form, place, base = '') {
  const line = /** @type {HTMLElement} */ (form.querySelector('.draft'));
  const known = read(form);
  const mine = {};
  /** @type {number | undefined} */
  let timer;
  let hasEnded = false;

  const self = {
    base,
    /** Return whether the text differs from the saved one. */
    isChanged: () => differs(read(form), known),
    flush,
    /** Delete the draft, because the text was sent or discarded. */
    forget() {
      end();
      drafts.forget(place);
    },
    /** The form closes: store the draft, and show a message if there is one. */
    leave() {
      if (hasEnded) return;
      flush();
      const text = read(form);
      end();
      if (!differs(text, known)) return;
      const { base: began } = self;
      toast('Your draft is saved. Open the form again to continue.', {
        label: 'Discard', act: () => discard(place, text, began),
      }, 10_000);
    },
  };

  function flush() {
    clearTimeout(timer);
    if (hasEnded) return;
    if (!self.isChanged()) {
      drafts.forget(place);
      unkept.delete(mine);
    } else if (drafts.keep(place, read(form), self.base)) {
      unkept.delete(mine);
      if (line.textContent === NOT_KEPT) line.textContent = '';
    } else {
      unkept.add(mine);
      if (line.textContent !== NOT_KEPT) line.textContent = NOT_KEPT;
    }
  }

  function end() {
    hasEnded = true;
    clearTimeout(timer);
    unkept.delete(mine);
    line.textContent = '';
    form.removeEventListener('input', later);
    removeEventListener('pagehide', flush);
    document.removeEventListener('visibilitychange', flush);
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(flush, PAUSE_MS);
  }

  function restore() {
    const found = drafts.find(place);
    if (found === undefined || !differs({ ...known, ...found.fields }, known)) return;
    write(form, found.fields);
    const isOld = found.base !== base;
    self.base = found.base;
    const changed = isOld ? ' The note has changed since then.' : '';
    line.textContent = `Draft of ${time(found.at)} restored.${changed} `;
    const button = Object.assign(document.createElement('button'), {
      type: 'button', className: 'link', textContent: 'Discard',
    });
    button.addEventListener('click', () => {
      write(form, known);
      self.base = base;
      flush();
      line.textContent = 'The draft is discarded.';
      /** @type {HTMLElement | null} */ (form.querySelector('textarea'))?.focus();
    });
    line.append(button);
  }

  line.textContent = '';
  form.addEventListener('input', later);
  addEventListener('pagehide', flush);
  document.addEventListener('visibilitychange', flush);
  restore();
  return self;
}

/** @param {drafts.Place} place @param {Record<string, string>} text @param {string} base */
function discard(place, text, base) {
  drafts.forget(place);
  toast('The draft is discarded.', {
    label: 'Undo', act: () => { drafts.keep(place, text, base); },
  }, 10_000);
}

/** @param {HTMLFormElement} form @returns {Record<string, string>} the values of its fields */
function read(form) {
  const entries = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(entries);
}

/** @param {HTMLFormElement} form @param {Record<string, string>} fields */
function write(form, fields) {
  for (const [name, value] of Object.entries(fields)) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) field.value = value;
  }
}

/** @param {Record<string, string>} one @param {Record<string, string>} other */
function differs(one, other) {
  // FormData normalises line ends to CRLF.
  const plain = (/** @type {string | undefined} */ text) => (text ?? '').replace(/\r\n?/g, '\n');
  return Object.keys(other).some((name) => plain(one[name]) !== plain(other[name]));
}

/** @param {number} at */
function time(at) {
  const day = new Date(at);
  const isToday = day.toDateString() === new Date().toDateString();
  return day.toLocaleString([], {
    hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
    ...(!isToday && { day: 'numeric', month: 'short', year: 'numeric' }),
  });
}
