"""What is known of readers, in memory: recent history, affinities, who read an item recently.

In: events, one after the other, and what K-Blocks are. Out: affinities and personal scores.
Front door: `affinities`, with `Affinities`. All of it is bounded for each reader and K-Block,
follows from the log alone, and knows no database.
"""
