"""Promotion by trial: a model enters service when readers choose its items, not when a log says so.

In: a candidate model of the registry. Out: the gate's answer, a trial, a holdback, and a promotion.
Front door: `trials`, with `Trials`.

    pair_swaps      disjoint adjacent pairs of an order that are swapped by coins
    reader_log      pages with swapped pairs, and what readers of a trial or a holdback did
    gate            which of the pairs a candidate would turn, and whose choice readers took
    candidates      the model to try next, what the gate says of it, and whether readers suffice
    plans           the definitions of trials and holdbacks
    measuring       the mean credit of a trial, the metrics of a holdback, alarms
    holdbacks       the readers who stay on the old model, and can bring it back
    trials          one step: begin, look, promote, keep, drop
"""
