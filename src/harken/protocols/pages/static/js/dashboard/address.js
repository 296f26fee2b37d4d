/** What a person chose on the page, in its address. */

/** @param {Record<string, string>} choices an empty text leaves a choice out */
export function remember(choices) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(choices)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  history.replaceState(null, '', `?${query}`);
}
