"""An example app with a slow job; ``stoat-jobs demo`` runs it behind a real web server.

``app`` is the web app, ``jobs`` has the job types, ``scan`` does the work, ``tree`` reads files.
"""
