"""An example of an app with a slow job, which ``stoat-jobs demo`` runs behind a real web server.

``scan`` is the work, ``tree`` reads the files, ``jobs`` has the job types, ``app`` is the web app.
"""
