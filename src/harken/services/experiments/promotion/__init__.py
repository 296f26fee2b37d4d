"""Promotion by trial: a model enters service when readers choose its items, not when a log says so.

In: a candidate model of the registry. Out: the gate's answer, a trial, a holdback, and a promotion.
Front door: `trials`, with `Trials`.

    pair_swaps      disjoint adjacent pairs of an order that are swapped by coins
    pair_log        swapped pairs of the log, and what was chosen of them
    gate            which of the pairs a candidate would turn, and who chose its way
    reader_log      what each reader of a trial or a holdback did
    measuring       the mean credit of a trial, the metrics of a holdback, alarms
    plans           the definitions of trials and holdbacks
    trials          one step: begin, look, promote, keep, drop, bring back
"""
