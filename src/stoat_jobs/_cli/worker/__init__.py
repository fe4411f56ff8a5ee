"""``stoat-jobs worker``: the user's app without a socket, which runs its jobs.

`command` has the arguments, `run` the life of a worker, `reload` the one that restarts it.
"""
