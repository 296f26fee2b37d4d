/** What the key `u` undoes: the latest of what can be undone on this page. */

import { toast } from '../toast.js';

/** @type {(() => unknown)[]} the latest last */
const acts = [];

/**
 * Remember how something is undone.
 * @param {() => unknown} undo @returns {() => void} forgets it, for what was undone otherwise
 */
export function remember(undo) {
  acts.push(undo);
  return () => {
    const index = acts.indexOf(undo);
    if (index >= 0) acts.splice(index, 1);
  };
}

/** Undo the latest of what can be undone. */
export function undoLatest() {
  const undo = acts.pop();
  if (undo === undefined) toast('There is nothing to undo.');
  else undo();
}
