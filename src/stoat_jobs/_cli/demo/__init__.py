"""``stoat-jobs demo``: runs a slow job behind a real web server and shows what a client sees.

``server`` runs the app, ``client`` calls it over HTTP, ``screen`` and ``report`` print the
answers, ``steps`` has what a client does, and ``run`` all of it in order. ``restart`` tells of a
job that survives its server, which is a ``process`` that runs ``child``.
"""
