"""gunicorn for an application with an in-process queue."""

bind = "0.0.0.0:8000"
worker_class = "uvicorn_worker.UvicornWorker"

# One queue: each worker would have its own, and know its own jobs only.
workers = 1

# A worker that is replaced after so many requests takes its jobs and their records with it.
max_requests = 0

# Seconds from SIGTERM to SIGKILL: for open requests, and 8 for the queue with its defaults.
graceful_timeout = 30

# A worker whose event loop has been held for so long is killed, with its jobs.
timeout = 120
