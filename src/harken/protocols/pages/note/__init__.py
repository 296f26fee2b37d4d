"""What cards and the page of a note show of other notes and readers.

In: a request. Out: values of templates: comments, contradictions, links and similar notes. Front
door: `values`; `routes` has the parts that scripts ask for.
"""
