"""A small neural network that scores candidates beside the trees of the learned ranking.

In: the inputs of examples (candidates × a model's names), and what readers chose. Out: numbers that
are added to the scores of the trees, and what each input contributes to them. Front door:
`network.py`.
"""
