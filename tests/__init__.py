import os

# Small matrices and small trees gain nothing by threads, which wait for each other on busy cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
