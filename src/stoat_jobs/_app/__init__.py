"""The queue in an application: by backend name, by lifespan, by request."""
