"""Why an item is at its place, in sentences: each part compared with the page's other candidates.

In: the parts of a score for the items of a page and for all candidates, and what is known of them.
Out: `Reason`s: a sentence, whether it raised the item or held it back, and its figures.
Front door: `reasons.py`; `phrases.py` has the sentence of each part.
"""
