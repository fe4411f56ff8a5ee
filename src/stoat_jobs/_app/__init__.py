"""How an application gets its queue: loads the backend, starts it, finds it in a request."""
