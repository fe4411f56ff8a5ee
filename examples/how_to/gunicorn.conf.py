"""Configure gunicorn for an application with an in-process queue."""

bind = "0.0.0.0:8000"
worker_class = "uvicorn_worker.UvicornWorker"

# One worker, one queue: several workers would each have a queue and know only its jobs.
workers = 1

# No restart after a number of requests: it would lose the worker's jobs and their records.
max_requests = 0

# Seconds from SIGTERM to SIGKILL: for open requests, plus 8 for the queue by default.
graceful_timeout = 30

# gunicorn kills a worker, and its jobs, if its event loop is blocked for this long.
timeout = 120
