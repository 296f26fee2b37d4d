"""Experiments: which ranking, or which value of a flag, a reader gets, and which is better.

In: definitions, as YAML or JSON. Out: the arm of a reader, and the results of an experiment.
Front door: `service`, with `Experiments`.

    definitions     what an experiment is; checks with messages that name the field
    metrics         what an experiment can be measured by
    assignment      from a unit to its slot and its arm, by a hash alone
    interleaving    team draft with competitive pairs
    store           versions and states in the database; slots have one owner
    running         what runs now, in memory
    units           readers, and sessions of guests
    arms            what a page is served by
    flags           what the product's own code gets
    observations    what each reader did, from the log and the slates
    outcome         results, by the pure statistics of `analysis`
    adaptive/       allocation that follows the results, in stored versions
"""
