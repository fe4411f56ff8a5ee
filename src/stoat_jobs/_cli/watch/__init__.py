"""`stoat-jobs watch`: the jobs of any server that mounts `stoat_jobs.http`, in a terminal.

``remote`` asks the server, ``reconnect`` goes on asking when it is away, ``wording`` says what a record
says, ``drawing`` and ``views`` show it, ``run`` puts them together.
"""
