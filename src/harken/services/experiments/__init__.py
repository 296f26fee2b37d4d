"""Experiments: which ranking, or which value of a flag, a reader gets, and which is better.

In: definitions, as YAML or JSON. Out: the arm of a reader, and the results of an experiment.
Front door: `service`, with `Experiments`.

    definitions     what an experiment is; checks with messages that name the field
    metrics         what an experiment can be measured by
    assignment      from a unit to its slot and its arm, by a hash alone
    interleaving    team draft with competitive pairs
    store           versions and states in the database; slots have one owner
    running         what runs now, in memory
"""
