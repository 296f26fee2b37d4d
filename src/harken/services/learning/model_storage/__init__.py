"""Trained models as text: written, read strictly, tried by a child process before they are used.

In: a model, or a text from elsewhere. Out: the other. Front door: `archive`. Nothing is ever
unpickled.
"""
