"""`stoat-jobs watch`: the jobs of any server that mounts `stoat_jobs.http`, in a terminal.

``remote`` asks the server, ``reconnect`` asks again after a lost connection, ``wording`` turns
records into text, ``drawing`` and ``views`` show it, ``run`` puts them together.
"""
