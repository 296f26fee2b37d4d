/** What was erased or set aside since a model was trained, which it may have learned from. */

/** @param {Api.Model} model @returns {string | null} */
export function marks({ erasures, quarantines }) {
  const said = [];
  if (erasures) said.push(`${erasures} erasure${erasures > 1 ? 's' : ''}`);
  if (quarantines) said.push(`${quarantines} quarantine${quarantines > 1 ? 's' : ''}`);
  return said.join(', ') || null;
}

/** Return a sentence if the model in service may know such events, else ''. @param {Api.Model[]} models */
export function warning(models) {
  const serving = models.find((each) => each.in_service);
  const known = serving && marks(serving);
  if (!known) return '';
  return `The model in service, ${serving.id}, may have been trained with what was taken out of the log since (${known}). harken train --promote makes a new one.`;
}
