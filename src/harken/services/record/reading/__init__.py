"""The state of readers: what they have read, and what they saved for later.

In: ids of K-Blocks, and events of saving. Out: which K-Blocks are read or saved, latest first.
Front door: `store`. `effects` has what events change besides statistics.
"""
