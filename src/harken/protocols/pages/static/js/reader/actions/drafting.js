/** Forms whose text is kept while it is typed, and is there when they are opened again. */

import { toast } from '../../toast.js';
import * as drafts from './drafts.js';

const PAUSE_MS = 300;
const NOT_KEPT = 'This browser cannot keep a draft of it: send it before you leave.';

/** Forms with text that would be lost with the page. @type {Set<object>} */
const unkept = new Set();

addEventListener('beforeunload', (event) => {
  if (unkept.size > 0) event.preventDefault();
});

/**
 * Begin to keep what is typed in a form, whose fields have the text that is known. A draft of
 * before is put into them, and the form's line `.draft` tells of it.
 * @param {HTMLFormElement} form @param {drafts.Place} place
 * @param {string} [base] the version of the note that is known
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
    /** Whether the text is another than the one that is known. */
    isChanged: () => isOther(read(form), known),
    flush,
    /** It was sent, or is not wanted: nothing is kept. */
    forget() {
      end();
      drafts.forget(place);
    },
    /** The form is left: what is in it stays kept, and that is said. */
    leave() {
      if (hasEnded) return;
      flush();
      const text = read(form);
      end();
      if (!isOther(text, known)) return;
      const { base: began } = self;
      toast('Your draft is kept. It is here when you come back.', {
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
    if (found === undefined || !isOther({ ...known, ...found.fields }, known)) return;
    write(form, found.fields);
    const isOld = found.base !== base;
    self.base = found.base;
    const changed = isOld ? ' The note was changed since.' : '';
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

/** @param {HTMLFormElement} form @returns {Record<string, string>} what is in its fields */
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
function isOther(one, other) {
  // Forms have line ends of their own.
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
