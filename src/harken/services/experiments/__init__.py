"""Experiments: which ranking, or which value of a flag, a reader gets, and which is better.

In: definitions, as YAML or JSON. Out: the arm of a reader, and the results of an experiment.
Front door: `service`, with `Experiments`.

    definitions           what an experiment is; checks with messages that name the field
    metrics               what an experiment can be measured by
    units                 readers, and sessions of guests
    assignment            from a unit to its slot and its arm, by a hash alone
    interleaving          team draft with competitive pairs
    store                 versions and states in the database; slots have one owner
    running               what runs now, in memory
    arms                  which arm a page is served by
    flags                 the values that the product's own code gets
    openfeature_provider  flags in another process, for OpenFeature's Python SDK
    past_readers          acts of readers before an experiment
    planning              what an experiment can find, computed from these
    observations          acts of each reader of an experiment, from the log and the slates
    planned_analysis      results, by the pure statistics of `analysis`
    adaptive/             allocation that follows the results, in stored versions
    analysis/             effects, confidence sequences, verdicts, power; pure
    promotion/            trials of models, and holdbacks
"""
