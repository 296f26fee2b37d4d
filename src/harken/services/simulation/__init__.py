"""Simulated readers with known interests, and what they do with their pages.

In: a seed. Out: K-Blocks, events, and the quality of feeds by the ground truth. Front door: `demo`;
`rings` for attacks that are planted into a real log.
"""
