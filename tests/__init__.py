import os

# Products of small matrices gain nothing by threads, which wait for each other on busy cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
