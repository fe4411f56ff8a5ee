"""``stoat-jobs demo``: runs a slow job behind a real web server and shows what a client sees.

``server`` runs the app, ``client`` calls it over HTTP, ``screen`` and ``report`` print the
answers, ``run`` has all steps in order.
"""
