"""Power cuts: what a process wrote is recorded, and replayed as far as a disk may have it.

``recording`` runs a program with ``recorder.c`` loaded, which writes down every change of the files
in one folder, and every sync. ``replay`` makes of that what a disk may hold if the power is cut at
some moment. It is a worse disk than any on sale:

- Of a file it has what was written before the last sync of it began, provided the sync has ended.
  Of each later write and truncation it has any part, in sectors of 512 bytes, in no order.
- A file that was created, deleted or renamed is so for certain after a sync of the folder. Of later
  changes in the folder it has the first ones, any number of them, as a file system with a journal
  does. A sync of the file itself does not keep its name, as it would on ext4.

Its contents are not copied while the program runs: a copy of files that change is of no moment.
"""
